"""The swap on the device: every (state, event), the gate on every way in, the trial."""

import hashlib
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moteye_protocol.set_delta import encode_delta
from moteye_protocol.wire import MAX_CANARIES, MAX_ROWS, SET_DIMS
from set_refusal import refusal
from support.firmware_host import TRIAL_MS, Device, Factory, flash_size
from support.flash_simulator import SimulatedFlash
from support.sets import random_codebook, random_set
from swap_states import EVENTS, TABLE, WrongEvent, next_state

STATES = ("idle", "receiving", "verified", "trial", "confirmed", "refused", "reverted")
ENCODER = b"encoder8"
SPEC = Path(__file__).parents[3] / "protocol" / "SPEC.md"


def built(seed, *, rows=20, epoch=1, **changes):
    found = random_set(rows, 64, seed)
    changes = {"report_q8": -32768, "shift": (12,) * 3, **changes}
    return replace(found, encoder_hash=ENCODER, epoch=epoch, **changes).encode()


def sha(data):
    return hashlib.sha256(data).digest()


@pytest.fixture
def flash():
    return SimulatedFlash(flash_size())


@pytest.fixture
def device(flash):
    return Device(flash, ENCODER)


def receive(device, data):
    code, more = device.begin(data, sha(data))
    assert code == "ok"
    return device.send(data, sha(data), more["missing"])


def install(device, data):
    receive(device, data)
    device.live()
    assert device.state == ("confirmed", "ok")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_in_every_state(state, event):
    if (state, event) in TABLE:
        assert next_state(state, event) in STATES
    else:
        with pytest.raises(WrongEvent):
            next_state(state, event)


def test_table_names_only_these_states_and_events_and_all_are_reached():
    assert {state for state, _ in TABLE} | set(TABLE.values()) == set(STATES)
    assert {event for _, event in TABLE} == set(EVENTS)


def test_swap_goes_through_all_states(device):
    data = built(1)
    assert receive(device, data) == "ok"
    assert device.states == ["receiving", "verified", "trial"]
    assert device.used == sha(data)[:8]
    device.live()
    assert device.states[-1] == "confirmed"


def test_t26_trial_waits_for_frames_and_the_broker(device):
    install(device, built(1))
    data = built(2)
    receive(device, data)
    device.live(frames=2)
    assert device.state == ("trial", "ok")
    device.live(frames=1)
    assert device.state == ("confirmed", "ok")


@pytest.mark.parametrize(("frames", "broker", "code"), [(2, True, "frames"), (9, False, "broker")])
def test_t26_trial_that_does_not_end_goes_back(device, frames, broker, code):
    old, new = built(1), built(2)
    install(device, old)
    device.broker = broker
    receive(device, new)
    device.live(frames=frames, ms=TRIAL_MS - 1)
    assert device.state[0] == "trial"
    device.live(frames=0, ms=1)
    assert device.state == ("reverted", code)
    assert device.used == sha(old)[:8]
    device.broker = True
    install(device, new)


def test_t27_set_that_fails_its_own_test_is_tried_once(device):
    install(device, built(1))
    vector = np.arange(64).astype(np.int8).tobytes()
    bad = built(2, canaries=((0, vector), (1, vector)))  # both cannot be the best
    assert receive(device, bad) == "ok"
    assert device.state == ("reverted", "canary")
    for _ in range(100):
        assert device.begin(bad, sha(bad))[0] == "failed_before"
    assert device.used == sha(built(1))[:8]
    assert device.states.count("reverted") == 1


def test_row_that_does_not_answer_to_itself_is_refused(device):
    receive(device, built(2, report_q8=32767, mult=np.zeros((3, 20), np.uint16)))
    assert device.state == ("reverted", "self_test")
    assert device.used is None


def test_t28_good_set_installs_after_failed_trials(device):
    for seed in range(4):
        receive(device, built(seed, report_q8=32767, mult=np.zeros((3, 20), np.uint16)))
        assert device.state == ("reverted", "self_test")
    install(device, built(9))


@pytest.mark.parametrize("epoch", [4, 5, 6])
@pytest.mark.parametrize("way", ["wire", "resume", "revert", "boot", "factory"])
def test_t29_lower_epoch_is_refused_on_every_way(flash, way, epoch):
    device = Device(flash, ENCODER)
    install(device, built(1, epoch=4 if way in ("boot",) else 5))
    data = built(2, epoch=epoch)
    if way == "wire":
        receive(device, data)
    elif way == "resume":
        device.begin(data, sha(data))
        device.send(data, sha(data), [0])
        device = Device(flash, ENCODER)
        receive(device, data)
    elif way == "revert":
        device.broker = False
        receive(device, data)
        device.live(ms=TRIAL_MS)
        assert device.used == sha(built(1, epoch=5))[:8]
        device.broker = True
        receive(device, data)
    elif way == "boot":
        # the set before it has the lower epoch 4: no way back to it once the last one is damaged
        install(device, built(3, epoch=5))
        flash.bytes[flash.bytes.index(built(3, epoch=5)) + 100] ^= 1
        device = Device(flash, ENCODER)
        assert device.used is None
        receive(device, data)
    else:
        flash.bytes[flash.bytes.index(built(1, epoch=5)) + 100] ^= 1
        device = Device(flash, ENCODER, factory=Factory(data))
        assert device.used == (sha(data)[:8] if epoch >= 5 else None)
        return
    if epoch < 5:
        assert device.state == ("refused", "rollback")
        return
    device.live()
    assert device.state == ("confirmed", "ok")
    assert device.swap.fields()["floor"] == epoch


# offset, type, wrong value, code: what a header of 20 rows, 3 planes and 2 canaries must not say
FIELDS = [
    (0, "4s", b"MEPT", "bad_magic"),
    (4, "B", 9, "bad_format"),
    (4, "B", 2, "bad_bits"),  # that of a codebook
    (5, "B", 3, "bad_bits"),
    (6, "B", 0, "bad_planes"),
    (6, "B", len(SET_DIMS) + 1, "bad_planes"),
    (7, "B", 2, "bad_preprocessing"),
    (8, "8s", b"encodeR8", "wrong_encoder"),
    (16, "I", 0, "rollback"),
    (24, "H", 0, "bad_rows"),
    (24, "H", 19, "bad_rows"),
    (24, "H", MAX_ROWS + 1, "bad_rows"),
    (28, "I", 5000, "bad_size"),
    (32, "I", 64, "bad_names"),
    (36, "I", 7, "bad_names"),
    (40, "I", 7, "bad_crc"),
    (45, "B", 64, "bad_shift"),
    (49, "B", 1, "bad_canaries"),
    (49, "B", MAX_CANARIES + 1, "bad_canaries"),
    (50, "B", 1, "bad_parts"),
    (60, "B", 1, "bad_reserved"),
]


@pytest.mark.parametrize(("offset", "kind", "value", "code"), FIELDS)
def test_t30_each_field_of_the_header_is_refused_with_its_own_code(
    device, offset, kind, value, code
):
    canaries = tuple((row, bytes(64)) for row in (0, 1))
    old, good = built(1), built(2, canaries=canaries)
    install(device, old)
    bad = bytearray(good)
    struct.pack_into("<" + kind, bad, offset, value)
    receive(device, bytes(bad))
    assert device.state == ("refused", code)
    assert device.used == sha(old)[:8]


def test_t30_every_field_is_tried():
    tried = {offset for offset, *_ in FIELDS}
    section = SPEC.read_text().partition("## Prototype set file, format 1")[2]
    table = section.partition("| offset |")[2].partition("\n\n")[0]
    header = {int(offset) for offset in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert header - tried == {20, 26, 44}  # number and margin_q8 have no wrong value
    assert 45 in tried  # for 44: one of five shifts


def test_t30_set_of_other_dimensions_is_refused(flash):
    device = Device(flash, ENCODER, dim=128)
    receive(device, built(2))
    assert device.state == ("refused", "wrong_dim")


@pytest.mark.parametrize(("offset", "value", "code"), [(5, 4, "bad_bits"), (50, 33, "bad_parts")])
def test_t30_header_of_a_codebook_is_refused_with_its_code(offset, value, code):
    bad = bytearray(replace(random_codebook(20, 64, 1), encoder_hash=ENCODER).encode())
    bad[offset] = value
    assert refusal(bytes(bad), ENCODER, 64) == code
    bad[offset] = 8
    assert refusal(bytes(bad), ENCODER, 64) == "bad_set"  # nothing in the header
    assert refusal(bytes(bad), ENCODER, 32) == "wrong_dim"


def test_t30_damaged_set_is_refused(device):
    data = bytearray(built(2))
    data[99] ^= 1
    receive(device, bytes(data))
    assert device.state == ("refused", "bad_crc")
    names = struct.unpack_from("<I", data, 32)[0]
    data = bytearray(built(2))
    data[names + 1] = 0xFF  # no UTF-8
    struct.pack_into("<I", data, 40, zlib.crc32(data[64:]))
    receive(device, bytes(data))
    assert device.state == ("refused", "bad_set")


def test_t31_transfer_goes_on_after_a_restart(flash):
    data = built(1, rows=60)
    device = Device(flash, ENCODER)
    _, more = device.begin(data, sha(data))
    device.send(data, sha(data), [1])
    again = Device(flash, ENCODER)
    assert again.state[0] == "receiving"
    _, rest = again.begin(data, sha(data))
    assert rest["missing"] == [index for index in more["missing"] if index != 1]
    again.send(data, sha(data), rest["missing"])
    again.live()
    assert again.state == ("confirmed", "ok")


def test_restart_in_a_trial_tries_again_three_times_at_most(flash):
    old, data = built(1), built(2)
    install(Device(flash, ENCODER), old)
    device = Device(flash, ENCODER)
    receive(device, data)
    for _ in range(2):
        device = Device(flash, ENCODER)
        assert device.state[0] == "trial"
        assert device.used == sha(data)[:8]
    device = Device(flash, ENCODER)
    assert device.state == ("refused", "interrupted")
    assert device.used == sha(old)[:8]
    assert device.begin(data, sha(data))[0] == "failed_before"


def test_abort_ends_a_transfer_and_a_trial(device):
    data = built(1)
    device.begin(data, sha(data))
    assert device.swap.abort(sha(data)[:8]) == "ok"
    assert device.state == ("idle", "ok")
    receive(device, data)
    assert device.swap.abort(sha(data)[:8]) == "ok"
    assert device.state == ("reverted", "aborted")
    install(device, data)


def test_other_transfer_is_busy_until_the_first_is_silent(device):
    first, second = built(1), built(2)
    device.begin(first, sha(first))
    assert device.begin(second, sha(second))[0] == "busy"
    device.now_ms += 30_000
    assert device.begin(second, sha(second))[0] == "ok"


def test_t33_every_result_carries_the_hash_of_its_set(device):
    sets = [built(seed) for seed in range(3)]
    vector = np.arange(-60, 68).astype(np.int8).tobytes()
    for turn in range(60):
        data = sets[turn % 3]
        receive(device, data)
        device.swap.looked(vector)
        expected = Device(SimulatedFlash(flash_size()), ENCODER).swap.admit(data, sha(data))[1]
        expected.prototypes.match(vector, expected.margins)
        assert (device.used, device.swap.active.margins) == (sha(data)[:8], expected.margins)
        device.live()


def test_flash_that_fails_ends_the_transfer_and_nothing_else(device, flash):
    old, data = built(1), built(2)
    install(device, old)
    device.begin(data, sha(data))
    program = flash.program
    flash.program = lambda offset, data: None
    assert device.send(data, sha(data), [0]) == "internal"
    assert device.state == ("refused", "internal")
    flash.program = program
    assert device.used == sha(old)[:8]
    device.now_ms += 30_000
    install(device, data)


def of_rows(rows, **changes):
    pool = random_set(60, 64, 4)
    parts = {
        "names": tuple(pool.names[row] for row in rows),
        "codes": pool.codes[rows],
        "scale": pool.scale[:, rows],
        "mult": pool.mult[:, rows],
        "offset": pool.offset[:, rows],
        "report_q8": -32768,
        "shift": (12,) * 3,
        "encoder_hash": ENCODER,
    }
    return replace(pool, **{**parts, **changes}).encode()


def begin_with_delta(device, base, data, changes=None):
    changes = encode_delta(base, data) if changes is None else changes
    return device.swap.begin(sha(data), len(data), device.now_ms, sha(base)[:8], changes)


def test_delta_swaps_a_set_without_a_chunk(device, flash):
    base, target = of_rows([0, 1, 2]), of_rows([0, 3, 1, 2], epoch=5)
    install(device, base)
    code, more = begin_with_delta(device, base, target)
    assert (code, more["missing"]) == ("ok", [])
    device.live()
    assert device.state == ("confirmed", "ok")
    assert Device(flash, ENCODER).used == sha(target)[:8]


def test_delta_for_another_set_is_refused_and_the_whole_one_goes(device):
    base, target = of_rows([0, 1, 2]), of_rows([0, 3, 1, 2])
    install(device, of_rows([0, 1]))
    assert begin_with_delta(device, base, target)[0] == "wrong_base"
    assert begin_with_delta(device, of_rows([0, 1]), target, b"MD")[0] == "bad_delta"
    other = encode_delta(of_rows([0, 1]), of_rows([5]))
    assert begin_with_delta(device, of_rows([0, 1]), target, other)[0] == "bad_delta"
    assert device.used == sha(of_rows([0, 1]))[:8]
    install(device, target)


def test_every_row_that_a_delta_adds_must_answer_to_itself(device):
    offset = np.full((3, 22), 0, np.int16)
    base = of_rows(list(range(20)), report_q8=-200, offset=offset[:, :20])
    mult = random_set(60, 64, 4).mult[:, [*range(20), 33, 34]]
    mult[:, 20] = 0
    offset[:, 20] = -300
    target = of_rows([*range(20), 33, 34], mult=mult, offset=offset, report_q8=-200)
    install(device, base)
    begin_with_delta(device, base, target)
    assert device.state == ("reverted", "self_test")
    assert device.used == sha(base)[:8]


def test_delta_goes_on_what_was_received_before(device):
    base, target = of_rows([0, 1, 2]), of_rows(list(range(40)))
    install(device, base)
    device.begin(target, sha(target))
    device.send(target, sha(target), [1])
    assert begin_with_delta(device, base, target)[0] == "ok"
    device.live()
    assert device.used == sha(target)[:8]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "chunk", "abort", "live", "restart", "wait", "delta"]),
            st.integers(0, 2),
            st.integers(0, 3),
        ),
        max_size=40,
    )
)
def test_any_messages_in_any_order_leave_a_whole_set_and_a_device_that_goes_on(happenings):
    sets = [of_rows(list(range(30 + seed)), epoch=seed) for seed in range(3)]
    flash = SimulatedFlash(flash_size())
    device = Device(flash, ENCODER)
    install(device, sets[0])
    floor = 0
    for what, which, number in happenings:
        data = sets[which]
        if what == "begin":
            device.begin(data, sha(data))
        elif what == "chunk":
            piece = data[number * 1024 : number * 1024 + 1024]
            device.swap.chunk(sha(data)[:8], number, piece, device.now_ms)
        elif what == "abort":
            device.swap.abort(sha(data)[:8])
        elif what == "live":
            device.live(frames=number)
        elif what == "restart":
            device = Device(flash, ENCODER)
        elif what == "delta":
            begin_with_delta(device, sets[number % 3], data)
        else:
            device.now_ms += 30_000
            device.swap.tick(device.now_ms)
        fields = device.swap.fields()
        assert fields["set"] in {sha(known)[:8] for known in sets}
        assert device.swap.active.epoch >= fields["floor"] >= floor
        floor = fields["floor"]
    device.live()
    device.now_ms += 30_000
    last = of_rows(list(range(40)), epoch=9)
    install(device, last)
    assert Device(flash, ENCODER).used == sha(last)[:8]
