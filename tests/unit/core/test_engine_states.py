"""What an engine knows beyond one camera and one score: states, groups, endings, positions."""

import random

import numpy as np
import pytest
from moteye.core.boxes import Box
from moteye.core.change import ONE_Q12, Scene
from moteye.core.engine import CompiledPolicy, Engine, Observation, Track
from moteye.core.language import parse_file
from moteye.core.track import BAND_Q8

SEEN, ABSENT = 900, -500


def rules(text: str, phrases=("a", "b")) -> tuple[CompiledPolicy, ...]:
    """Policies of a file; the columns are the places of `phrases`."""
    found = []
    for one in parse_file(text, "p.yaml", "p"):
        policy = one.policy
        columns = np.array([phrases.index(phrase) for phrase in policy.phrases], np.int64)
        upgrade = np.full(len(columns), 800, np.int32) if policy.upgrade else None
        enter = np.full(len(columns), 300, np.int32)
        name = f"{policy.name}:{text}"
        found.append(CompiledPolicy(policy, columns, enter, name, None, upgrade))
    return tuple(found)


class House:
    """Cameras before one engine, a frame a second."""

    def __init__(self, text: str) -> None:
        self.rules = rules(text)
        self.engine = Engine()
        self.engine.replace(self.rules)
        self.frame = 0
        self.time_ms = 1_000_000

    def see(self, *frames, camera="cam", boxes=None, pictures=None, step_ms=1000):
        """Each frame is (margin of a, margin of b)."""
        decisions = []
        for number, frame in enumerate(frames):
            self.frame += 1
            self.time_ms += step_ms
            placed = None if boxes is None else tuple(boxes)
            picture = b"" if pictures is None else pictures[number].tobytes()
            where = (camera, 1, self.frame, self.frame, self.time_ms)
            seen = Observation(*where, boxes=placed, embedding=picture)
            decisions += self.engine.observe(seen, np.array(frame, np.int16))
        return decisions

    def restart(self) -> None:
        """Another engine goes on with what was stored."""
        plain = {key: track.plain() for key, track in self.engine.snapshot().items()}
        self.engine = Engine()
        self.engine.replace(self.rules)
        self.engine.restore({key: Track.of_plain(state) for key, state in plain.items()})
        self.engine.start()


A, B, BOTH, NONE = (SEEN, ABSENT), (ABSENT, SEEN), (SEEN, SEEN), (ABSENT, ABSENT)


def box(column, x, y, margin=SEEN):
    return Box(column, margin, x - 50, y - 400, x + 50, y)


def told(decisions):
    return [d.phrase if d.fired else d.reason for d in decisions]


def test_t37_a_class_that_was_held_back_does_not_hold_back_another():
    """A bicycle that is known is no alert; a person two seconds later is one."""
    house = House("see: [a, b]\nnew: true\ncooldown: {for: 1h, per: class}\nthen: [log]\n")
    first = told(house.see(A, A))
    assert first == ["known: it was there when watching began"]
    assert told(house.see(BOTH, BOTH)) == ["b"]
    assert told(house.see(NONE, NONE, BOTH, BOTH)) == ["a", "cooldown: 3596 s left"]


def test_t37_the_cooldown_of_a_class_begins_with_its_own_delivery():
    house = House("see: [a, b]\ncooldown: {for: 1h, per: class}\nthen: [log]\n")
    alerts = house.see(BOTH, BOTH)
    assert told(alerts) == ["a", "b"]
    assert len({alert.id for alert in alerts}) == 2
    house.engine.release("p", "cam", alerts[0].time_ms)
    assert told(house.see(NONE, NONE, A, A)) == ["a"]


def test_t37_a_site_gets_its_cooldown_back_when_nothing_was_delivered():
    house = House("see: a\ncooldown: {for: 1h, per: site}\nthen: [log]\n")
    (alert,) = house.see(A, A, camera="one")
    assert told(house.see(A, A, camera="two")) == ["cooldown: 3598 s left"]
    house.engine.release("p", "one", alert.time_ms)
    assert told(house.see(A, A, camera="three")) == ["a"]


def test_n09_a_group_alerts_once_within_its_window_and_keeps_that_over_a_restart():
    house = House("groups: {g: {cameras: [x, y], merge: 1m}}\nsee: a\ncameras: g\nthen: [log]\n")
    house.see(NONE, camera="x")
    house.see(NONE, camera="y")
    assert told(house.see(A, A, camera="x")) == ["a"]
    house.restart()
    merged = house.see(NONE, A, A, camera="y")
    assert told(merged) == ["group g: alerted 3 s ago, merged within 60 s"]
    house.time_ms += 60_000
    assert told(house.see(NONE, NONE, A, A, camera="y")) == ["a"]


def test_t36_a_score_that_swings_wakes_nobody_twice_with_linger_and_cooldown():
    house = House("see: a\nlinger: 1m\ncooldown: 5m\nthen: [log]\n")
    swing = [(int(300 + 400 * np.sin(second / 7)), ABSENT) for second in range(3600)]
    decisions = house.see(*swing)
    assert [d.fired for d in decisions] == [True], "one episode: it is never long out of sight"


def test_t36_dwell_comes_before_the_alert_and_linger_before_the_end():
    house = House("see: a\nfor: 3s\nlinger: 5s\ncooldown: 0s\nfinally: [log]\nthen: [log]\n")
    assert told(house.see(A, A, A, A)) == ["a"]
    assert house.see(NONE, NONE, NONE, A, NONE, NONE, NONE) == []
    assert house.engine.take_ended() == []
    house.see(NONE, NONE, NONE)
    (ending,) = house.engine.take_ended()
    assert ending.duration_ms == 8000, "from the first frame with it to the first of those without"


def test_t38_a_severity_rises_once_an_episode_cooldown_or_not():
    text = "see: a\ncertainty: p >= 0.6\nupgrade: {certainty: sure}\ncooldown: 1h\nthen: [log]\n"
    house = House(text)
    rising = [(value, ABSENT) for value in range(300, 1000, 50)]
    decisions = house.see(*rising)
    assert [(d.fired, d.severity) for d in decisions] == [(True, ""), (True, "critical")]
    assert decisions[1].margin_q8 == 950, "two frames in a row beyond the band, as everywhere"
    assert house.see((300, ABSENT), (950, ABSENT), (950, ABSENT)) == []
    again = house.see(NONE, NONE, (400, ABSENT), (400, ABSENT), (950, ABSENT), (950, ABSENT))
    assert [(d.fired, d.severity) for d in again] == [(False, ""), (True, "critical")]


def test_an_ending_tells_of_alerts_and_of_what_was_held_back():
    house = House("see: a\ncooldown: 1h\nfinally: [log]\nelse: [log]\nthen: [log]\n")
    alert = house.see(A, A, A, NONE, NONE)[0]
    held_back = house.see(A, A, NONE, NONE)[0]
    first, second = house.engine.take_ended()
    assert (first.episode.id, first.episode.fired, first.duration_ms) == (alert.id, True, 3000)
    assert (second.episode.id, second.episode.fired) == (held_back.id, False)
    assert house.engine.take_ended() == []


def test_an_ending_is_told_after_a_restart_within_the_episode():
    house = House("see: a\nfinally: [log]\nthen: [log]\n")
    house.see(A, A)
    house.restart()
    house.see(A, NONE, NONE)
    assert [ending.duration_ms for ending in house.engine.take_ended()] == [3000]


MQTT = "see: a\ncooldown: 0s\nwhile: {{mqtt: {{topic: t, is: home{more}}}}}\nthen: [log]\n"


@pytest.mark.parametrize(
    ("more", "message", "passes"),
    [
        ("", None, False),
        (", unknown: open", None, True),
        ("", "home", True),
        ("", " home\n", True),
        ("", "away", False),
        ("", "Home", False),
        (", field: state", '{"state": "home"}', True),
        (", field: state", '{"state": "away"}', False),
        (", field: a.b", '{"a": {"b": "home"}}', True),
        (", field: state", "home", False),
        (", field: state, unknown: open", '{"other": 1}', True),
        (", field: state", "[" * 10_000, False),
    ],
)
def test_a_state_from_mqtt_opens_and_closes(more, message, passes):
    house = House(MQTT.format(more=more))
    if message is not None:
        assert house.engine.tell("t", message)
        assert not house.engine.tell("t", message), "no news"
    assert not house.engine.tell("other", "home")
    assert [d.fired for d in house.see(NONE, A, A)] == [passes]


def test_a_state_is_unknown_after_a_start_until_it_is_said_again():
    house = House(MQTT.format(more=""))
    house.engine.tell("t", "home")
    house.restart()
    assert told(house.see(NONE, A, A)) == ["while: t is unknown"]
    house.engine.tell("t", "home")
    assert told(house.see(NONE, NONE, A, A)) == ["a"]


OTHER = """\
policies:
  one: {see: a, cameras: [x, y], then: [log]}
  two: {see: b, cooldown: 0s, while: {policy: {name: one, is: IS, camera: WHERE}}, then: [log]}
"""


@pytest.mark.parametrize(
    ("wanted", "where", "passes"),
    [("present", "any", True), ("present", "same", False), ("absent", "any", False)],
)
def test_another_policys_episode_opens_and_closes(wanted, where, passes):
    house = House(OTHER.replace("IS", wanted).replace("WHERE", where))
    house.see(NONE, A, A, camera="x")
    house.restart()
    assert [d.fired for d in house.see(NONE, B, B, camera="z")] == [passes]
    house.see(NONE, NONE, NONE, camera="x")
    again = [d.fired for d in house.see(NONE, NONE, B, B, camera="z")]
    assert again == [wanted == "absent"], "the episode of the other is over"


ZONE = "zones: {z: {cameras: cam, polygon: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]MORE}}\n"


def test_a_zone_wants_the_thing_to_stand_in_it_for_its_inertia_and_dwell():
    text = ZONE.replace("MORE", ", inertia: 3, dwell: 4s") + "see: a\nin: z\nthen: [log]\n"
    house = House(text)
    above, inside = [box(0, 2000, 1500)], [box(0, 2000, 3000)]
    assert house.see(*[A] * 9, boxes=above) == []
    assert told(house.see(*[A] * 4, boxes=inside) + house.see(A, boxes=above)) == [
        "held 3.0 of 4.0 s"
    ]
    assert told(house.see(*[A] * 5, boxes=inside)) == ["a"]
    assert told(house.see(*[A] * 9, boxes=inside, camera="other")) == []


def test_positions_that_are_not_given_never_alert_and_the_gate_says_so():
    for more in ("in: z\n", "in: z\ngone: 5s\n", 'count: ">= 1"\n'):
        house = House(ZONE.replace("MORE", "") + f"see: a\n{more}then: [log]\n")
        assert house.see(*[A] * 20, *[NONE] * 20) == []
        seen = Observation("cam", 1, 99, 99, house.time_ms)
        _, gates = house.engine.explain(house.rules[0], seen, np.array(A, np.int16))
        assert "this camera's encoder gives no positions" in [g.text for g in gates if not g.passed]


def test_a_zone_that_a_thing_has_left():
    house = House(ZONE.replace("MORE", "") + "see: a\nin: z\ngone: 5s\nthen: [log]\n")
    inside, above = [box(0, 2000, 3000)], [box(0, 2000, 1500)]
    house.see(A, A, boxes=inside)
    assert [d.fired for d in house.see(*[A] * 8, boxes=above)] == [True]


@pytest.mark.parametrize(
    ("count", "things", "passes"),
    [
        (">= 2", 1, False),
        (">= 2", 2, True),
        (">= 2", 5, True),
        ("== 2", 2, True),
        ("== 2", 3, False),
        ("<= 2", 0, True),
        ("<= 2", 3, False),
        ("< 2", 1, True),
        ("> 2", 2, False),
    ],
)
def test_things_are_counted_once_whatever_they_are_called(count, things, passes):
    house = House(f'see: [a, b]\ncount: "{count}"\nthen: [log]\n')
    boxes = [box(column, 500 * n + 100, 3000) for n in range(things) for column in (0, 1)]
    boxes += [box(0, 4000, 3000, margin=299 - BAND_Q8)]
    assert [d.fired for d in house.see(NONE, NONE, NONE, boxes=boxes)] == [passes] * passes


@pytest.mark.parametrize(
    "rule", ['count: ">= 2"', "in: {polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}"]
)
def test_a_thing_too_near_its_threshold_counts_neither_way(rule):
    house = House(f"see: a\n{rule}\nthen: [log]\n")
    near, clear = (
        [box(0, 400, 900), box(0, 1900, 900, margin=margin)]
        for margin in (300 + BAND_Q8 - 1, 300 + BAND_Q8)
    )
    if "in:" in rule:
        near, clear = near[1:], clear[1:]
    house.see(NONE, boxes=[])
    assert house.see(*[NONE] * 4, boxes=near) == []
    assert [d.fired for d in house.see(*[NONE] * 2, boxes=clear)] == [True]
    leaving = [box(0, 400, 900), box(0, 1900, 900, margin=300 - 128)]
    house.see(*[NONE] * 4, boxes=leaving if "count" in rule else leaving[1:])
    assert house.engine.present("cam") == {"p"}, "nor does it end an episode"


def test_a_margin_too_near_an_upgrade_neither_raises_nor_begins_anew():
    text = "see: a\ncertainty: p >= 0.6\nupgrade: {certainty: sure}\ncooldown: 1h\nthen: [log]\n"
    house = House(text)
    house.see(NONE, A, A)
    near = [(800 + sign * (BAND_Q8 - 1), ABSENT) for sign in (1, -1)] * 5
    house = House(text)
    assert [d.severity for d in house.see(NONE, (500, ABSENT), (500, ABSENT), *near)] == [""]
    (raised,) = house.see((900, ABSENT), *near, (900, ABSENT))
    assert raised.severity == "critical", "frames between say nothing"


def test_a_count_is_refused_by_not():
    house = House('see: {any: a, not: b}\ncount: ">= 1"\nthen: [log]\n')
    assert house.see(*[A] * 4, boxes=[box(0, 100, 900), box(1, 900, 900)]) == []
    assert told(house.see(*[A] * 4, boxes=[box(0, 100, 900)])) == ["a"]


CHANGE = "changes: {of: embedding, over: 1m}\nfinally: [log]\nthen: [log]\n"


def noisy(view, rng, count):
    return [
        np.clip(view + rng.integers(-4, 5, 256), -127, 127).astype(np.int8) for _ in range(count)
    ]


def views(rng):
    return [rng.integers(-90, 90, 256) for _ in range(2)]


def test_a_change_of_the_scene_alerts_once_and_becomes_usual():
    rng = np.random.default_rng(3)
    before, after = views(rng)
    house = House(CHANGE)
    assert house.see(*[NONE] * 60, pictures=noisy(before, rng, 60)) == []
    (alert,) = house.see(*[NONE] * 200, pictures=noisy(after, rng, 200))
    assert (alert.fired, alert.threshold_q8) == (True, 3 * 256)
    assert alert.margin_q8 >= 3 * 256
    assert len(house.engine.take_ended()) == 1, "the new has become usual"


def test_one_other_picture_is_no_change():
    rng = np.random.default_rng(4)
    before, after = views(rng)
    house = House(CHANGE)
    house.see(*[NONE] * 60, pictures=noisy(before, rng, 60))
    pictures = [*noisy(after, rng, 1), *noisy(before, rng, 5)]
    decisions = house.see(*[NONE] * 6, pictures=pictures)
    assert told(decisions) == ["seen in 1 of 2 frames"]


def test_the_arithmetic_of_changes_is_exact_and_outlives_a_restart():
    rng = np.random.default_rng(5)
    pictures = [picture for view in views(rng) * 3 for picture in noisy(view, rng, 20)]
    steady, moved = House(CHANGE), House(CHANGE)
    for picture in pictures:
        plain = {key: track.plain() for key, track in moved.engine.snapshot().items()}
        moved.engine = Engine()
        moved.engine.replace(moved.rules)
        moved.engine.restore({key: Track.of_plain(state) for key, state in plain.items()})
        assert steady.see(NONE, pictures=[picture]) == moved.see(NONE, pictures=[picture])
    opposite = Scene.first(pictures[0], 0).ratio_q8((-pictures[0].astype(int)).astype(np.int8))
    assert opposite == 2 * ONE_Q12 * 256 // 82, "1 - cosine is 2 for the opposite"
    assert Scene.first(np.zeros(64, np.int8), 0).ratio_q8(pictures[0]) == 0


@pytest.mark.parametrize("seed", range(3))
def test_every_feature_together_is_the_same_after_any_restart_of_the_engine(seed):
    """A snapshot after each frame decides as an engine that never stopped."""
    text = """\
groups: {g: {cameras: [x, y], merge: 20s}}
policies:
  one: {see: [a, b], cooldown: {for: 30s, per: class}, finally: [log], then: [log]}
  two: {see: a, cameras: g, linger: 5s, upgrade: {certainty: sure}, then: [log]}
  three: {see: b, cooldown: {for: 9s, per: site}, while: {policy: {name: two, is: absent}},
    else: [log], then: [log]}
  four: {see: b, gone: 4s, while: {mqtt: {topic: t, is: yes}}, then: [log]}
"""
    rng = random.Random(seed)
    steady, moved = House(text), House(text)
    for _ in range(400):
        if rng.random() < 0.05:
            word = rng.choice(["yes", "no"])
            steady.engine.tell("t", word)
            moved.engine.tell("t", word)
        plain = {key: track.plain() for key, track in moved.engine.snapshot().items()}
        facts = dict(moved.engine.standing.facts)
        moved.engine = Engine()
        moved.engine.replace(moved.rules)
        moved.engine.restore({key: Track.of_plain(state) for key, state in plain.items()})
        for topic, word in facts.items():
            moved.engine.tell(topic, word)
        frame = tuple(rng.choice((ABSENT, 250, 310, SEEN)) for _ in range(2))
        camera = rng.choice("xyz")
        assert steady.see(frame, camera=camera) == moved.see(frame, camera=camera)
        assert steady.engine.take_ended() == moved.engine.take_ended()
