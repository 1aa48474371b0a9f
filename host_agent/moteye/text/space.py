"""An embedding space at hand.

Phrases → vectors, and the background that scores are calibrated against.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from moteye_protocol.codebook_set import CodebookSet
from moteye_protocol.prototype_set import PrototypeSet

from moteye import resources
from moteye.core.calibration import Background, Exclusion, Logistic
from moteye.core.codebook import compress
from moteye.core.compile import CompiledSet, compile_policies, with_captions
from moteye.core.language import Hours, Policy, See
from moteye.core.layout import Schedule
from moteye.core.offer import Form, Offer
from moteye.core.prototypes import BuiltSet
from moteye.errors import SpaceError
from moteye.imaging import ImageEncoder, load_rgb
from moteye.schedule import calendar_period
from moteye.text.cache import VectorCache, cache_folder
from moteye.text.captions import caption_ground
from moteye.text.encoder import TextEncoder
from moteye.text.frames import SUFFIX, read_frame

_ARTICLE = re.compile(r"^(?:an?|the)\s+(?=\S)", re.IGNORECASE)
_SAID_LATELY = 4096
_STEPS = 1  # grows when a phrase's vector is made in another way
Float = npt.NDArray[np.float32]


@dataclass
class Space:
    """One encoder's space.

    `encoder_hash` names it: the first 8 bytes of the SHA-256 of the model pack. `gives_positions`:
    whether it tells where in the picture things are.
    """

    name: str
    encoder_hash: bytes
    model: Path
    background: Background
    logistic: Logistic
    templates: tuple[str, ...]
    _text: TextEncoder
    _rotation: Float
    _text_mean: Float
    _cache: VectorCache
    gives_positions: bool = False
    _said: dict[str, bytes] = field(default_factory=dict)  # the one said last stands last

    def phrase_vectors(self, phrases: list[str]) -> Float:
        """Phrases → float32[K, 256]: the mean over the prompt templates, projected.

        Cached by phrase, also on disk.
        """
        found: dict[str, Float] = {}
        fresh: dict[str, Float] = {}
        for phrase in phrases:
            known = self._cache.get(phrase)
            if known is None:
                known = fresh[phrase] = self._embedded(phrase)
            found[phrase] = known
        if fresh:
            self._cache.add(fresh)
        rows = [found[phrase] for phrase in phrases]
        return np.stack(rows) if rows else np.zeros((0, 256), np.float32)

    def sentence_vector(self, text: str) -> bytes:
        """A caption → int8[256] as bytes, its largest entry 127: as it stands, without templates.

        Takes 2 ms where it was not said lately.
        """
        known = self._said.pop(text, None)
        if known is None:
            row = (self._text.encode([text])[0] - self._text_mean) @ self._rotation
            largest = max(float(np.abs(row).max()), 1e-9)
            known = np.rint(127 * row / largest).astype(np.int8).tobytes()
        while len(self._said) >= _SAID_LATELY:
            del self._said[next(iter(self._said))]
        self._said[text] = known
        return known

    def check_examples(self, policy: Policy) -> None:
        """Raises ImageError where a policy's recorded frames are another encoder's."""
        for path in policy.see.like if isinstance(policy.see, See) else []:
            if path.endswith(SUFFIX):
                read_frame(Path(path), self.encoder_hash)

    def example_vector(self, paths: list[str]) -> Float:
        """Pictures and recorded frames → float32[256]: the mean of their embeddings.

        Pictures are looked at by the device's own encoder. Raises ImageError, which names the file.
        """
        encoder = ImageEncoder(self.model / "encoder.tflite")
        rows = [
            read_frame(Path(path), self.encoder_hash).astype(np.float32)
            if path.endswith(SUFFIX)
            else encoder.encode(load_rgb(Path(path))).astype(np.float32)
            for path in paths
        ]
        units = [row / max(float(np.linalg.norm(row)), 1e-9) for row in rows]
        return np.asarray(np.mean(units, axis=0), np.float32)

    def _embedded(self, phrase: str) -> Float:
        # Names were taught and calibrated bare, so "a cat" means "cat".
        name = _ARTICLE.sub("", phrase)
        mean = self._text.encode([template.format(name) for template in self.templates]).mean(
            axis=0
        )
        mean /= max(float(np.linalg.norm(mean)), 1e-9)
        return np.asarray((mean - self._text_mean) @ self._rotation, np.float32)

    def compile(
        self,
        policies: list[Policy],
        *,
        number: int,
        dim: int,
        schedule_of: Callable[[Hours], Schedule] | None = None,
        epoch: int = 0,
        previous: PrototypeSet | None = None,
    ) -> CompiledSet:
        """Policies as prototypes, thresholds and a scorer in this space; at least one policy.

        The arguments are those of `compile_policies`. Those about captions get rows of their own,
        which no device has to know.
        """
        examples = {
            policy.see.like_name: policy.see.like
            for policy in policies
            if isinstance(policy.see, See) and policy.see.like
        }

        def vectors_of(names: list[str]) -> Float:
            phrases = self.phrase_vectors([name for name in names if name not in examples])
            rows = iter(phrases)
            return np.stack(
                [
                    self.example_vector(examples[name]) if name in examples else next(rows)
                    for name in names
                ]
            )

        compiled_from = partial(
            compile_policies,
            number=number,
            dim=dim,
            schedule_of=schedule_of,
            period_of=calendar_period,
        )
        compiled = compiled_from(
            [policy for policy in policies if not policy.hears],
            vectors_of,
            self.background,
            self.logistic,
            encoder_hash=self.encoder_hash,
            epoch=epoch,
            previous=previous,
        )
        heard = [policy for policy in policies if policy.hears]
        if not heard:
            return compiled
        ground = caption_ground()
        captions = compiled_from(
            heard,
            self.phrase_vectors,
            ground.background,
            ground.logistic,
            encoder_hash=ground.pack,
        )
        return with_captions(compiled, captions)

    def offer(self, built: BuiltSet, previous: CodebookSet | None = None) -> Offer:
        """The classes in the form each device has room for; codewords go on from `previous`."""

        def coded(dim: int, names: bool) -> CodebookSet:
            return compress(
                built, self.background, self.logistic, dim=dim, names=names, previous=previous
            )

        return Offer(Form(built.prototypes, built.data), coded)


@cache
def shipped_spaces() -> dict[bytes, str]:
    """The encoders that come with this version, by their hash: the names of their spaces."""
    found = {}
    for name in resources.space_names():
        pack = _read(resources.model_dir(name) / "encoder.mpk")
        found[hashlib.sha256(pack).digest()[:8]] = name
    return found


def load_space(name: str = resources.DEFAULT_MODEL, *, like: Space | None = None) -> Space:
    """Load the space of a shipped device model; words are turned into vectors as by `like`.

    Raises ConfigError for an unknown name, SpaceError for files that do not belong together.
    """
    folder, model = resources.space_dir(name), resources.model_dir(name)
    words = resources.words_dir()
    calibration = _read_json(folder / "calibration.json")
    pack = _read(model / "encoder.mpk")
    tflite = hashlib.sha256(_read(model / "encoder.tflite")).hexdigest()
    if tflite != calibration["encoder_tflite_sha256"]:
        raise SpaceError(
            f"{folder}/calibration.json was fitted to another encoder than {model}/encoder.tflite; "
            "run the export step of the training again"
        )
    rule = calibration["exclusion"]
    with np.load(words / "projection.npz") as projection, np.load(folder / "bank.npz") as bank:
        content = bank["content"].astype(np.float32)
        content /= np.maximum(np.linalg.norm(content, axis=1, keepdims=True), 1e-9)
        background = Background(
            bank["embeddings"], content, Exclusion(rule["cosine"], rule["robust_z"], rule["most"])
        )
        rotation, text_mean = projection["rotation"], projection["text_mean"]
    dims = calibration["dims"]
    return Space(
        name=name,
        encoder_hash=hashlib.sha256(pack).digest()[:8],
        model=model,
        background=background,
        logistic=Logistic(
            {int(d): float(fit["a"]) for d, fit in dims.items()},
            {int(d): float(fit["b"]) for d, fit in dims.items()},
        ),
        templates=tuple(calibration["prompts"]),
        gives_positions=bool(calibration.get("positions", False)),
        # One text tower in memory serves all spaces.
        _text=like._text if like is not None else TextEncoder(words),
        _rotation=rotation,
        _text_mean=text_mean,
        _cache=VectorCache(cache_folder(), _tower(words, calibration["prompts"])),
    )


def _tower(folder: Path, prompts: list[str]) -> bytes:
    """Names all that a phrase's vector follows from, this module's own steps included."""
    digest = hashlib.sha256(f"{_STEPS} {prompts} {_ARTICLE.pattern}".encode())
    for name in ("text.tflite", "tokenizer.json", "projection.npz"):
        digest.update(_read(folder / name))
    return digest.digest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpaceError(
            f"{path} cannot be read ({error.strerror}); is the checkout whole?"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_read(path))
    return loaded
