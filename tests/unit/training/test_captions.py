"""What the captioner's training counts and reads, without PyTorch."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from moteye.resources import model_dir
from moteye_training.captions import evaluate
from moteye_training.captions.cider import CiderD
from moteye_training.captions.evaluate import over_rivals
from moteye_training.captions.maps import MapCache
from moteye_training.captions.vocabulary import END, LONGEST, UNKNOWN, Vocabulary, words
from pycocoevalcap.cider.cider import Cider


def test_ciderd_is_pycocoevalcaps():
    rng = np.random.default_rng(1)

    def sentence() -> list[str]:
        return [f"w{n}" for n in rng.zipf(1.6, int(rng.integers(3, 14))) % 30]

    references = [[sentence() for _ in range(5)] for _ in range(40)]
    said = [refs[0][:-1] + sentence()[:2] for refs in references]
    ours = CiderD(references)
    scores = [
        ours.score(one, [ours.prepare(r) for r in refs])
        for one, refs in zip(said, references, strict=True)
    ]
    joined = {at: [" ".join(r) for r in refs] for at, refs in enumerate(references)}
    made = {at: [" ".join(one)] for at, one in enumerate(said)}
    _, theirs = Cider().compute_score(joined, made)
    np.testing.assert_allclose(scores, theirs, rtol=1e-9)
    assert max(scores) > 1


def run_of(decoder: str, seed: int, value: float) -> dict[str, Any]:
    return {"decoder": decoder, "seed": seed, "coco_eval": {"CIDEr-D": value}}


def test_gain_over_rivals_is_the_mean_of_pairs_of_one_seed():
    runs = [
        run_of("attssm", 1, 40.0),
        run_of("attssm", 2, 42.0),
        run_of("lstm-attention", 2, 43.0),
        run_of("lstm-attention", 1, 38.0),
    ]
    assert over_rivals(runs) == {"attssm_minus_lstm_attention": pytest.approx(0.5)}
    with pytest.raises(ValueError, match=r"lstm-attention lacks runs of the seeds \[1\]"):
        over_rivals(runs[:3])


def test_rows_of_the_evaluation_leave_those_of_the_device(tmp_path, monkeypatch):
    metrics = dict.fromkeys(evaluate.METRICS, 20.0)
    names = (evaluate.NANO, "always", "nearest", evaluate.FLOAT, evaluate.INDEPENDENT)
    found = {"photos": 3, "scores": dict.fromkeys(names, metrics), "samples": []}
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: found)
    bench = tmp_path / "captioner.json"
    old = [{"id": "m7.token", "value": 5}, {"id": "cfq_loss", "value": 5}]
    bench.write_text(json.dumps({"rows": old}))
    root = Path(__file__).resolve().parents[3]
    evaluate.write_rows(tmp_path, tmp_path, tmp_path, root, bench)
    rows = {row["id"]: row for row in json.loads(bench.read_text())["rows"]}
    assert rows["m7.token"]["value"] == 5
    assert rows["cfq_loss"]["value"] == 0
    assert {"attssm_minus_nic", "attssm_minus_lstm_attention"} <= set(rows)
    assert "rivals --steps" in rows["attssm_minus_nic"]["conditions"]


def test_vocabulary_keeps_what_was_seen_five_times():
    said = ["A dog, sitting."] * 5 + ["a cat"] * 4
    vocabulary = Vocabulary.of(said)
    assert vocabulary.texts == ("", "", "a", "dog", "sitting")
    assert vocabulary.encode("a cat sitting") == [2, UNKNOWN, 4]
    assert vocabulary.decode([2, 3, END, 4]) == "a dog"
    assert len(vocabulary.encode("dog " * 40)) == LONGEST
    assert words("A man's hat; 2 dogs!") == ["a", "man's", "hat", "2", "dogs"]


@pytest.mark.parametrize("texts", [[], ["", "", "a", "a"], ["a", "", "b"]])
def test_list_that_is_no_vocabulary_is_refused(texts):
    with pytest.raises(ValueError, match="two empty texts"):
        Vocabulary(texts)


def test_maps_that_are_cut_off_while_made_anew_are_made_again(tmp_path, monkeypatch):
    cache = MapCache(tmp_path, model_dir() / "encoder.tflite")
    np.save(tmp_path / "maps.npy", np.zeros((1, 9, 160), np.int8))
    (tmp_path / "done").write_text("1")

    def cut(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "open_memmap", cut)
    with pytest.raises(KeyboardInterrupt):
        cache.fill([(SimpleNamespace(key="photo"), 0)])
    assert (tmp_path / "done").read_text() == "0"
