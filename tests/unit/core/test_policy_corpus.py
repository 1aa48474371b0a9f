"""Every broken file of the corpus is answered with file, line, column, message and suggestion.

`expected.txt` holds the answers. After a change of the wording: run this file as a program, and
read what it wrote before you commit it.
"""

import random
import sys
from pathlib import Path

import pytest
from moteye.core.language import parse_file
from moteye.errors import PolicyErrors
from moteye.policies import load

CORPUS = Path(__file__).parents[2] / "corpus" / "policies"
PIECES = [*"{}[]:,-#&*!|>'\"%@`$\n\t \x00é", "${", "{{"]
FILES = sorted(CORPUS.glob("*.yaml"))


def answer(path: Path) -> str:
    """All problems of one file, a line each, paths from the corpus on."""
    try:
        load(path)
    except PolicyErrors as error:
        return str(error).replace(f"{CORPUS}/", "") + "\n"
    return f"{path.name}: nothing is wrong\n"


def expected() -> dict[str, str]:
    found: dict[str, str] = {}
    for block in (CORPUS / "expected.txt").read_text().split("# ")[1:]:
        name, _, text = block.partition("\n")
        found[name] = text
    return found


def test_there_are_at_least_60_and_every_file_has_its_answer():
    assert len(FILES) >= 60
    assert [path.name for path in FILES] == sorted(expected())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_mistake_is_named_where_it_is(path):
    assert answer(path) == expected()[path.name]
    for line in answer(path).splitlines():
        file, row, column, message = line.split(":", 3)
        assert (CORPUS / file).exists()
        assert int(row) >= 1
        assert int(column) >= 1
        assert message.strip()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_words(seed):
    """Files of the corpus, cut, joined and changed a byte at a time."""
    rng = random.Random(seed)
    texts = [path.read_text() for path in FILES]
    refused, problems = 0, []
    for _ in range(150):
        text = list("".join(rng.sample(texts, rng.choice((1, 1, 2)))))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.randint(0, 3)] = rng.choice(PIECES)
        try:
            parse_file("".join(text), "p.yaml", "p")
        except PolicyErrors as error:
            refused += 1
            problems += error.problems
    assert refused > 100
    assert all(p.line >= 1 and p.column >= 1 and p.message for p in problems)


if __name__ == "__main__":
    text = "".join(f"# {path.name}\n{answer(path)}" for path in FILES)
    sys.exit(0 if (CORPUS / "expected.txt").write_text(text) else 1)
