"""A short fixed run of the fuzzers; `make fuzz` runs them for as long as one likes."""

import shutil

import pytest
from fuzz import fuzz

pytestmark = pytest.mark.timeout(300)  # the kernels are compiled once, with sanitizers
RUNS = {"pack": 1500, "set": 8000, "captions": 4000}


@pytest.mark.parametrize("target", sorted(fuzz.TARGETS))
def test_no_bytes_make_the_kernels_read_out_of_bounds(target, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "OUT", tmp_path / "out")
    report = fuzz.run(target, runs=RUNS[target], seed=1, corpus=tmp_path / "corpus")
    assert report.crash is None, report.log[-4000:]
    assert report.executions >= RUNS[target]
    assert report.corpus > 0, "no input reached anything new: does the target still run?"


def test_fuzzer_finds_a_planted_read_out_of_bounds(tmp_path, monkeypatch):
    """A check left out of prototype_set.c is found within the same short run."""
    kernels = tmp_path / "kernels"
    shutil.copytree(fuzz.KERNELS, kernels)
    source = kernels / "prototype_set.c"
    text = source.read_text()
    check = "names[at] > size - at - 1 || "
    assert check in text
    source.write_text(text.replace(check, ""))
    monkeypatch.setattr(fuzz, "KERNELS", kernels)
    monkeypatch.setattr(fuzz, "OUT", tmp_path / "out")
    report = fuzz.run("set", runs=RUNS["set"], seed=1, corpus=tmp_path / "corpus")
    assert report.crash is not None
    assert report.crash.is_file()
