"""`new: instance` on scenes composed of photos, through the shipped encoder (T34, T35)."""

import json

import numpy as np
import pytest
import support.firmware_host  # noqa: F401  puts the firmware's modules there
from colour import colour_percent
from moteye.camera.scene import load_scene
from moteye.camera.sources import Clock
from moteye.core.engine import Engine, Observation
from moteye.core.language import parse_policy
from moteye.core.seen import is_infrared
from moteye.imaging import ImageEncoder
from moteye.text.space import load_space

LEFT = {"photo": "skimage:coffee", "box": [8, 70, 78, 140]}
RIGHT = {"photo": "skimage:coffee", "box": [100, 50, 188, 140]}
POLICY = 'see: a cup of coffee\ncertainty: "p >= 0.2"\nnew: instance\ncooldown: 0s\nthen: [log]\n'
FRAMES = 4  # of each shot


class Table:
    """A camera before a table; `show` gives the decisions on some frames of one arrangement."""

    def __init__(self, folder, space, encoder) -> None:
        self.folder, self.encoder = folder, encoder
        self.compiled = space.compile([parse_policy(POLICY, "cup", "cup")], number=1, dim=64)
        self.engine = Engine()
        self.engine.replace(self.compiled.policies)
        self.number = 0

    def show(self, *cups, light=(), minutes=5):
        shot = {"photo": "#807060", "paste": list(cups), "effects": list(light), "seconds": 60}
        path = self.folder / "scene.yaml"
        path.write_text(json.dumps({"size": [192, 144], "noise": 1.5, "shots": [shot]}))
        scene = load_scene(path, clock=Clock())
        decisions = []
        for _ in range(FRAMES):
            self.number += 1
            rgb = scene.render(self.number, 1.0)
            view = self.encoder.encode(rgb)
            percent = colour_percent(rgb.tobytes(), 192, 144)
            seen = Observation(
                *("cam", 1, self.number, self.number, 1000 * self.number),
                embedding=view.tobytes(),
                infrared=is_infrared(percent),
            )
            margins = self.compiled.scorer.margins_q8(view[None])[0]
            decisions += self.engine.observe(seen, margins)
        return decisions


@pytest.fixture
def table(tmp_path):
    space = load_space()
    return Table(tmp_path, space, ImageEncoder(space.model / "encoder.tflite"))


def alerts(decisions) -> list[str]:
    return [gate.text for d in decisions if d.fired for gate in d.gates if gate.name == "known"]


def test_t34_three_lights_and_a_parked_thing_and_one_arrival_make_one_alert(table):
    lights = [(), ("dim .6",), ("dim .45",), (), ("grey", "dim .9"), ()]
    day = [decision for light in lights for decision in table.show(LEFT, light=light)]
    assert alerts(day) == []
    (news,) = alerts(table.show(LEFT, RIGHT))
    assert news.startswith("new: the nearest is a cup of coffee#1, similarity 0.")
    evening = [d for light in lights[:3] for d in table.show(LEFT, RIGHT, light=light)]
    assert alerts(evening) == []
    memory = table.engine.novelty.memories[table.compiled.policies[0].memory, "cam"]
    kinds = np.array([view.infrared for thing in memory.things for view in thing.views])
    assert len(memory.things) == 2
    assert kinds.any() and not kinds.all()  # noqa: PT018  both lights are remembered


def test_t35_a_second_thing_stays_when_the_first_leaves_one_alert_for_it(table):
    assert alerts(table.show()) == []
    assert len(alerts(table.show(LEFT))) == 1
    assert len(alerts(table.show(LEFT, RIGHT))) == 1
    assert alerts(table.show(RIGHT)) == []
    assert alerts(table.show(RIGHT)) == []
    assert alerts(table.show()) == []
    back = table.show(LEFT)
    assert [d.reason.partition(",")[0] for d in back] == ["known: a cup of coffee#1"]
