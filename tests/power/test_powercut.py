"""A tenth of the power-cut proof, chosen by a fixed seed; `make powercut` does all of it."""

import pytest
from power.powercut import delta_one_class_bytes, prove, prove_repeated, slots
from power.scenarios import SCENARIOS

SEED = 7


@pytest.mark.parametrize("name", SCENARIOS)
def test_t24_any_cut_leaves_a_valid_set(name):
    row = prove(name, SEED, 0.1)
    assert row.invalid == []
    assert row.cuts > row.torn_writes > row.torn_records > 0


def test_t24_five_cuts_in_a_row_leave_a_valid_set():
    row = prove_repeated(SEED, 20)
    assert row.invalid == []
    assert row.completed == 20


def test_proof_notices_a_log_that_believes_torn_records(monkeypatch):
    def believe(self, at, raw):
        self._flash.read_into(at, raw)
        return int.from_bytes(raw[4:8], "little") if raw[:4] == b"MSL1" else 0

    monkeypatch.setattr(slots.Slots, "_generation_at", believe)
    assert prove("second install", SEED, 0.1).invalid


def test_proof_notices_a_floor_that_rises_before_the_set_is_confirmed(monkeypatch):
    begin_trial = slots.Slots.begin_trial

    def too_soon(self, epoch):
        self.floor = max(self.floor, epoch)
        begin_trial(self, epoch)

    monkeypatch.setattr(slots.Slots, "begin_trial", too_soon)
    assert prove("reverted", SEED, 0.1).invalid


def test_proof_notices_a_transfer_into_the_slot_in_use(monkeypatch):
    begin = slots.Slots.begin

    def into_the_wrong_one(self, sha256, size):
        if self.active is not None:
            self.active = 1 - self.active
        begin(self, sha256, size)

    monkeypatch.setattr(slots.Slots, "begin", into_the_wrong_one)
    assert prove("second install", SEED, 0.1).invalid


def test_one_class_more_takes_at_most_400_bytes():
    assert delta_one_class_bytes() <= 400
