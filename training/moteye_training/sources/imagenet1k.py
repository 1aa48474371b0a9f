"""ImageNet-1k (ILSVRC 2012), as its own tars and their usual unpacking lay it out.

FOLDER/ILSVRC2012_img_train.tar   a tar of tars: nXXXXXXXX.tar, each of nXXXXXXXX_N.JPEG
FOLDER/train/nXXXXXXXX/*.JPEG     or these, unpacked
FOLDER/LOC_synset_mapping.txt     or synset_words.txt: `nXXXXXXXX name, other name` a line

A class's number is its synset's place in the alphabet of all 1,000, as models are trained.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..data import Photo, ShardError
from .files import file_photo

TRAIN_TAR = "ILSVRC2012_img_train.tar"
LISTS = ("LOC_synset_mapping.txt", "synset_words.txt")
CLASS = "imagenet_class"
"""Key of a photo's `extra`: the class's number, 0 to 999."""
SYNSETS = 1000
_SYNSET = re.compile(r"n\d{8}")
_MEMBER = re.compile(r"(n\d{8})_(\d+)\.JPEG")
SOURCE = "imagenet1k"


def photos(folder: Path) -> Iterator[Photo]:
    """All training photos. Raises ShardError for what is missing or malformed."""
    names = _names(folder)
    number = {synset: at for at, synset in enumerate(sorted(names))}
    whole = folder / TRAIN_TAR
    if whole.exists():
        found = _from_tar(whole)
    elif (folder / "train").is_dir():
        found = _from_folders(folder / "train")
    else:
        raise ShardError(folder, TRAIN_TAR, "is missing, and so is the folder train/ of synsets")
    for synset, where, record, offset, size in found:
        if synset not in number:
            raise ShardError(where, record, f"synset {synset} is not in the list of names")
        extra = {CLASS: number[synset]}
        key = f"{SOURCE}-{record.removesuffix('.JPEG')}"
        if size < 0:
            yield file_photo(where, key, SOURCE, label=names[synset], extra=extra)
        else:
            yield Photo(
                key=key, shard=str(where), offset=offset, size=size, source=SOURCE,
                label=names[synset], extra=extra,
            )  # fmt: skip


def _names(folder: Path) -> dict[str, str]:
    """First name of each synset."""
    path = next((folder / name for name in LISTS if (folder / name).exists()), None)
    if path is None:
        raise ShardError(folder, LISTS[0], f"is missing, and so is {LISTS[1]}: names of synsets")
    names: dict[str, str] = {}
    for line_number, line in enumerate(path.read_text().splitlines(), 1):
        synset, _, rest = line.strip().partition(" ")
        if not _SYNSET.fullmatch(synset) or not rest:
            raise ShardError(path, f"line {line_number}", f"{line!r} is not `nXXXXXXXX name`")
        names[synset] = rest.split(",")[0].strip()
    if len(names) != SYNSETS:
        raise ShardError(path, "synsets", f"{len(names)} of {SYNSETS}: class numbers would be off")
    return names


Found = tuple[str, Path, str, int, int]
"""Synset, file, record, and where its bytes lie; size -1: the file is the picture."""


def _from_folders(train: Path) -> Iterator[Found]:
    for folder in sorted(path for path in train.iterdir() if path.is_dir()):
        if not _SYNSET.fullmatch(folder.name):
            raise ShardError(train, folder.name, "is not the name of a synset (nXXXXXXXX)")
        for path in sorted(folder.iterdir()):
            _check(path.name, folder.name, folder)
            yield folder.name, path, path.name, 0, -1


def _from_tar(whole: Path) -> Iterator[Found]:
    """The inner tars are not unpacked: a picture's bytes lie in the outer file."""
    last = "(first)"
    try:
        with tarfile.open(whole, "r:") as outer:
            for inner in outer:
                last = inner.name
                synset = inner.name.removesuffix(".tar")
                if not _SYNSET.fullmatch(synset):
                    raise ShardError(whole, inner.name, "is not the tar of a synset")
                held = outer.extractfile(inner)
                if held is None:
                    raise ShardError(whole, inner.name, "is no file")
                with tarfile.open(fileobj=held, mode="r:") as pictures:
                    for member in pictures:
                        last = f"{inner.name}/{member.name}"
                        _check(member.name, synset, whole)
                        offset = inner.offset_data + member.offset_data
                        yield synset, whole, member.name, offset, member.size
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ShardError(whole, last, f"tar cannot be read here ({error})") from None


def _check(name: str, synset: str, where: Path) -> None:
    match = _MEMBER.fullmatch(name)
    if match is None or match[1] != synset:
        raise ShardError(where, name, f"is not a picture of its synset ({synset}_N.JPEG)")
