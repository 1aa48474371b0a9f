"""A rehearsal where there are neither photos nor models: small shards and a small teacher.

Crops of photos that scikit-image and scikit-learn carry, as shards of this project and of
img2dataset; a model of open_clip with random weights, made in its own layout; names; and MCUNet's
structure, read from the shipped encoder. Every step runs on them as on real ones; what they teach
is worth nothing.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count, product
from pathlib import Path
from typing import Any

from PIL import Image

from .augment import random_crop_box, view_rng
from .data import VALIDATION_PERCENT, key_bucket
from .dense_rows import view_boxes
from .towers import CLASSES
from .truth import COCO_NAMES

Record = tuple[str, bytes, dict[str, Any]]
"""Key, JPEG and what its JSON says."""
SHORT_SIDE, QUALITY = 144, 84
CROPS = 24
"""Records that a shard has of each picture."""
EVAL_CROPS = 8


@dataclass(frozen=True)
class Picture:
    """A photo that a package carries; boxes of COCO's names in its pixels."""

    package: str
    path: str
    label: str
    caption: str
    boxes: tuple[tuple[str, float, float, float, float], ...] = ()

    def load(self) -> Image.Image:
        """The photo as RGB. Raises ModuleNotFoundError where the package is not installed."""
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{self.package}: pip install '.[demo]'", name=self.package)
        with Image.open(Path(spec.origin).parent / self.path) as image:
            return image.convert("RGB")


SCENES = (
    Picture(
        "skimage", "data/astronaut.png", "astronaut", "an astronaut in an orange suit",
        (("person", 10, 25, 470, 510),),
    ),
    Picture(
        "skimage", "data/coffee.png", "coffee", "a cup of coffee on a wooden table",
        (("cup", 165, 20, 405, 320), ("dining table", 0, 0, 600, 400)),
    ),
    Picture("skimage", "data/chelsea.png", "tabby", "a cat looks up", (("cat", 0, 0, 400, 300),)),
    Picture(
        "skimage", "data/motorcycle_left.png", "motorcycle", "a red motorcycle in a garage",
        (("motorcycle", 85, 70, 685, 465),),
    ),
    Picture(
        "skimage", "data/camera.png", "camera man", "a man looks through a camera on a tripod",
        (("person", 0, 60, 330, 510),),
    ),
)  # fmt: skip
"""Pictures whose boxes say of every name of COCO's whether it is there."""
LABELLED = (
    Picture("skimage", "data/rocket.jpg", "rocket", "a rocket on its pad at night"),
    Picture("skimage", "data/brick.png", "brick", "a wall of bricks"),
    Picture("skimage", "data/gravel.png", "gravel", "grey gravel"),
    Picture("skimage", "data/moon.png", "moon", "craters of the moon"),
    Picture("skimage", "data/coins.png", "coins", "old coins in rows"),
    Picture("sklearn", "datasets/images/china.jpg", "pagoda", "a pagoda above a lake"),
)
PLANT = Picture("sklearn", "datasets/images/flower.jpg", "dahlia", "an orange flower")
EVAL_SETS = (
    ("caltech-unseen", ("rocket", "moon")), ("caltech-seen", ("pagoda", "coins")),
    ("flowers-seen", ("dahlia",)), ("flowers-unseen", ("gravel",)),
    ("grocery", ("Stone/brick", "Drink/coffee")), ("nips17-imagenet", ("motorcycle", "tabby")),
)  # fmt: skip
"""What stands in for each evaluation set, by label; of a path the last part."""
COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white",
    "grey", "golden", "silver",
)  # fmt: skip
TINY = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "layers": 1, "width": 64, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
"""The teacher: a picture's model of open_clip, of the least size that its parts allow."""


def write_data(folder: Path) -> Path:
    """The shards of training and of evaluation, and `cc3m/` as img2dataset has it; their folder."""
    scenes = [r for p in SCENES for r in crops(p, "scene", CROPS, source="coco-val2017")]
    labelled = [r for p in LABELLED for r in crops(p, "label", CROPS, source="caltech101")]
    plants = list(crops(PLANT, "plant", CROPS, source="houseplant-photos"))
    write_shard(folder / "train-000.tar", scenes)
    write_shard(folder / "extra-000.tar", labelled)
    write_shard(folder / "plants-000.tar", plants)
    write_shard(folder / "eval-000.tar", list(evaluation_records()))
    captioned = [
        record
        for picture in (*SCENES, *LABELLED)
        for record in crops(picture, "caption", 3, source="cc3m", captions=[picture.caption])
    ]
    write_img2dataset(folder / "cc3m" / "00000.tar", captioned)
    return folder


def evaluation_records() -> Iterator[Record]:
    """Crops that no training shard has, a set of each kind that the evaluation knows."""
    every = {picture.label: picture for picture in (*SCENES, *LABELLED, PLANT)}
    for name, labels in EVAL_SETS:
        for label in labels:
            picture = every[label.rsplit("/", 1)[-1]]
            more = {"source": name, "eval_set": name, "label": label}
            for key, jpeg, meta in crops(picture, name, EVAL_CROPS, **more):
                yield key, jpeg, {k: v for k, v in meta.items() if k not in ("boxes", "captions")}
    for picture in SCENES:
        yield from crops(picture, "coco", EVAL_CROPS, source="coco-val2017", eval_set="coco-eval")
    for picture in (PLANT, LABELLED[-1]):
        yield from crops(
            picture, "plants", EVAL_CROPS, source="plants", eval_set="plants",
            plant=picture is PLANT,
        )  # fmt: skip


def crops(picture: Picture, use: str, many: int, **meta: Any) -> Iterator[Record]:
    """Seeded crops of a picture with its words and boxes; every eighth is of the hold-out."""
    whole = picture.load()
    wide, high = whole.size
    named = [(n, x0 / wide, y0 / high, x1 / wide, y1 / high) for n, x0, y0, x1, y1 in picture.boxes]
    for number in range(many):
        key = make_key(f"{use}-{picture.label.replace(' ', '-')}-{number}", number % 8 == 0)
        crop = random_crop_box(whole.size, view_rng(key, 0))
        image = whole.crop(crop)
        image.thumbnail((192, 192))
        image = enlarged(image)
        boxes = [
            [round(v * side, 1) for v, side in zip(edges, image.size * 2, strict=True)] + [name]
            for name, *edges in view_boxes(named, whole.size, crop, False)
        ]
        truth = {"captions": [picture.caption], "boxes": boxes} if picture.boxes else {}
        said = {"label": "" if picture.boxes else picture.label, **truth, **meta}
        yield key, as_jpeg(image), {**said, "w": image.width, "h": image.height}


def make_key(stem: str, held: bool) -> str:
    """A key that belongs to the hold-out or not: a twentieth of so few would be none of many."""
    keys = (f"{stem}-{number}" for number in count())
    return next(key for key in keys if (key_bucket(key) < VALIDATION_PERCENT) == held)


def enlarged(image: Image.Image) -> Image.Image:
    """At least SHORT_SIDE pixels on the short side, as the photos have."""
    ratio = SHORT_SIDE / min(image.size)
    if ratio <= 1:
        return image
    return image.resize((round(image.width * ratio), round(image.height * ratio)))


def as_jpeg(image: Image.Image) -> bytes:
    """The picture's JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    """A tar in the plain format of WebDataset."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write_shard(path: Path, records: Sequence[Record]) -> None:
    """Records as this project's shards have them: `KEY.jpg`, `KEY.json`."""
    members = [
        member
        for key, jpeg, meta in records
        for member in ((f"{key}.jpg", jpeg), (f"{key}.json", json.dumps(meta).encode()))
    ]
    write_tar(path, members)


def write_img2dataset(path: Path, records: Sequence[Record]) -> None:
    """Records as img2dataset writes them: `000000001.jpg`, `.txt`, `.json`."""
    members: list[tuple[str, bytes]] = []
    for number, (key, jpeg, meta) in enumerate(records):
        caption = meta["captions"][0]
        said = {
            "caption": caption, "url": f"https://example.org/{key}.jpg", "key": f"{number:09d}",
            "status": "success", "error_message": None, "width": meta["w"], "height": meta["h"],
            "original_width": meta["w"], "original_height": meta["h"],
        }  # fmt: skip
        members += [
            (f"{number:09d}.jpg", jpeg),
            (f"{number:09d}.txt", caption.encode()),
            (f"{number:09d}.json", json.dumps(said, indent=4).encode()),
        ]
    write_tar(path, members)


def write_models(folder: Path, encoder: Path) -> Path:
    """Names of classes, tag words, the structure of the shipped encoder; their folder."""
    from .inherit import file_structure
    from .student import MCUNET

    names = [f"{colour} {thing}" for thing, colour in product(COCO_NAMES, COLOURS)]
    lines = ["background", *names[: CLASSES - 1]]
    for path, text in (
        (folder / "teacher" / "imagenet_labels_1001.txt", "\n".join(lines)),
        (folder / "teacher" / "ram_tag_list.txt", "\n".join(reversed(names))),
        (folder / f"{MCUNET}.json", json.dumps(file_structure(encoder))),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


def write_teacher(folder: Path) -> str:
    """A model of open_clip with random weights, as its users hand them around; its name."""
    import torch

    from .open_clip_teacher import load_library

    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"mean": [0.5] * 3, "std": [0.25] * 3}
    configuration = {"model_cfg": TINY, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(configuration))
    torch.manual_seed(0)
    torch.save(load_library().CLIP(**TINY).state_dict(), folder / "open_clip_pytorch_model.bin")
    return f"open_clip:local-dir:{folder}"
