"""Frame sources: photos, scripted scenes, specs. Time is turned by hand."""

import sys

import numpy as np
import pytest
from moteye.camera import video
from moteye.camera.scene import load_scene
from moteye.camera.sources import CameraError, Clock, PhotoFolder, Resized, fit
from moteye.camera.spec import parse_camera_spec
from PIL import Image

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


class HandClock:
    def __init__(self):
        self.now_s = 1000.0
        self.clock = Clock(now=lambda: self.now_s, sleep=self.sleep)

    async def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture
def hand():
    return HandClock()


@pytest.fixture
def photos(tmp_path):
    for name, colour in (("b.png", GREEN), ("a.png", RED), ("c.PNG", BLUE)):
        Image.new("RGB", (40, 30), colour).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    return tmp_path


def scene(tmp_path, text, clock):
    path = tmp_path / "scene.yaml"
    path.write_text(text)
    return load_scene(path, clock=clock)


async def test_photo_folder_shows_each_photo_by_name(photos, hand):
    source = PhotoFolder(photos, clock=hand.clock, size=(16, 16), seconds=2, fps=1)
    frames = [await source.next_frame(number - 1) for number in range(8)]
    assert [frame.id for frame in frames] == list(range(8))
    colours = [tuple(int(value) for value in frame.rgb[8, 8]) for frame in frames]
    assert colours == [RED, RED, GREEN, GREEN, BLUE, BLUE, RED, RED]
    assert hand.now_s == 1007.0


async def test_resized_source_keeps_everything_but_the_size(photos, hand):
    plain = PhotoFolder(photos, clock=hand.clock, size=(32, 24), seconds=2, loop=False, fps=1)
    source = Resized(plain, (16, 12))
    frame = await source.next_frame(2)
    assert (frame.id, frame.rgb.shape, tuple(frame.rgb[6, 8])) == (3, (12, 16, 3), GREEN)
    hand.now_s += 60
    assert await source.next_frame(3) is None


async def test_photo_folder_without_loop_ends(photos, hand):
    source = PhotoFolder(photos, clock=hand.clock, seconds=1, loop=False, fps=1)
    hand.now_s += 3
    assert await source.next_frame(-1) is None


async def test_t22_source_gives_the_frame_of_now_and_not_a_queue(photos, hand):
    source = PhotoFolder(photos, clock=hand.clock, fps=10)
    first = await source.next_frame(-1)
    hand.now_s += 7.25
    late = await source.next_frame(first.id)
    assert (late.id, late.captured_at_s) == (72, pytest.approx(1007.2))
    nxt = await source.next_frame(late.id)
    assert (nxt.id, hand.now_s) == (73, pytest.approx(1007.3))


async def test_scene_is_live_and_repeatable(tmp_path, hand):
    text = "shots: [{photo: '#808080', seconds: 1}]"
    one, two = scene(tmp_path, text, hand.clock), scene(tmp_path, text, hand.clock)
    first, second = await one.next_frame(-1), await one.next_frame(0)
    assert first.rgb.shape == (240, 320, 3)
    assert first.rgb.dtype == np.uint8
    assert (first.rgb != second.rgb).any()
    assert (one.render(5, 0.5) == two.render(5, 0.5)).all()
    assert abs(float(first.rgb.mean()) - 128) < 1
    assert 1 < float(first.rgb.std()) < 2


def test_scene_shots_follow_each_other(tmp_path, hand):
    text = "{loop: LOOP, noise: 0, shots: [{photo: '#ff0000', seconds: 2}, {photo: '#00ff00'}]}"
    looping = scene(tmp_path, text.replace("LOOP", "true"), hand.clock)
    assert [looping.shot_at(at) for at in (0, 1.9, 2, 6.9, 7, 8.9, 9)] == [0, 0, 1, 1, 0, 0, 1]
    once = scene(tmp_path, text.replace("LOOP", "false"), hand.clock)
    assert [once.shot_at(at) for at in (0, 2, 6.9, 7, 100)] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("photo", ["skimage:chelsea", "skimage:rocket", "sklearn:flower"])
def test_scene_takes_photos_of_packages(tmp_path, hand, photo):
    found = scene(tmp_path, f"{{noise: 0, shots: [{{photo: '{photo}'}}]}}", hand.clock)
    assert float(found.render(0, 0).std()) > 20


def test_scene_effects_and_paste(tmp_path, hand, photos):
    text = """
size: [40, 30]
noise: 0
shots:
  - {photo: a.png}
  - {photo: a.png, effects: [dim .5]}
  - {photo: a.png, effects: [grey]}
  - {photo: a.png, paste: {photo: b.png, box: [0, 0, 10, 10]}}
  - {photo: a.png, paste: {photo: b.png, box: [0, 0, 10, 10]}, effects: [flip]}
  - {photo: a.png, paste: {photo: b.png, box: [0, 0, 10, 10]}, effects: [shift 8]}
  - {photo: a.png, paste: [{photo: b.png, box: [0, 0, 9, 9]}, {photo: c.PNG, box: [9, 9, 20, 20]}]}
  - {photo: a.png, effects: [noise 3]}
  - {photo: a.png, paste: {photo: b.png, box: [0, 0, 10, 10]}, effects: [blur 1.5]}
"""
    found = scene(tmp_path, text, hand.clock)
    plain, dim, grey, paste, flip, shift, two, noise, blur = (
        found.render(0, number * 5.0) for number in range(9)
    )
    assert tuple(plain[15, 20]) == RED
    assert tuple(dim[15, 20]) == (100, 0, 0)
    assert len(set(grey[15, 20])) == 1
    assert tuple(paste[5, 5]) == GREEN
    assert tuple(paste[15, 15]) == RED
    assert tuple(flip[5, 35]) == GREEN
    assert tuple(shift[5, 15]) == GREEN
    assert tuple(two[15, 15]) == BLUE
    assert 1 < float(noise[..., 0].std()) < 4
    assert 0 < blur[5, 10, 1] < 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "expected a map"),
        ("shots: []", "shots: expected a list"),
        ("shots: [{photo: 3}]", r"shots\[0\].photo: expected skimage"),
        ("shots: [{photo: none.png}]", "none.png: no such photo"),
        ("shots: [{photo: 'skimage:dragon'}]", "astronaut"),
        ("shots: [{photo: '#12'}]", "a colour"),
        ("shots: [{photo: '#123456', second: 3}]", r"shots\[0\].second: expected one of"),
        ("shots: [{photo: '#123456', seconds: 0}]", r"shots\[0\].seconds: expected a number"),
        ("shots: [{photo: '#123456', effects: [dim]}]", "dim with a number"),
        ("shots: [{photo: '#123456', effects: [grey 3]}]", "grey with no number"),
        ("shots: [{photo: '#123456', effects: [sparkle]}]", "one of blur, dim"),
        ("shots: [{photo: '#123456', effects: grey}]", "a list such as"),
        ("shots: [{photo: '#123456', paste: {photo: a}}]", r"box: \[x0"),
        (
            "shots: [{photo: '#123456', paste: {photo: '#123456', box: [0, 0, 400, 10]}}]",
            "within 320x240",
        ),
        ("size: [4, 4]\nshots: [{photo: '#123456'}]", "size: expected"),
        ("colour: red\nshots: [{photo: '#123456'}]", "colour: expected one of"),
        ("loop: 3\nshots: [{photo: '#123456'}]", "loop: expected true or false"),
        ("shots: [", "not a scene in YAML"),
    ],
)
def test_wrong_scene_names_file_key_and_expectation(tmp_path, hand, text, words):
    with pytest.raises(CameraError, match=words) as caught:
        scene(tmp_path, text, hand.clock)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "expected folder:PATH"),
        ("folder", "expected folder:PATH"),
        ("tape:x", "expected folder:PATH"),
        ("folder:/none/such", "expected a folder"),
        ("scene:/none/such.yaml", "no such scene"),
        ("video:/none/such.mp4", "no such file"),
        ("webcam:front", "webcam:NUMBER"),
    ],
)
def test_wrong_camera_spec_says_what_was_expected(spec, words):
    with pytest.raises(CameraError, match=words):
        parse_camera_spec(spec)


def test_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(CameraError, match="no photos here"):
        parse_camera_spec(f"folder:{tmp_path}")


def test_file_that_is_no_video_is_named(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(CameraError, match=r"clip\.mp4: not a video"):
        parse_camera_spec(f"video:{path}")


@pytest.mark.parametrize("spec", ["webcam:0", "rtsp://camera/stream"])
def test_missing_extra_is_named(monkeypatch, spec):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CameraError, match=r"moteye\[camera\]"):
        parse_camera_spec(spec)


def test_fit_cuts_the_middle_out():
    image = Image.new("RGB", (60, 20), RED)
    image.paste(GREEN, (20, 0, 40, 20))
    found = fit(image, (10, 10))
    assert found.shape == (10, 10, 3)
    assert tuple(found[5, 5]) == GREEN


async def test_video_file_is_shown_at_its_own_speed_and_again(tmp_path, hand):
    av = video._import_av()
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            picture = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (number * 25,) * 3))
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    source = parse_camera_spec(f"video:{path}", clock=hand.clock, size=(32, 24))
    first = await source.next_frame(-1)
    assert first.rgb.shape == (24, 32, 3)
    hand.now_s = 1000.5
    middle = await source.next_frame(first.id)
    assert abs(int(middle.rgb.mean()) - 125) < 12
    hand.now_s = 1001.5
    again = await source.next_frame(middle.id)
    assert int(again.rgb.mean()) < 150
    await source.aclose()
