"""The float student of `fast` is what its shipped file was made from."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from moteye_training.distil import load_student
from moteye_training.inherit import file_layers, file_structure, named_layers
from moteye_training.miniature import write_models
from moteye_training.operating import POINTS
from moteye_training.student import make_student

REPO = Path(__file__).parents[2]
MODELS = REPO / "device" / "models"


def scales(path):
    """Each layer's scales, one a channel."""
    graph = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0).subgraphs[0]
    return {
        graph.tensors[op.outputs[0]].name.decode(): np.asarray(
            graph.tensors[op.inputs[1]].quantization.scale, np.float32
        )
        for op in graph.operators
        if len(op.inputs) == 3
    }


@pytest.fixture
def student(tmp_path):
    models = write_models(tmp_path, MODELS / "accurate" / "encoder.tflite")
    made = make_student(models, POINTS["fast"], pretrained=False)
    load_student(made, REPO / "training" / "students" / "fast.pt")
    return made.eval()


def test_every_weight_of_the_file_is_the_students_rounded(student):
    path = MODELS / "fast" / "encoder.tflite"
    layers, steps = file_layers(path), scales(path)
    assert set(layers) == {*named_layers(student), "embedding"}
    for name, layer in named_layers(student).items():
        weight = layer.folded()[0].detach().numpy()
        off = np.abs(weight - layers[name][0].numpy()) / steps[name].reshape(-1, 1, 1, 1)
        assert off.max() <= 0.5 + 1e-3, name
    off = np.abs(student.head.weight.detach().numpy() - layers["embedding"][0].numpy())
    assert (off / steps["embedding"].reshape(-1, 1)).max() <= 0.5 + 1e-3


def test_structure_is_read_from_a_file():
    structure = file_structure(MODELS / "accurate" / "encoder.tflite")
    assert structure["first_conv"] == {"out_channels": 16, "kernel_size": 3, "stride": 2}
    added = [n for n, block in enumerate(structure["blocks"]) if block["shortcut"] is not None]
    assert set(POINTS["fast"].without) <= set(added)
    assert 0 not in added  # 16 channels become 8
    assert structure["classifier"] == {"in_features": 160, "out_features": 1000}
