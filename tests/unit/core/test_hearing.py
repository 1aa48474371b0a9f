"""Policies about captions: consensus, age, memory, restart. Sentences by the shipped text tower."""

import numpy as np
import pytest
from moteye.core.engine import Engine, Observation
from moteye.core.hearing import Caption, likeness_q12
from moteye.core.language import parse_policy
from moteye.core.track import Track
from moteye.text.space import load_space

START_MS = 1_800_000_000_000
MOTORCYCLE = "a motorcycle is parked on a street"
TOWER = "a large clock tower in the middle of a building"
DOG = "a dog is standing on a wooden bench"
SAYS = "caption: a parked motorcycle\n"


@pytest.fixture(scope="module")
def space():
    return load_space()


class House:
    """An engine with policies about captions, and what it decides on sentences."""

    def __init__(self, space, *texts: str) -> None:
        found = [
            parse_policy(f"{text}\nthen: [log]\n", "p", f"p{n}" if n else "p")
            for n, text in enumerate(texts)
        ]
        self.space = space
        self.compiled = space.compile(found, number=1, dim=64)
        self.engine = Engine()
        self.engine.replace(self.compiled.policies)
        self.number = 0

    def says(self, text: str, at_s: float, camera: str = "cam", **more):
        self.number += 1
        captions = self.compiled.captions
        where = (camera, 1, self.number, self.number, START_MS + int(1000 * at_s))
        options = {"encoder": captions.encoder, **more}
        vector = self.space.sentence_vector(text)
        caption = Caption(*where, embedding=vector, text=text, **options)
        return self.engine.hear(caption, captions.scorer.margins_q8(caption.vector)[0])

    def alerts(self, *sentences: str, every_s: float = 5.0) -> list[str]:
        found = []
        for number, text in enumerate(sentences):
            found += [d.phrase for d in self.says(text, number * every_s) if d.fired]
        return found


def test_t46_one_caption_never_fires(space):
    house = House(space, SAYS)
    assert house.alerts(TOWER, MOTORCYCLE, TOWER, MOTORCYCLE, TOWER) == []
    assert House(space, SAYS).alerts(TOWER, MOTORCYCLE, MOTORCYCLE) == ["a parked motorcycle"]
    assert House(space, SAYS + "instant: true").alerts(TOWER, MOTORCYCLE) == ["a parked motorcycle"]


def test_a_caption_of_another_pack_decides_nothing(space):
    house = House(space, SAYS)
    assert [house.says(MOTORCYCLE, n, encoder=b"another.") for n in range(3)] == [[], [], []]
    assert not house.engine.present("cam")


def test_captions_that_lie_apart_do_not_count_together(space):
    house = House(space, "caption: {says: a parked motorcycle, within: 1m}")
    house.says(TOWER, 0)
    assert house.says(MOTORCYCLE, 10) == []
    assert house.says(MOTORCYCLE, 100) == []
    (decision,) = house.says(MOTORCYCLE, 110)
    assert decision.fired


def test_t23_a_late_caption_alerts_nobody(space):
    house = House(space, SAYS)
    house.says(TOWER, 0)
    house.says(MOTORCYCLE, 1, late=True)
    (decision,) = house.says(MOTORCYCLE, 2, late=True)
    assert not decision.fired
    assert "late" in decision.reason


def test_a_decision_shows_the_sentence_and_the_numbers(space):
    house = House(space, "caption: {says: a parked motorcycle, unlike: a bicycle}")
    house.says(MOTORCYCLE, 0)
    (decision,) = house.says(MOTORCYCLE, 1)
    gates = {gate.name: gate.text for gate in decision.gates}
    assert gates["caption"] == f"in words: {MOTORCYCLE}"
    assert gates["frames"] == "said in 2 of 2 captions"
    assert "at or above" in gates["margin"]
    assert "of a bicycle" in gates["unlike"]
    assert decision.heard


def test_frames_do_not_concern_it_and_captions_nothing_else(space):
    house = House(space, SAYS, "see: a cat")
    width = len(house.compiled.built.prototypes.names)
    assert width == 1  # devices need not know what captions are asked for
    margins = np.full((1, width), 3000, np.int16)
    for number in range(3):
        seen = Observation("cam", 1, 900 + number, 900 + number, START_MS + number)
        (found,) = house.engine.observe_batch([seen], margins)
        assert {decision.policy for decision in found} <= {"p1"}
    assert house.engine.present("cam") == {"p1"}
    house.says(MOTORCYCLE, 10)
    house.says(MOTORCYCLE, 11)
    assert house.engine.present("cam") == {"p", "p1"}
    assert not house.engine.take_ended()


def test_new_is_for_captions_too(space):
    house = House(space, SAYS + "new: true\ncooldown: 0s")
    found = [house.says(MOTORCYCLE, n) for n in range(2)]
    assert [d.reason for d in found[1]] == ["known: it was there when watching began"]
    for n in range(2):
        house.says(TOWER, 10 + n)
    assert [d.fired for d in house.says(MOTORCYCLE, 20) + house.says(MOTORCYCLE, 21)] == [True]


def test_gone_waits_until_it_is_not_said_any_more(space):
    house = House(space, "caption: a parked motorcycle\ngone: 10m")
    for at_s in (0, 10):
        house.says(MOTORCYCLE, at_s)
    fired = [house.says(TOWER, at_s) for at_s in (60, 300, 700)]
    assert [bool(some) and some[0].fired for some in fired] == [False, False, True]


def test_classes_have_cooldowns_of_their_own(space):
    says = "caption: [a parked motorcycle, a dog on a bench]\ncertainty: p >= 0.4\n"
    house = House(space, says + "cooldown: {for: 1h, per: class}")
    assert house.alerts(TOWER, MOTORCYCLE, MOTORCYCLE, DOG, DOG) == [
        "a parked motorcycle",
        "a dog on a bench",
    ]


def test_a_change_of_what_is_said_wants_two_sentences_and_is_told_once(space):
    house = House(space, "changes: caption\ncooldown: 0s")
    assert house.alerts(TOWER, TOWER, DOG, TOWER) == []
    assert len(house.alerts(DOG, DOG, DOG, DOG)) == 1
    assert len(house.alerts(TOWER, TOWER)) == 1


def test_what_was_said_first_is_taken_back_where_nobody_says_it_again(space):
    house = House(space, "changes: caption")
    assert house.alerts(DOG, TOWER, TOWER, TOWER) == []


def test_what_a_camera_says_outlives_a_restart(space):
    house = House(space, "changes: caption")
    house.alerts(TOWER, TOWER)
    kept = {
        key: Track.of_plain(track.plain()) for key, track in house.engine.take_changed().items()
    }
    house.engine = Engine()
    house.engine.replace(house.compiled.policies)
    house.engine.restore(kept)
    house.engine.start()
    assert len(house.alerts(DOG, DOG, DOG)) == 1


def test_one_more_caption_is_wanted_where_one_alone_does_not_tell(space):
    house = House(space, SAYS)
    unclear = []
    for number, text in enumerate((TOWER, MOTORCYCLE, MOTORCYCLE, TOWER, TOWER)):
        house.says(text, number)
        unclear.append(house.engine.is_unclear("cam"))
    assert unclear == [False, True, False, True, False]
    assert not house.engine.is_unclear("another")


def test_likeness_is_of_meaning_and_of_nothing_for_an_empty_vector(space):
    vector = space.sentence_vector
    assert likeness_q12(vector(TOWER), vector(TOWER)) >= 4095
    assert likeness_q12(vector(TOWER), vector(DOG)) < 2000
    assert likeness_q12(bytes(256), vector(DOG)) == 0


def test_a_reload_keeps_what_an_unrelated_policy_heard(space):
    house = House(space, SAYS)
    house.says(TOWER, 0)
    house.says(MOTORCYCLE, 1)
    more = House(space, SAYS, "caption: a dog on a bench")
    house.engine.replace(more.compiled.policies)
    house.compiled = more.compiled
    (decision,) = house.says(MOTORCYCLE, 2)
    assert (decision.policy, decision.fired) == ("p", True)
