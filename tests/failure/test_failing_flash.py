"""Each flash operation of a swap fails in turn, with the power on: nothing is half applied."""

import pytest
from power.scenarios import BAD, ENCODER, GOOD, install, sha
from support.failing import Failing, sweep
from support.firmware_host import Device, flash_size
from support.flash_simulator import SimulatedFlash

CONFIRMED = sha(GOOD[1])[:8]
COMING = sha(GOOD[2])[:8]


def with_a_set() -> SimulatedFlash:
    flash = SimulatedFlash(flash_size())
    install(flash, GOOD[1])
    return flash


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_flash_error_at_every_operation_of_a_swap(lasting):
    untouched = bytes(with_a_set().bytes)

    def attempt(failing: Failing) -> None:
        flash = SimulatedFlash(flash_size())
        flash.bytes[:] = untouched
        flash.broken, flash.fail_at, flash.lasting = True, failing.fail_at, lasting
        device = Device(flash, ENCODER)
        answer, more = device.begin(GOOD[2], sha(GOOD[2]))
        sent = "ok"
        if answer == "ok":
            sent = device.send(GOOD[2], sha(GOOD[2]), more["missing"])
            device.live()
        failing.failures = flash.failures
        state, code = device.state
        assert device.used in (CONFIRMED, COMING)
        assert (device.used == COMING) == (state == "confirmed"), "in use, or said to be: not both"
        if device.used == CONFIRMED and flash.failures:
            assert "internal" in (answer, sent, code), "a failure has a code"
        flash.fail_at = None
        booted = Device(flash, ENCODER)
        assert booted.used in (device.used, COMING), "a restart does not go back"
        booted.live()
        install(flash, GOOD[3])
        assert Device(flash, ENCODER).used == sha(GOOD[3])[:8], "the next set installs"

    assert sweep(attempt, lasting=lasting, share=0.2) > 100


def test_flash_error_at_every_operation_of_a_revert():
    untouched = bytes(with_a_set().bytes)

    def attempt(failing: Failing) -> None:
        flash = SimulatedFlash(flash_size())
        flash.bytes[:] = untouched
        flash.broken, flash.fail_at = True, failing.fail_at
        device = install(flash, BAD)
        failing.failures = flash.failures
        assert device.used == CONFIRMED
        assert device.state[0] in ("reverted", "refused", "idle")
        flash.fail_at = None
        assert Device(flash, ENCODER).used in (CONFIRMED, sha(BAD)[:8])
        assert Device(flash, ENCODER).swap.fields()["floor"] == 1, "the floor never rose"

    assert sweep(attempt, share=0.2) > 100
