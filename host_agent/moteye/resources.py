"""Where the files are that come with moteye: inside the installed package, or in a checkout."""

from pathlib import Path

from moteye.errors import ConfigError

_PACKAGE = Path(__file__).parent
DEFAULT_MODEL = "accurate"
_WORDS = "fast"  # the folder that holds what all spaces share: 23 MB, kept once


def checkout() -> Path:
    """The root of the checkout that this package runs from.

    Raises ConfigError when it was installed without one: firmware and device builds live there.
    """
    root = _PACKAGE.parent.parent
    if not (root / "device" / "firmware").is_dir():
        raise ConfigError(
            "simulated devices need a checkout of moteye (device/firmware is not in the package); "
            "clone the repository and run `make setup` there"
        )
    return root


def space_dir(name: str) -> Path:
    """The folder of an embedding space: bank, calibration."""
    return _existing(_PACKAGE / "space" / name, name)


def space_names() -> list[str]:
    """The embedding spaces that come with this version."""
    return sorted(path.parent.name for path in _PACKAGE.glob("space/*/calibration.json"))


def words_dir() -> Path:
    """The folder of what all spaces share: text tower, tokenizer, projection."""
    return space_dir(_WORDS)


def model_dir(name: str = DEFAULT_MODEL) -> Path:
    """The folder of a device model: `encoder.tflite`, `encoder.mpk`, card."""
    packaged = _PACKAGE / "device_models" / name
    if packaged.is_dir():
        return packaged
    return _existing(_PACKAGE.parent.parent / "device" / "models" / name, name)


def _existing(folder: Path, name: str) -> Path:
    if folder.is_dir():
        return folder
    known = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
    raise ConfigError(f"no model called {name!r}; there are: {', '.join(known) or 'none'}")
