import pytest
from moteye.cli.app import app
from moteye.core.compile import compile_policies
from moteye.core.language import parse_policy
from moteye.core.lints import lint
from moteye.store import Batch, Store, default_url
from moteye.text.space import load_space
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def space():
    return load_space()


def lints(space, *texts, cameras=None):
    found = [
        parse_policy(f"{text}\nthen: [log]\n", "p", name)
        for text, name in zip(texts, "pqrs", strict=False)
    ]
    compiled = compile_policies(
        found,
        space.phrase_vectors,
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=256,
    )
    return [str(one) for one in lint(compiled, cameras)]


def test_phrases_of_two_policies_that_look_alike_are_named_with_their_similarity(space):
    (found,) = lints(space, "see: a cup of coffee", "see: a mug of coffee")
    assert found.startswith(
        "p: 'a cup of coffee' and 'a mug of coffee' of q are hard to tell apart: similarity 0.9"
    )


def test_phrases_of_one_list_may_be_alike_but_not_those_of_not(space):
    alike = "see: [a cup of coffee, a mug of coffee]\ncertainty: p >= 0.9"
    assert not [text for text in lints(space, alike) if "tell apart" in text]
    against = "see: {any: a cup of coffee, not: a mug of coffee}\ncertainty: p >= 0.9"
    assert [text for text in lints(space, against) if "tell apart" in text]


def test_a_probability_that_much_of_the_background_reaches_is_named(space):
    (found,) = lints(space, "see: a dog\ncertainty: p >= 0.05")
    assert "'a dog': p >= 0.05 may fire on much background: 95 % interval" in found


def test_a_promise_that_the_bank_cannot_keep_apart_is_named(space):
    many = ", ".join(f"a {thing}" for thing in ("cat", "dog", "cup", "car", "tree", "boat", "hat"))
    found = lints(space, f"see: [{many}]\ncertainty: sure")
    assert any("sure promises 0.01, within the calibration's error" in text for text in found)


def test_cameras_that_were_never_seen_are_named(space):
    text = "see: a cat\ncameras: [door, porch-*]"
    assert lints(space, text, cameras={"porch-1"}) == []
    assert lints(space, text, cameras=None) == []
    (found,) = lints(space, text, cameras={"kitchen"})
    assert found == "p: no camera is called door, porch-*; seen so far: kitchen"


def test_strict_ends_with_1_on_any_and_knows_the_cameras_of_the_store(tmp_path):
    (tmp_path / "p.yaml").write_text("see: a cat\ncameras: porch\nthen: [log]\n")
    arguments = ["policies", "check", str(tmp_path / "p.yaml"), "--strict"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    Store(default_url()).commit(Batch(devices={"kitchen": (1, "-1:0", None)}))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "no camera is called porch; seen so far: kitchen" in done.output
