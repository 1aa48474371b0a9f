"""Two processes that torchrun starts train one student: the same weights in both, at each step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "team_of_two.py"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each process of a team wrote: weights, gradients, what the leader said."""
    out = tmp_path_factory.mktemp("team")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(SCRIPT), str(out),
    ]  # fmt: skip
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(2)]


def test_gradients_are_the_mean_of_both(told):
    first, second = (np.array(one["own"]) for one in told)
    assert not np.allclose(first, second)
    for one in told:
        np.testing.assert_allclose(one["mean"], (first + second) / 2, rtol=1e-6)


def test_both_begin_with_the_leaders_weights_and_hear_its_clock(told):
    assert told[0]["weights"] == told[1]["weights"]
    assert told[0]["said"] == told[1]["said"] == 10.0


def test_the_leader_goes_first(told):
    assert told[0]["found"] is False
    assert told[1]["found"] is True


def test_both_trained_to_the_same_weights_on_different_pictures(told):
    np.testing.assert_array_equal(told[0]["trained"], told[1]["trained"])
    assert told[0]["drawn"] != told[1]["drawn"]


def test_the_leader_alone_writes(told):
    assert [one["files"] for one in told] == [["student.pt"], []]
