"""Swaps while messages are lost, doubled and reordered, and everybody is started anew.

The device's own code and the agent's run over a link that Hypothesis holds in its hand. Always: the
set in use is whole and known, and no older than one that was confirmed. In the end, when the link
is good again: the wanted set is in use, or the device has said why not.
"""

import hashlib
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from moteye_protocol.prototype_set import decode, set_hash
from support import firmware_host
from support.sets import without_rows, working_set
from support.swap_link import SwapLink

ENCODER = b"encoder8"
HEALS_S = 300


FIRST = working_set(ENCODER, 1, epoch=1)
GOOD = [
    FIRST,
    without_rows(FIRST, 7, 20, number=2),  # by a delta, which is smaller
    working_set(ENCODER, 3, epoch=2),
    working_set(ENCODER, 4, epoch=0),
]
BAD = working_set(ENCODER, 5, epoch=3, works=False)
SETS = [*GOOD, BAD]
KNOWN = {set_hash(data): data for data in SETS}
WHICH = st.integers(0, len(SETS) - 1)
ANY = st.integers(0, 1000)
STEPS = st.integers(0, 900)  # of the flash; a swap takes about 840
RECORD_STEPS = 64  # the record that confirms
TORN = st.none() | ANY


class Swaps(RuleBasedStateMachine):
    """One device, one agent, one link."""

    link = None
    cut_in = Counter()  # power cuts of all examples, by the swap's state before

    @initialize(keyed=st.booleans(), which=WHICH)
    def begin(self, keyed, which):
        self.link = SwapLink(ENCODER, keyed=keyed)
        self.floor = 0
        self.want(which)

    @rule(which=WHICH)
    def want(self, which):
        self.wanted = SETS[which]
        self.link.want(self.wanted)
        self.link.settle()

    # --- messages

    @precondition(lambda self: self.link.up)
    @rule(at=ANY, fate=st.sampled_from(["first", "any", "twice", "lost"]))
    def from_device(self, at, fate):
        packet = _taken(self.link.up, at, fate)
        if fate != "lost":
            self.link.to_agent(packet)

    @precondition(lambda self: self.link.down)
    @rule(at=ANY, fate=st.sampled_from(["first", "any", "twice", "lost"]))
    def from_agent(self, at, fate):
        packet = _taken(self.link.down, at, fate)
        if fate != "lost":
            self.link.device.hear(packet)

    @rule(count=st.integers(1, 12))
    def all_goes_well_for_a_while(self, count):
        for _ in range(count):
            if self.link.up:
                self.link.to_agent(self.link.up.pop(0))
            if self.link.down:
                self.link.device.hear(self.link.down.pop(0))

    @rule(seconds=st.sampled_from([0.1, 1, 6, 31, 61]), frames=st.integers(0, 3))
    def wait(self, seconds, frames):
        self.link.wait(seconds, frames)

    # --- starts

    @rule()
    def restart_device(self):
        self.link.device.start()

    @rule(steps=STEPS, torn=TORN)
    def lose_power_soon(self, steps, torn):
        self.link.device.flash.lose_power_after(steps, torn)

    @rule(which=WHICH, steps=STEPS, torn=TORN, in_trial=st.booleans())
    def lose_power_in_a_swap_that_goes_well(self, which, steps, torn, in_trial):
        self.want(which)
        device = self.link.device
        if in_trial:
            tried = lambda: self._told()[0] == "trial"
            self.link.heal(lambda: tried() or self._has_ended(), HEALS_S)
            steps %= RECORD_STEPS
        device.flash.lose_power_after(steps, torn)
        before = len(device.cut_in)
        self.link.heal(lambda: len(device.cut_in) > before or self._has_ended(), HEALS_S)

    @rule()
    def restart_agent(self):
        self.link.start_agent(self.wanted)

    @rule()
    def restart_broker(self):
        self.link.restart_broker()
        self.link.settle()

    # --- what holds

    @invariant()
    def the_set_is_whole_and_never_older(self):
        if self.link is None:
            return
        swap = self.link.device.swap
        floor = swap.fields()["floor"]
        assert floor >= self.floor
        self.floor = floor
        if swap.active is not None:
            data = bytes(swap.active.data)
            assert hashlib.sha256(data).digest()[:8] == swap.active.hash
            assert KNOWN[swap.active.hash] == data
            assert swap.active.epoch >= floor

    def teardown(self):
        if self.link is None:
            return
        link = self.link
        link.device.flash.fail_at = None
        self.cut_in.update(link.device.cut_in)
        assert link.heal(self._has_ended, HEALS_S), self._told()
        self.the_set_is_whole_and_never_older()
        state, code, used = self._told()
        if used == set_hash(self.wanted):
            # "reverted" and "refused" tell of another set, wanted in between.
            assert (state in ("confirmed", "idle")) == (code == "ok"), self._told()
        else:
            # A good set is remembered, too, where three starts have cut its trial.
            failed = set_hash(self.wanted) in link.device.swap._slots.failed
            assert failed or decode(self.wanted).epoch < self.floor, self._told()
        link.close()

    def _told(self):
        fields = self.link.device.swap.fields()
        return fields["state"], fields["code"], fields["set"]

    def _has_ended(self):
        state, _, used = self._told()
        keeper, device = self.link.keeper, self.link.devices.all.get("cam")
        if keeper.is_bringing("cam"):
            return False
        refused = keeper._refused.get("cam")
        if device is not None and refused == (device.presence.session, set_hash(self.wanted)):
            return True  # a transfer of something else that nobody wants any more may be left
        return used == set_hash(self.wanted) and state not in ("receiving", "verified", "trial")


def _taken(packets, at, fate):
    """One of the messages on their way; it stays there where it comes twice."""
    index = 0 if fate == "first" else at % len(packets)
    return packets[index] if fate == "twice" else packets.pop(index)


class TestSwaps(Swaps.TestCase):
    """All of it, and that the power was lost where there is something to lose."""

    settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)

    def runTest(self):  # noqa: N802  Hypothesis' name
        Swaps.cut_in.clear()
        super().runTest()
        assert Swaps.cut_in["receiving"] >= 5
        assert Swaps.cut_in["trial"] >= 5


def test_the_proof_notices_a_gate_that_lets_older_sets_in(monkeypatch):
    monkeypatch.setattr(firmware_host.swap.Swap, "fits", lambda *_: "ok")
    swaps = Swaps()
    swaps.begin(keyed=True, which=2)
    assert swaps.link.heal(swaps._has_ended, HEALS_S)
    swaps.the_set_is_whole_and_never_older()
    swaps.want(which=3)  # of a lower epoch
    assert swaps.link.heal(swaps._has_ended, HEALS_S)
    with pytest.raises(AssertionError):
        swaps.the_set_is_whole_and_never_older()
    swaps.link.close()
