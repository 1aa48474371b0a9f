"""Replay, backtest, why, decisions: on recordings made here."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from moteye import history, policies
from moteye.actions.alert import Alert
from moteye.actions.rows import rows_of
from moteye.cli.app import app
from moteye.core.compile import compile_policies
from moteye.core.decisions import Decision, Gate
from moteye.history import Replay, compare
from moteye.schedule import WhileSchedule
from moteye.store import Batch, RecordedEvent, Store, default_url
from moteye.text.space import load_space
from support.live import cat_and_coffee
from typer.testing import CliRunner

BACKTEST_LIMIT_S = 60


@pytest.fixture(scope="module")
def space():
    return load_space()


@pytest.fixture(scope="module")
def views():
    return cat_and_coffee()


def compiled_of(space, folder):
    return compile_policies(
        policies.load(folder),
        space.phrase_vectors,
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=64,
        schedule_of=WhileSchedule,
    )


def write(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(f"{text}\nthen: [log]\n")
    return folder


@pytest.fixture
def recording(space, views):
    """Ten minutes, a frame a second: a cup for ten seconds of every minute."""
    cat, coffee = views
    now = int(time.time() * 1000) - 3_600_000
    events = [RecordedEvent("s", time_ms=now)]
    for second in range(600):
        view = coffee if second % 60 >= 50 else cat
        frame = second + 1
        moment = now + 1000 * second
        where = ("cam", 1, frame, frame, moment)
        events.append(RecordedEvent("e", *where, space.encoder_hash, view.tobytes()))
    return events


CUP = "see: a cup of coffee\ncertainty: p >= 0.4\n"


def test_an_edited_policy_is_compared_with_the_decisions_on_record(
    space, recording, tmp_path, monkeypatch
):
    folder = write(tmp_path / "policies", cup=CUP + "cooldown: 0s")
    live = list(Replay(compiled_of(space, folder), space.encoder_hash).feed(recording))
    assert sum(d.fired for d in live) == 10
    store = Store(default_url())
    store.commit(Batch(events=recording, decisions=live))
    edited = write(tmp_path / "edited", cup=CUP + "cooldown: 5m")
    arguments = ["backtest", "--policy", str(edited), "--since", "30d"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "600 events in" in shown.output
    result = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert (len(result["fired"]), result["same"]) == (2, 2)
    assert (len(result["gained"]), len(result["lost"])) == (0, 8)
    assert result["suppressed"] == {"cooldown": 8}
    unchanged = ["backtest", "--policy", str(folder), "--json"]
    result = json.loads(CliRunner().invoke(app, unchanged).output)
    assert (result["same"], result["gained"], result["lost"]) == (10, [], [])
    assert CliRunner().invoke(app, [*unchanged, "--strict"]).exit_code == 0
    report = tmp_path / "report.html"
    changed = CliRunner().invoke(app, [*arguments, "--strict", "--plot", str(report)])
    assert changed.exit_code == 1, "alerts were lost"
    assert "would fire" in report.read_text()
    wrong = CliRunner().invoke(app, [*arguments, "--plot", "report.doc"])
    assert ".html or .svg" in str(wrong.exception)


def test_a_backtest_counts_and_plots_by_day(space, recording, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    days = [replace(e, time_ms=e.time_ms - 86_400_000 * d) for d in (2, 1, 0) for e in recording]
    events = [replace(e, frame=at, number=at) for at, e in enumerate(days)]
    folder = write(tmp_path / "policies", cup=CUP + "cooldown: 5m")
    live = list(Replay(compiled_of(space, folder), space.encoder_hash).feed(events))
    Store(default_url()).commit(Batch(events=events, decisions=live))
    shown = CliRunner().invoke(app, ["backtest", "--policy", str(folder), "--since", "30d"])
    assert shown.exit_code == 0, shown.output
    assert "by day" in shown.output
    assert "█" in shown.output, "a plot"
    told = CliRunner().invoke(app, ["backtest", "--policy", str(folder), "--json"])
    counted = json.loads(told.output)["days"]
    assert sum(fires for fires, _, _ in counted.values()) == 6
    assert all(fires == record for fires, record, _ in counted.values())
    assert sum(held for _, _, held in counted.values()) == 24


def test_a_backtest_of_one_file_knows_the_policies_that_it_waits_for(space, recording, tmp_path):
    waits = "name: coffee\nwhile: {policy: {name: cup, is: absent}}\n"
    folder = write(tmp_path / "policies", cup=CUP, coffee=CUP + waits)
    live = list(Replay(compiled_of(space, folder), space.encoder_hash).feed(recording))
    Store(default_url()).commit(Batch(events=recording, decisions=live))
    arguments = ["backtest", "--since", "30d", "--policy"]
    shown = CliRunner().invoke(app, [*arguments, str(folder / "coffee.yaml")])
    assert "as written beside the file: cup" in shown.output, shown.output
    fired = sum(d.fired for d in live if d.policy == "coffee")
    told = CliRunner().invoke(app, [*arguments, str(folder / "coffee.yaml"), "--json"])
    assert (json.loads(told.output)["same"], json.loads(told.output)["gained"]) == (fired, [])


def test_alerts_are_matched_by_camera_and_time():
    one = Decision("a", "p", "cam", True, "seen", "x", 1, 1, 1, 1, 100_000)
    moved = replace(one, id="b", time_ms=104_000)
    other = replace(one, id="c", device="porch")
    quiet = replace(one, fired=False, gates=(Gate("cooldown", False, "cooldown: 3 s left"),))
    result = compare([one, other, quiet], [moved, replace(one, time_ms=500_000)])
    assert result.same == 1
    assert [d.device for d in result.gained] == ["porch"]
    assert [d.time_ms for d in result.lost] == [500_000]
    assert result.suppressed == {"cooldown": 1}


def test_events_of_another_encoder_are_skipped(space, recording, tmp_path):
    folder = write(tmp_path / "policies", cup=CUP)
    replay = Replay(compiled_of(space, folder), b"another!")
    assert list(replay.feed(recording)) == []
    assert (replay.seen, replay.skipped) == (0, 600)


def test_a_replay_in_pages_decides_as_one_frame_after_the_other(
    space, recording, tmp_path, monkeypatch
):
    folder = write(tmp_path / "policies", cup=CUP + "new: true", other="see: a cat\ngone: 5s")
    compiled = compiled_of(space, folder)
    lines = []
    for size in (1, 7, 4096):
        monkeypatch.setattr(history, "BATCH", size)
        replay = Replay(compiled, space.encoder_hash)
        lines.append([decision.json() for decision in replay.feed(recording)])
    assert lines[0] == lines[1] == lines[2]
    assert lines[0]


def test_why_answers_for_a_moment_when_nothing_fired(space, recording, tmp_path):
    folder = write(tmp_path / "policies", cup=CUP + "for: 30s")
    store = Store(default_url())
    live = list(Replay(compiled_of(space, folder), space.encoder_hash).feed(recording))
    store.commit(Batch(events=recording, decisions=live))
    begin = recording[1].time_ms

    def why(second: int) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime((begin // 1000) + second + 1))
        arguments = ["why", "cup", "--at", moment, "--policies", str(folder)]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    assert "best phrase: a cup of coffee, probability 0." in why(30)
    assert "below" in why(30).split("missing: ")[1]
    assert "seen in 2 of 2 frames" in why(57)
    assert "of 30.0 s" in why(57).split("missing: ")[1]


def test_why_and_decisions_show_gates_and_what_became_of_actions(tmp_path):
    gate = Gate("margin", True, "margin 2.73 at or above 1.17")
    now = int(time.time() * 1000)
    fired = Decision("ab12cd34" * 2, "p", "cam", True, "seen", "a cat", 700, 300, 4, 1, now)
    fired = replace(fired, gates=(gate,))
    quiet = replace(fired, id="ffff" * 4, fired=False, reason="cooldown: 41 s left")
    (log,) = policies.load(write(tmp_path / "policies", p="see: a cat"))[0].then
    rows = rows_of(fired, Alert.of(fired, 0.9), [log, log])
    rows[0] |= {"state": "done", "attempts": 1}
    rows[1] |= {"state": "dead", "attempts": 10, "error": "HTTP 500"}
    Store(default_url()).commit(Batch(decisions=[fired, quiet], outbox=rows))
    shown = CliRunner().invoke(app, ["why", "ab12"]).output
    for text in ("fired", "✓ margin 2.73 at or above 1.17", "log delivered", "given up after 10"):
        assert text in shown
    shown = CliRunner().invoke(app, ["decisions", "--json"]).output
    listed = [json.loads(line) for line in shown.splitlines()]
    assert [one["reason"] for one in listed] == ["seen", "cooldown: 41 s left"]
    assert listed[0]["actions"][1] == "log given up after 10 tries: HTTP 500"
    table = CliRunner().invoke(app, ["decisions", "--fired"], env={"COLUMNS": "200"}).output
    assert "given up after 10 tries" in table
    assert "41 s left" not in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decisions"], "is not there"),
        (["why", "p"], "is not there"),
        (["backtest", "--policy", "x", "--store", "mysql://x"], "not mysql"),
    ],
)
def test_without_a_store_it_says_so(arguments, message):
    done = CliRunner().invoke(app, arguments)
    assert message in str(done.exception)


@pytest.mark.parametrize("since", ["30", "x"])
def test_a_span_that_is_none_is_explained(since):
    Store(default_url())
    done = CliRunner().invoke(app, ["decisions", "--since", since])
    assert "--since" in str(done.exception)


def test_a_backtest_takes_less_than_a_minute_for_a_million_events(space, views, tmp_path):
    """A tenth of the million, read from SQLite; the whole is measured in docs/decisions.md."""
    events_in_all = 100_000
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(view + rng.integers(-3, 4, (500, 256)), -127, 127).astype(np.int8).tobytes()
        for view in views
    ]
    store = Store(str(tmp_path / "long.db"))
    events = []
    for number in range(events_in_all):
        place = (number % 500) * 256
        data = noisy[number // 200 % 2][place : place + 256]
        where = ("cam", 1, number, number, 1_000_000 + 2000 * number)
        events.append(RecordedEvent("e", *where, space.encoder_hash, data))
    store.commit(Batch(events=events))
    folder = write(tmp_path / "policies", cup=CUP + "cooldown: 10m")
    replay = Replay(compiled_of(space, folder), space.encoder_hash)
    began = time.process_time()
    decided = list(replay.feed(store.events()))
    took_s = time.process_time() - began
    fired = sum(decision.fired for decision in decided)
    print(f"{replay.seen:,} events: {took_s:.1f} s, {len(decided)} decisions, {fired} fired")
    assert replay.seen == events_in_all
    assert fired > 100
    assert took_s <= 60 * events_in_all / 1_000_000
