"""make bench-host: what the agent costs and how fast it is, beside the targets.

    python tests/bench/host/bench_host.py [--short] [--only ID …] [--kills 200]

Prints a table and writes build/bench/host.json; shape and ids: benchmarks.md. Rates and latencies
are those of the machine at this moment: the table names its load. Costs an event are processor
time, which other programs disturb little.
"""

import argparse
import asyncio
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
for folder in (HERE, ROOT / "tests", ROOT / "host_agent", ROOT / "protocol"):
    sys.path.insert(0, str(folder))
os.environ.setdefault("XDG_CACHE_HOME", str(ROOT / "build" / "bench" / "cache"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the agent has it
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:4])

import engine  # noqa: E402
import link  # noqa: E402
import structlog  # noqa: E402
import workload  # noqa: E402
from moteye.text.space import Space, load_space  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from support.figures import add_rows  # noqa: E402
from support.kill9 import kill_again_and_again  # noqa: E402

# id: (unit, target, whether more is better)
GOALS: dict[str, tuple[str, float, bool]] = {
    "durable_over_bare_loop": ("ratio", 0.5, True),
    "engine_us_per_event": ("µs", 40, False),
    "publish_to_action_p99_ms": ("ms", 30, False),
    "policy_1000_over_100": ("ratio", 2, False),
    "rss_mb_10k_devices": ("MB", 400, False),
    "ready_s": ("s", 2, False),
    "phrase_ms": ("ms", 100, False),
    "backtest_1m_s": ("s", 60, False),
    "kill9.lost": ("count", 0, False),
    "kill9.doubled": ("count", 0, False),
    "kill9.unknown_shown": ("share", 1, True),
}
SEEN_A_FRAME = 3.0  # 1 % of 300 phrases


@dataclass
class Bench:
    """One run; `rows` in the order of the measurements."""

    space: Space
    folder: Path
    short: bool
    kills: int
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, value: float, conditions: str, **more: Any) -> None:
        """One row of host.json."""
        unit, target, _ = GOALS[name]
        row = {"id": name, "value": round(value, 3), "unit": unit, "target": target, **more}
        self.rows.append({**row, "conditions": f"{conditions}; load {os.getloadavg()[0]:.1f}"})
        print(f"  {name} = {value:.3f} {unit}: {conditions}", flush=True)

    def throughput(self) -> None:
        """Agent and bare loop, in turns."""
        count, rounds = (4000, 1) if self.short else (20_000, 3)
        pairs = link.throughput(self.space, self.folder, devices=1000, count=count, rounds=rounds)
        ratios = sorted(agent / bare for bare, agent in pairs)
        bare, agent = (statistics.median(side) for side in zip(*pairs, strict=True))
        self.add(
            "durable_over_bare_loop",
            statistics.median(ratios),
            f"{count} events, 1,000 devices, 100 policies, 300 phrases, SQLite, mosquitto with "
            f"max_inflight_messages 1000; medians of {rounds}: agent {agent:.0f}/s, bare aiomqtt "
            f"loop with msgpack {bare:.0f}/s",
            rival="bare aiomqtt loop",
            rival_value=round(bare, 1),
            ratio=round(statistics.median(ratios), 3),
        )

    def engine_cost(self) -> None:
        """An event in batches; and the thousandth policy."""
        events = 6400 if self.short else 32_000
        costs: dict[tuple[int, float], tuple[float, float]] = {}
        for policies in (100, 1000):
            found = engine.compiled(self.space, policies)
            for seen in (0.0, SEEN_A_FRAME):
                costs[policies, seen] = asyncio.run(
                    engine.us_per_event(
                        self.space, found, seen_a_frame=seen, events=events, devices=1000
                    )
                )
        busy, quiet = costs[100, SEEN_A_FRAME], costs[100, 0.0]
        self.add(
            "engine_us_per_event",
            busy[0],
            f"processor time (wall {busy[1]:.0f}), batches of {engine.BATCH}, 1,000 devices, 100 "
            f"policies, SQLite; in a quarter of the batches 1 % of the phrases are seen; where "
            f"nothing is seen {quiet[0]:.0f}",
        )
        many = costs[1000, SEEN_A_FRAME]
        self.add(
            "policy_1000_over_100",
            many[0] / busy[0],
            f"processor time, {many[0]:.0f} over {busy[0]:.0f} µs, as many things seen; where "
            f"nothing is seen {costs[1000, 0.0][0]:.0f} over {quiet[0]:.0f}",
        )

    def latency(self) -> None:
        """500 events a second."""
        seconds = 4 if self.short else 20
        found = asyncio.run(link.latencies_ms(self.space, self.folder, rate=500, seconds=seconds))
        self.add(
            "publish_to_action_p99_ms",
            link.p99(found),
            f"500 events/s for {seconds} s, {len(found)} alerts, 100 policies, SQLite; median "
            f"{statistics.median(found):.1f}",
        )

    def memory(self) -> None:
        """A process that has seen 10,000 devices."""
        command = [sys.executable, str(HERE / "engine.py"), "rss", "1000", "10000"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        conditions = (
            "peak resident set, 1,000 policies, 3,000 phrases, three frames a device and the "
            "background of years"
        )
        self.add("rss_mb_10k_devices", float(done.stdout), conditions)

    def starts(self) -> None:
        """From nothing to ready; and one phrase."""
        rounds = 1 if self.short else 5
        found = link.ready_s(self.folder, rounds)
        self.add("ready_s", min(found), f"best of {rounds}, 100 policies, 300 phrases in the cache")
        times = []
        for number in range(3 if self.short else 15):
            text = f"see: a thing of kind {number} {time.time_ns()}\nthen: [log]\n"
            policy = workload.parse_policy(text, "new", "new")
            began = time.perf_counter()
            self.space.compile([policy], number=1, dim=64)
            times.append(1000 * (time.perf_counter() - began))
        conditions = "median, text tower, calibration and set of one phrase that is not cached"
        self.add("phrase_ms", statistics.median(times), conditions)

    def backtest(self) -> None:
        """A million events through one policy."""
        events = 100_000 if self.short else 1_000_000
        wall, processor, decided = engine.backtest_s(self.space, events)
        if self.short:
            print(f"  backtest of {events} events: {wall:.1f} s")
            return
        conditions = f"SQLite, {decided} decisions, {processor:.1f} s of processor time"
        self.add("backtest_1m_s", wall, conditions)

    def kill9(self) -> None:
        """Kills at random moments under load."""
        with link.broker(self.folder) as port:
            done = asyncio.run(
                kill_again_and_again(
                    self.folder / "kill9",
                    port=port,
                    store=str(self.folder / "kill9.db"),
                    kills=self.kills,
                )
            )
        conditions = (
            f"{done.kills} kills at random moments, {done.frames} frames, {done.alerts} alerts at "
            f"mqtt, webhook and command, {done.again} delivered again under the same key"
        )
        for problem in done.problems:
            print(f"  {problem}")
        self.add("kill9.lost", done.lost, conditions)
        self.add("kill9.doubled", done.doubled, conditions)
        if done.unknown + done.hidden:
            self.add(
                "kill9.unknown_shown",
                done.unknown / (done.unknown + done.hidden),
                f"{done.unknown} commands without a known end shown, {done.hidden} hidden",
            )


MEASURES: dict[str, tuple[Callable[[Bench], None], tuple[str, ...]]] = {
    "throughput": (Bench.throughput, ("durable_over_bare_loop",)),
    "engine": (Bench.engine_cost, ("engine_us_per_event", "policy_1000_over_100")),
    "latency": (Bench.latency, ("publish_to_action_p99_ms",)),
    "memory": (Bench.memory, ("rss_mb_10k_devices",)),
    "starts": (Bench.starts, ("ready_s", "phrase_ms")),
    "backtest": (Bench.backtest, ("backtest_1m_s",)),
    "kill9": (Bench.kill9, ("kill9.lost", "kill9.doubled", "kill9.unknown_shown")),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="smaller numbers; writes nothing")
    parser.add_argument("--only", nargs="*", choices=sorted(GOALS), help="only these ids")
    parser.add_argument("--kills", type=int, default=200)
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="moteye-bench-") as folder:
        bench = Bench(load_space(), Path(folder), args.short, 3 if args.short else args.kills)
        for measure, ids in MEASURES.values():
            if not args.only or set(ids) & set(args.only):
                measure(bench)
    show(bench.rows)
    if not args.short:
        add_rows(ROOT / "build" / "bench" / "host.json", bench.rows)


def show(rows: list[dict[str, Any]]) -> None:
    """The table for people."""
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(title=f"the agent on {where}", title_justify="left")
    for heading in ("id", "value", "target", "", "conditions"):
        table.add_column(heading)
    for row in rows:
        _, target, more = GOALS[row["id"]]
        met = row["value"] >= target if more else row["value"] <= target
        sign = "≥" if more else "≤"
        shown = f"{row['value']:g} {row['unit']}"
        table.add_row(
            row["id"], shown, f"{sign} {target:g}", "met" if met else "missed", row["conditions"]
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
