"""Runs checks one after the other and keeps what became of each."""

import contextlib
from collections.abc import Callable, Collection

from moteye_protocol import wire

# The order in which a device is tried: gently first.
from moteye.conformance import asking, keys, seeing, swapping, watching  # noqa: F401
from moteye.conformance import power as power_checks
from moteye.conformance.bench import Bench, Failed, NotTried
from moteye.conformance.kit import CHECKS, WHY_NOT, Attempt, Check, Need, Result
from moteye.conformance.rig import Rig


async def run_kit(
    bench: Bench,
    rig: Rig | None = None,
    *,
    swap: bool = False,
    only: Collection[str] = (),
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Try every rule, or those named in `only`, on the device of `bench`.

    `rig` lends power over the device; `swap` allows to replace its prototype set. Raises Failed
    when the device cannot be found.
    """
    attempt = Attempt(bench, rig)
    await _meet(attempt)
    results = []
    for check in CHECKS.values():
        if only and check.id not in only:
            continue
        result = await _try(check, attempt, swap=swap)
        results.append(result)
        if on_result is not None:
            on_result(result)
        if result.outcome == "failed":
            with contextlib.suppress(Failed, TimeoutError):
                await _tidy_up(attempt)
    return results


async def _meet(attempt: Attempt) -> None:
    """Wait until the device has said who it is; ask it where the broker does not know."""
    bench = attempt.bench
    try:
        await bench.until(lambda: bench.newest("birth"), "birth", bench.patience_s / 2)
    except Failed:
        mark = bench.mark
        await bench.send("command", bench.command("report"))
        await bench.next("birth", mark, what=f"birth of {bench.device}: is it on this broker?")
    if bench.checks_keys and bench.key is None:
        raise Failed("it obeys signed commands only: name the fleet's keys file in `keys`")
    await bench.settle()


async def _tidy_up(attempt: Attempt) -> None:
    """After a check that failed: end its transfer and start the device anew, where that can be."""
    bench = attempt.bench
    if attempt.lent is not None:
        await power_checks.recover(attempt)
    if bench.begun is not None:
        await bench.ask("set.abort", {"set": bench.begun})


async def _try(check: Check, attempt: Attempt, *, swap: bool) -> Result:
    for need in sorted(check.needs):
        if not _has(need, attempt, swap=swap):
            return Result(check.id, check.title, "not tried", WHY_NOT[need])
    try:
        await check.run(attempt)
    except Failed as error:
        return Result(check.id, check.title, "failed", str(error))
    except TimeoutError:
        return Result(check.id, check.title, "failed", "the broker did not answer in time")
    except NotTried as error:
        return Result(check.id, check.title, "not tried", str(error))
    except (KeyError, TypeError, AttributeError) as error:
        return Result(check.id, check.title, "failed", f"a key is missing or wrong: {error!r}")
    return Result(check.id, check.title, "passed")


def _has(need: Need, attempt: Attempt, *, swap: bool) -> bool:
    birth = attempt.bench.newest("birth") or {}
    match need:
        case "rig":
            return attempt.lent is not None
        case "swap":
            ops = birth.get("ops")
            return swap and isinstance(ops, list) and "set.begin" in ops
        case "frames":
            return birth.get("frames") is True
        case "kept":
            return birth.get("frames") is not True
        case "clock":
            return isinstance(birth.get("t"), int)
        case "keys":
            return attempt.bench.signing_key is not None
        case "plain":
            return attempt.bench.signing_key is None


def unknown(ids: Collection[str]) -> list[str]:
    """Ids for which there is no check."""
    return sorted(set(ids) - set(CHECKS))


assert wire.VERSION == 1  # a kit for one version; the next gets its own
