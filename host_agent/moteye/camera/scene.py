"""Scripted scenes: a YAML list of shots, each a photo with effects for some seconds.

size: [320, 240]            # default
loop: true                  # default; false: the last shot stays
noise: 1.5                  # standard deviation of the sensor noise, in grey levels
shots:
  - photo: skimage:chelsea  # or sklearn:flower, a path beside this file, "#808080"
    seconds: 5
    effects: [dim .4, grey, noise 3, blur 1.5, shift 8, flip]
    paste: {photo: skimage:coffee, box: [20, 40, 120, 140]}
"""

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageFilter, ImageOps
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from moteye.camera.sources import CameraError, Clock, Size, TimedSource, UInt8, fit, read_photo

PACKAGE_PHOTOS = {"skimage": "data", "sklearn": "datasets/images"}
SCENE_KEYS = {"size", "loop", "fps", "noise", "seed", "shots"}
SHOT_KEYS = {"photo", "seconds", "effects", "paste"}
MAX_SIDE = 2048


@dataclass(frozen=True)
class Shot:
    """One picture for some time; `noise` adds to the noise of the scene."""

    rgb: UInt8
    seconds: float
    noise: float


class Scene(TimedSource):
    """Shots one after the other, with sensor noise that a seed and the frame's number determine."""

    def __init__(
        self,
        shots: list[Shot],
        *,
        clock: Clock,
        loop: bool = True,
        fps: float = 10.0,
        noise: float = 1.5,
        seed: int = 0,
    ) -> None:
        super().__init__(clock=clock, fps=fps)
        self._shots = shots
        self._loop = loop
        self._noise = noise
        self._seed = seed
        self.seconds = sum(shot.seconds for shot in shots)

    def shot_at(self, elapsed_s: float) -> int:
        """Return the number of the shot that is shown at a time, from 0."""
        if not self._loop and elapsed_s >= self.seconds:
            return len(self._shots) - 1
        left = elapsed_s % self.seconds
        for number, shot in enumerate(self._shots):
            left -= shot.seconds
            if left < -1e-9:
                return number
        return len(self._shots) - 1

    def render(self, index: int, elapsed_s: float) -> UInt8:
        """Return the picture of this moment; the same index always gives the same bytes."""
        shot = self._shots[self.shot_at(elapsed_s)]
        sigma = float(np.hypot(self._noise, shot.noise))
        if sigma == 0:
            return shot.rgb
        random = np.random.default_rng((self._seed, index))
        grain = random.standard_normal(shot.rgb.shape, np.float32) * np.float32(sigma)
        return np.clip(np.rint(shot.rgb + grain), 0, 255).astype(np.uint8)


def load_scene(path: Path, *, clock: Clock) -> Scene:
    """Return the scene in a file. Raises CameraError that names the file and the key."""
    try:
        root = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CameraError(f"{path}: no such scene") from None
    except (OSError, UnicodeError, YAMLError) as error:
        raise CameraError(f"{path}: not a scene in YAML ({error})") from error
    return _Reader(path).scene(root, clock)


class _Reader:
    """Reads one scene file; every complaint carries the path and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fail(self, key: str, expected: str, found: object) -> CameraError:
        return CameraError(f"{self._path}: {key}: expected {expected}, found {found!r}")

    def scene(self, root: object, clock: Clock) -> Scene:
        if not isinstance(root, dict):
            raise CameraError(f"{self._path}: expected a map with `shots`")
        self._known(root, SCENE_KEYS, "")
        size = self._size(root.get("size", [320, 240]))
        shots = root.get("shots")
        if not isinstance(shots, list) or not shots:
            raise self.fail("shots", "a list of shots, at least one", shots)
        loop = root.get("loop", True)
        if not isinstance(loop, bool):
            raise self.fail("loop", "true or false", loop)
        return Scene(
            [self._shot(shot, f"shots[{number}]", size) for number, shot in enumerate(shots)],
            clock=clock,
            loop=loop,
            fps=self._number(root, "fps", "", 10.0, 0.01, 120.0),
            noise=self._number(root, "noise", "", 1.5, 0.0, 64.0),
            seed=int(self._number(root, "seed", "", 0, 0, 2**31)),
        )

    def _known(self, given: dict[object, object], keys: set[str], where: str) -> None:
        for key in given:
            if key not in keys:
                raise self.fail(f"{where}{key}", f"one of {', '.join(sorted(keys))}", key)

    def _number(
        self, given: dict[Any, Any], key: str, where: str, default: float, low: float, high: float
    ) -> float:
        value = given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(f"{where}{key}", f"a number from {low:g} to {high:g}", value)
        if not low <= value <= high:
            raise self.fail(f"{where}{key}", f"a number from {low:g} to {high:g}", value)
        return float(value)

    def _size(self, value: object) -> Size:
        match value:
            case [int() as width, int() as height] if 8 <= width <= MAX_SIDE >= height >= 8:
                return width, height
        raise self.fail("size", f"[width, height], 8 to {MAX_SIDE} each", value)

    def _shot(self, shot: object, where: str, size: Size) -> Shot:
        if not isinstance(shot, dict):
            raise self.fail(where, "a map with `photo`", shot)
        self._known(shot, SHOT_KEYS, f"{where}.")
        rgb = fit(self._photo(shot.get("photo"), f"{where}.photo"), size)
        pastes = shot.get("paste", [])
        for paste in pastes if isinstance(pastes, list) else [pastes]:
            rgb = self._paste(rgb, paste, f"{where}.paste")
        noise = 0.0
        effects = shot.get("effects", [])
        if not isinstance(effects, list):
            raise self.fail(f"{where}.effects", "a list such as [grey, dim .4]", effects)
        for text in effects:
            name, amount = self._effect(text, f"{where}.effects")
            if name == "noise":
                noise = amount
            else:
                rgb = EFFECTS[name](rgb, amount)
        return Shot(rgb, self._number(shot, "seconds", f"{where}.", 5.0, 0.01, 1e6), noise)

    def _photo(self, value: object, where: str) -> Image.Image:
        if not isinstance(value, str) or not value:
            raise self.fail(where, "skimage:NAME, sklearn:NAME, a path or a colour", value)
        if value.startswith("#"):
            try:
                return Image.new("RGB", (64, 64), ImageColor.getrgb(value)[:3])
            except ValueError:
                raise self.fail(where, "a colour such as #808080", value) from None
        package, colon, name = value.partition(":")
        if colon and package in PACKAGE_PHOTOS:
            return read_photo(self._package_photo(package, name, where))
        return read_photo(self._path.parent / value)

    def _package_photo(self, package: str, name: str, where: str) -> Path:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise CameraError(
                f"{self._path}: {where}: {package} is not installed; its photos come with "
                "the extra `demo`: pip install 'moteye[demo]'"
            )
        folder = Path(spec.submodule_search_locations[0]) / PACKAGE_PHOTOS[package]
        for path in sorted(folder.glob(f"{name}.*")):
            if path.suffix in (".png", ".jpg"):
                return path
        names = sorted(path.stem for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
        raise self.fail(where, f"one of {package}:{{{','.join(names)}}}", name)

    def _paste(self, rgb: UInt8, paste: object, where: str) -> UInt8:
        if not isinstance(paste, dict) or set(paste) != {"photo", "box"}:
            raise self.fail(where, "{photo: …, box: [x0, y0, x1, y1]}", paste)
        height, width, _ = rgb.shape
        match paste["box"]:
            case [int() as x0, int() as y0, int() as x1, int() as y1] if (
                0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            ):
                part = fit(self._photo(paste["photo"], f"{where}.photo"), (x1 - x0, y1 - y0))
            case found:
                expected = f"[x0, y0, x1, y1] in pixels within {width}x{height}"
                raise self.fail(f"{where}.box", expected, found)
        rgb = rgb.copy()
        rgb[y0:y1, x0:x1] = part
        return rgb

    def _effect(self, text: object, where: str) -> tuple[str, float]:
        found = re.fullmatch(r"(\w+)(?:\s+(-?\d*\.?\d+))?", str(text))
        known = {*EFFECTS, "noise"}
        if not found or found[1] not in known:
            raise self.fail(where, f"one of {', '.join(sorted(known))}, with its number", text)
        if (found[2] is None) == (found[1] in NUMBERED):
            wants = "a number" if found[1] in NUMBERED else "no number"
            raise self.fail(where, f"{found[1]} with {wants}", text)
        return found[1], float(found[2] or 0)


def _dim(rgb: UInt8, amount: float) -> UInt8:
    dimmed: UInt8 = np.clip(rgb * amount, 0, 255).astype(np.uint8)
    return dimmed


def _grey(rgb: UInt8, _: float) -> UInt8:
    return np.asarray(ImageOps.grayscale(Image.fromarray(rgb)).convert("RGB"), np.uint8)


def _blur(rgb: UInt8, amount: float) -> UInt8:
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(amount)), np.uint8)


def _shift(rgb: UInt8, amount: float) -> UInt8:
    """To the right by some pixels, the edge repeated."""
    columns = np.clip(np.arange(rgb.shape[1]) - int(amount), 0, rgb.shape[1] - 1)
    shifted: UInt8 = rgb[:, columns]
    return shifted


def _flip(rgb: UInt8, _: float) -> UInt8:
    return np.ascontiguousarray(rgb[:, ::-1])


EFFECTS: dict[str, Callable[[UInt8, float], UInt8]] = {
    "dim": _dim,
    "grey": _grey,
    "blur": _blur,
    "shift": _shift,
    "flip": _flip,
}
NUMBERED = {"dim", "blur", "shift", "noise"}
