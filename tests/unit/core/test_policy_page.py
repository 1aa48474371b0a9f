"""docs/policies.md: every example is read, fits the schema, compiles, and does what its scene says.

A scene is a list of frames and, after arrows, the decisions that they lead to, all of them.
"""

import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from moteye import policies
from moteye.actions.rows import is_escalation, rows_for
from moteye.core.boxes import Box
from moteye.core.engine import Decision, Engine, Observation
from moteye.core.hearing import Caption
from moteye.core.language import GRID, Policy, parse_file
from moteye.core.language.actions import ACTIONS
from moteye.core.language.templates import EVENT_NAMES
from moteye.schedule import WhileSchedule
from moteye.text.space import load_space
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "policies.md"
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
_FENCE = re.compile(r"^```(yaml|scene)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FRAMES = re.compile(r"(\d\d:\d\d:\d\d) (\S+): (.*?)(?: ×(\d+))?")
_SAYS = re.compile(r"(\d\d:\d\d:\d\d) (\S+) says: (.*?)(?: ×(\d+))?")
_THING = re.compile(r"(.+?)(?: (\.\d+))?(?: at (\.\d+) (\.\d+))?")
_PICTURE = re.compile(r"picture (\d+)")


@dataclass
class Example:
    """One heading of the page: files by name, the last of them the policy's, and a scene."""

    title: str
    files: dict[str, str] = field(default_factory=dict)
    scene: list[str] = field(default_factory=list)


def examples() -> list[Example]:
    found = []
    for section in re.split(r"^### ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        example = Example(title)
        for kind, text in re.findall(
            r"^```(yaml|scene)\n(.*?)^```", body, flags=re.MULTILINE | re.DOTALL
        ):
            if kind == "scene":
                example.scene = text.splitlines()
            else:
                named = re.match(r"# file: (\S+)\n", text)
                example.files[named[1] if named else "example.yaml"] = text
        found.append(example)
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def space():
    return load_space()


@pytest.fixture(scope="module")
def schema():
    return json.loads((ROOT / "policies" / "policy.schema.json").read_text())


def clock(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M}"


class Scene:
    """Plays the frames of a scene to an engine and writes down what is decided."""

    def __init__(self, compiled, space) -> None:
        self.captions, self.space = compiled.captions, space
        self.engine = Engine()
        self.engine.replace(compiled.policies)
        self.rules = {item.policy.name: item for item in compiled.policies}
        self.phrases = list(compiled.built.prototypes.names)
        self.told: list[str] = []
        self.frame = 0

    def play(self, line: str) -> None:
        if " mqtt " in line:
            topic, _, text = line.split(" mqtt ", 1)[1].partition(": ")
            assert self.engine.tell(topic, text)
            return
        says = _SAYS.fullmatch(line)
        when, camera, things, times = (says or _FRAMES.fullmatch(line)).groups()
        hours, minutes, seconds = map(int, when.split(":"))
        for second in range(int(times or 1)):
            offset = timedelta(hours=hours, minutes=minutes, seconds=seconds + second)
            (self.hear if says else self.look)(
                camera, things, int((MONDAY + offset).timestamp() * 1000)
            )

    def hear(self, camera: str, text: str, time_ms: int) -> None:
        self.frame += 1
        where = (camera, 1, self.frame, self.frame, time_ms)
        vector = self.space.sentence_vector(text)
        caption = Caption(*where, embedding=vector, encoder=self.captions.encoder, text=text)
        margins = self.captions.scorer.margins_q8(caption.vector)[0]
        for decision in self.engine.hear(caption, margins):
            self.write(decision)

    def look(self, camera: str, things: str, time_ms: int) -> None:
        self.frame += 1
        margins = np.full(len(self.phrases), -1500, np.int16)
        boxes, embedding = [], b""
        picture = _PICTURE.fullmatch(things)
        if picture:
            embedding = (
                np.random.default_rng(int(picture[1])).integers(-99, 99, 256, np.int8).tobytes()
            )
        elif things != "nothing":
            for thing in things.split(", "):
                phrase, probability, x, y = _THING.fullmatch(thing).groups()
                column = self.phrases.index(phrase)
                margin = self.margin(column, probability)
                margins[column] = margin
                if x:
                    foot = round(GRID * float(x)), round(GRID * float(y))
                    edges = (foot[0] - 50, foot[1] - 300, foot[0] + 50, foot[1])
                    boxes.append(Box(column, margin, *edges))
        placed = tuple(boxes) if boxes or any(r.policy.boxed for r in self.rules.values()) else None
        where = (camera, 1, self.frame, self.frame, time_ms)
        seen = Observation(*where, boxes=placed, embedding=embedding)
        for decision in self.engine.observe(seen, margins):
            self.write(decision)
        for ending in self.engine.take_ended():
            self.told.append(f"→ ended after {ending.duration_ms / 1000:.0f} s")

    def margin(self, column: int, probability: str | None) -> int:
        if probability:
            return round(256 * math.log(float(probability) / (1 - float(probability))))
        enter = [
            int(limit)
            for rule in self.rules.values()
            for at, limit in zip(rule.columns, rule.enter_q8, strict=True)
            if at == column
        ]
        return max(enter) + 256

    def write(self, decision: Decision) -> None:
        policy = self.rules[decision.policy].policy
        if not decision.fired:
            self.told.append(f"→ no alert: {decision.reason}")
            return
        word = f": {decision.reason}" if decision.severity else ""
        word = f": {policy.name}" if len(self.rules) > 1 else word
        at = f" at {clock(decision.due_ms)}" if decision.due_ms else ""
        self.told.append(f"→ alert{at}{word}")
        rows = [row for row in rows_for(decision, policy) if is_escalation(row)]
        self.told += [f"→ at {clock(row['due_ms'])} again" for row in rows]


def test_the_page_has_at_least_twenty_examples_with_scenes():
    assert len(EXAMPLES) >= 20
    assert all(example.files and example.scene for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_example(example, space, schema, tmp_path):
    for name, text in example.files.items():
        (tmp_path / name).write_text(text)
        jsonschema.validate(YAML(typ="safe", pure=True).load(text), schema)
    found = policies.load(tmp_path / "example.yaml")
    compiled = space.compile(found, number=1, dim=64, schedule_of=WhileSchedule)
    scene = Scene(compiled, space)
    for frames, arrows in _blocks(example.scene):
        scene.told.clear()
        scene.play(frames)
        assert (frames, scene.told) == (frames, arrows)


def _blocks(scene: list[str]) -> list[tuple[str, list[str]]]:
    """Each line of frames with the arrows behind it."""
    blocks: list[tuple[str, list[str]]] = []
    for line in scene:
        if line.startswith("→"):
            blocks[-1][1].append(line)
        else:
            blocks.append((line, []))
    return blocks


def test_every_key_action_and_value_of_a_template_is_on_the_page():
    text = PAGE.read_text()
    keys = {item.alias or name for name, item in Policy.model_fields.items()}
    assert {key for key in {*keys, *ACTIONS} if f"`{key}`" not in text} == set()
    assert " ".join(EVENT_NAMES) in text


def test_a_policy_of_the_page_alone_is_read_without_files():
    assert len(parse_file(EXAMPLES[0].files["example.yaml"], "p.yaml", "p")) == 1
