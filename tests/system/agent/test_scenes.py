"""The short form of `make scenes`: some of its scenes, side by side."""

from scenes.scenes import AT_ONCE, SCENES, play

NAMES = ("passer-by", "infrared", "parked")


async def test_scenes_give_the_alerts_that_they_should(tmp_path):
    some = [scene for scene in SCENES if scene.name in NAMES]
    assert len(some) == AT_ONCE
    given = await play(some, tmp_path)
    assert {name: len(alerts) for name, alerts in given.items()} == {
        scene.name: scene.alerts for scene in some
    }


def test_every_scene_is_there_once_and_has_something_to_prove():
    assert len({scene.name for scene in SCENES}) == len(SCENES) >= 12
    assert {scene.alerts for scene in SCENES} == {0, 1, 2}
