"""T59 over the whole run: secrets in every agent's configuration, looked for in all that is left.

They come by the environment, so that each agent and each command that a test starts has them. At
the end no captured output, no log, no traceback and no file of the tests' folders may hold one.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

CANARY = "CaNaRy59wHoLeRuN"
SIGNING = "whsec_" + base64.b64encode((CANARY * 2).encode()).decode()
ENVIRONMENT = {
    "MOTEYE_ACTIONS__NOTIFY": json.dumps({"planted": f"json://{CANARY}:{CANARY}@127.0.0.1:9/"}),
    "MOTEYE_ACTIONS__HOME_ASSISTANT__URL": "http://127.0.0.1:9",
    "MOTEYE_ACTIONS__HOME_ASSISTANT__TOKEN": f"{CANARY}-token",
    "MOTEYE_ACTIONS__WEBHOOK__SECRETS": json.dumps({"planted": SIGNING}),
}
MOST_BYTES = 64_000_000  # a larger file is a picture of a disk
_NEEDLES = (CANARY.lower().encode(), SIGNING.removeprefix("whsec_").lower().encode())
_leaks = pytest.StashKey[list[str]]()


def shows(data: bytes) -> bool:
    """Whether a secret stands in `data`, in any case."""
    small = data.lower()
    return any(needle in small for needle in _NEEDLES)


def leaking_files(folders: Iterable[Path]) -> Iterator[str]:
    """Files below `folders` that hold a secret."""
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_BYTES:
            try:
                held = shows(path.read_bytes())
            except OSError:
                continue  # a socket's, or gone meanwhile
            if held:
                yield f"the file {path}"


@pytest.fixture(autouse=True, scope="session")
def _canaries(tmp_path_factory, request):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield
    found = request.config.stash[_leaks]
    found += leaking_files([tmp_path_factory.getbasetemp()])
    assert found == [], "secrets of the configuration were left in " + "; ".join(found)


def pytest_configure(config: pytest.Config) -> None:
    """Remembers what the reports show."""
    config.stash[_leaks] = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Look at what a test printed and logged, and at its traceback."""
    outcome = yield
    report = outcome.get_result()
    texts = [report.longreprtext, *(content for _, content in report.sections)]
    if any(shows(text.encode(errors="replace")) for text in texts):
        item.config.stash[_leaks].append(f"the output of {report.nodeid} ({report.when})")
