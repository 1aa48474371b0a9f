"""Write the firmware as a package that MicroPython's mip installs, from this tree.

python device/mip/make_package.py build/mip

The folder is a mip index, to be served by any web server:

    package.json                    for `mpremote mip install http://HOST/mip/package.json`
    package/py/moteye/VERSION.json  for `mip install --index http://HOST/mip moteye@VERSION`
    file/HH/HASH                    what both name, by its SHA-256

`moteye/manifest.txt`, by which `moteye_start.py` checks all before it starts any, has a line
`<SHA-256> <bytes> <name>` a file, and last the SHA-256 of all lines before. The package depends on
no other, so nothing of it moves between two versions.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODEC = ("__init__", "codec", "wire")
HASH_DIGITS = 16


def version() -> str:
    """The firmware's version, which its birth tells."""
    found = re.search(
        r'^_FIRMWARE = "(.+)"$', (ROOT / "device/firmware/device.py").read_text(), re.MULTILINE
    )
    if found is None:
        raise SystemExit("device/firmware/device.py: no _FIRMWARE")
    return found[1]


def firmware_files() -> dict[str, bytes]:
    """Name below `moteye/` → content, of all that runs on a device."""
    files = {
        path.name: path.read_bytes() for path in sorted((ROOT / "device/firmware").glob("*.py"))
    }
    for name in CODEC:
        path = ROOT / "protocol/moteye_protocol" / f"{name}.py"
        files[f"moteye_protocol/{name}.py"] = path.read_bytes()
    return files


def manifest(files: dict[str, bytes]) -> bytes:
    """The text that `moteye_start.py` reads."""
    lines = [f"moteye {version()}"]
    lines += [
        f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}" for name, data in files.items()
    ]
    text = "".join(f"{line}\n" for line in lines)
    return f"{text}{hashlib.sha256(text.encode()).hexdigest()}\n".encode()


def write_package(target: Path) -> dict[str, bytes]:
    """Write the index into `target`, in place of what was there; returns what it installs."""
    files = firmware_files()
    installed = {f"moteye/{name}": data for name, data in files.items()}
    installed["moteye/manifest.txt"] = manifest(files)
    installed["moteye_start.py"] = (Path(__file__).parent / "moteye_start.py").read_bytes()
    shutil.rmtree(target, ignore_errors=True)
    hashes = []
    for name, data in installed.items():
        digest = hashlib.sha256(data).hexdigest()[:HASH_DIGITS]
        path = target / "file" / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        hashes.append((name, digest))
    about = {"v": 1, "version": version(), "deps": []}
    urls = [(name, f"file/{digest[:2]}/{digest}") for name, digest in hashes]
    _write_json(target / "package.json", {**about, "urls": urls})
    for name in (version(), "latest"):
        _write_json(target / "package/py/moteye" / f"{name}.json", {**about, "hashes": hashes})
    return installed


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def main() -> int:
    """Write it and say what it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    target = parser.parse_args().target
    installed = write_package(target)
    size = sum(map(len, installed.values()))
    print(f"wrote {target}: moteye {version()}, {len(installed)} files, {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
