"""What people said of alerts, held against later frames."""

import pytest
from moteye.core.marks import Mark, Marks
from support.remembering import (
    EMPTY,
    MORE,
    ONE,
    SOME,
    TWO,
    Camera,
    compiled,
    fired,
    picture,
    why,
)


def mark(verdict: str, view: bytes, *, name: str = "", number: int = 1, margin: int = SOME) -> Mark:
    where = ("2026-11-21", "ab12", "p", "cam")
    return Mark(number, 5, *where, verdict, name, "plant", margin, False, view)


def gate(decisions, name: str) -> str:
    (decision,) = decisions
    return next((one.text for one in decision.gates if one.name == name), "")


@pytest.mark.parametrize("verdict", ["known", "wrong"])
def test_n05_a_marked_picture_alerts_no_more_until_that_is_taken_back(verdict):
    camera = Camera(compiled("false"))
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True]
    said = mark(verdict, picture(ONE))
    camera.engine.mark(said)
    camera.look(EMPTY, picture(), 3)
    again = camera.look(SOME, picture(ONE), 3)
    assert fired(again) == [False]
    text = f"marked {verdict} on 2026-11-21: similarity 1.00, margin +0.00"
    assert (again[0].reason, gate(again, "marked")) == (text, text)
    camera.look(EMPTY, picture(), 3)
    camera.engine.mark(said.undone(9))
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True]


def test_a_mark_bites_only_where_the_picture_is_like_it_and_no_stronger():
    camera = Camera(compiled("false"))
    camera.look(EMPTY, picture(), 3)
    camera.engine.mark(mark("wrong", picture(ONE)))
    assert fired(camera.look(SOME, picture(TWO), 3)) == [True], "another picture"
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(MORE, picture(ONE), 3)) == [True], "much more of it"
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3, infrared=True)) == [True], "another light"
    camera.look(EMPTY, picture(), 3)
    camera.device = "other"
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True], "another camera"


def test_a_right_alert_stays_one():
    camera = Camera(compiled("false"))
    camera.look(EMPTY, picture(), 3)
    camera.engine.mark(mark("right", picture(ONE)))
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True]


def test_a_name_is_known_to_policies_that_list_it():
    camera = Camera(compiled("{of: instance, known: [ficus], window: 1h}"))
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True]
    camera.engine.mark(mark("name", picture(ONE), name="ficus"))
    camera.look(EMPTY, picture(), 3)
    camera.wait(5 * 3600)
    back = camera.look(SOME, picture(ONE), 3)
    assert (fired(back), why(back)) == ([False], "known: ficus#1, similarity 1.00")
    assert gate(back, "marked").startswith("named ficus on 2026-11-21")


def test_a_mark_goes_through_the_recording():
    said = mark("name", picture(ONE), name="ficus", number=7)
    assert Mark.of_json(said.json()) == said
    marks = Marks()
    marks.restore([said, mark("wrong", picture(TWO))])
    assert sorted(marks.all) == [1, 7]
