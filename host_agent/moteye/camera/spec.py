"""The one line that names a camera: folder:PATH, scene:FILE, video:FILE, webcam:0, rtsp://…."""

import re
from pathlib import Path

from moteye.camera.scene import load_scene
from moteye.camera.sources import DEFAULT_SIZE, CameraError, Clock, FrameSource, PhotoFolder, Size
from moteye.camera.video import LiveSource, VideoFile

SPEC_FORMS = "folder:PATH, scene:FILE, video:FILE, webcam:NUMBER or rtsp://…"


def parse_camera_spec(
    spec: str, *, clock: Clock | None = None, size: Size = DEFAULT_SIZE
) -> FrameSource:
    """Return the source that `spec` names: folder:PATH, scene:FILE, video:FILE, webcam:0, rtsp://….

    `size` holds for everything but a scene, which has its own. Raises CameraError.
    """
    clock = clock or Clock()
    kind, colon, rest = spec.partition(":")
    if not colon or not rest or kind not in ("folder", "scene", "video", "webcam", "rtsp"):
        raise CameraError(f"camera {spec!r}: expected {SPEC_FORMS}")
    if kind == "folder":
        return PhotoFolder(Path(rest), clock=clock, size=size)
    if kind == "scene":
        return load_scene(Path(rest), clock=clock)
    if kind == "webcam" and not re.fullmatch(r"\d{1,3}", rest):
        raise CameraError(f"camera {spec!r}: expected webcam:NUMBER, as in webcam:0")
    if kind == "video" and not Path(rest).is_file():
        raise CameraError(f"camera {spec!r}: no such file")
    if kind == "video":
        return VideoFile(Path(rest), clock=clock, size=size)
    return LiveSource(spec if kind == "rtsp" else int(rest), clock=clock, size=size)
