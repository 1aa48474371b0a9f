"""A caption pack goes over to an encoder with another head, and to no other."""

import hashlib
import io
import shutil
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from moteye.compiler import compile_model, encoder_hash
from moteye.resources import model_dir, space_dir
from moteye_training.captions import relink
from moteye_training.captions.cli import main
from moteye_training.captions.pack import CaptionPack
from PIL import Image
from support.shards import meta, write_shard

SHIPPED = model_dir() / "encoder.tflite"
STEM, HEAD = schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED


def checkout(root: Path, kind: int) -> Path:
    """A checkout whose encoder has other weights in its first operator of this kind."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(SHIPPED.read_bytes()), 0)
    graph = model.subgraphs[0]
    operator = next(
        op for op in graph.operators if model.operatorCodes[op.opcodeIndex].builtinCode == kind
    )
    buffer = model.buffers[graph.tensors[operator.inputs[1]].buffer]
    buffer.data = np.roll(buffer.data, 1)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    folder = root / "device/models/accurate"
    folder.mkdir(parents=True)
    encoder = folder / "encoder.tflite"
    encoder.write_bytes(builder.Output())
    encoder.with_suffix(".mpk").write_bytes(compile_model(encoder.read_bytes()))
    shutil.copy(model_dir() / "captions.cpk", folder)
    ground = root / "host_agent/moteye/space/accurate"
    ground.mkdir(parents=True)
    shutil.copy(space_dir("accurate") / "captions.npz", ground)
    return root


def shards(root: Path) -> Path:
    """A data folder with two photos of noise."""
    members = {f"{at}.jpg": noise(at) for at in range(2)} | {
        f"{at}.json": meta() for at in range(2)
    }
    root.mkdir()
    write_shard(root / "train-000.tar", members)
    return root


def noise(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (96, 96, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def link(root: Path, was: Path = SHIPPED) -> None:
    data = root / "data"
    if not data.exists():
        shards(data)
    main(["relink", "--data", str(data), "--repo", str(root), "--was", str(was)])


def test_pack_goes_over_to_an_encoder_with_another_head(tmp_path, capsys):
    root = checkout(tmp_path, HEAD)
    before = CaptionPack.from_bytes((model_dir() / "captions.cpk").read_bytes())
    link(root)
    folder = root / "device/models/accurate"
    raw = (folder / "captions.cpk").read_bytes()
    now = CaptionPack.from_bytes(raw)
    assert now.encoder == encoder_hash((folder / "encoder.mpk").read_bytes()) != before.encoder
    assert now.sizes == before.sizes
    assert now.factors == before.factors
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(now.arrays[name], array, name)
    name = "host_agent/moteye/space/accurate/captions.npz"
    with np.load(root / name) as ground, np.load(space_dir("accurate") / "captions.npz") as old:
        assert ground["pack"].tobytes() == hashlib.sha256(raw).digest()[:8]
        for part in set(old) - {"pack"}:
            np.testing.assert_array_equal(ground[part], old[part])
    assert "maps equal on 2 photos" in capsys.readouterr().out
    link(root)
    assert "already reads" in capsys.readouterr().out
    # As if a run had been cut off before its second file.
    shutil.copy(model_dir() / "captions.cpk", folder)
    link(root)
    assert (folder / "captions.cpk").read_bytes() == raw


def test_background_of_another_pack_is_refused(tmp_path):
    root = checkout(tmp_path, HEAD)
    path = root / "host_agent/moteye/space/accurate/captions.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez_compressed(path, **(arrays | {"pack": np.zeros(8, np.uint8)}))
    with pytest.raises(relink.RelinkError, match="run the step `background`"):
        link(root)


def test_encoder_of_another_map_is_refused(tmp_path):
    root = checkout(tmp_path, STEM)
    with pytest.raises(relink.RelinkError, match=r"picture 0 of 2: \d+ of 3456 bytes of the map"):
        link(root)
    same = (root / "device/models/accurate/captions.cpk").read_bytes()
    assert same == (model_dir() / "captions.cpk").read_bytes()


def test_pack_of_another_encoder_and_stale_mpk_are_refused(tmp_path):
    root = checkout(tmp_path, HEAD)
    encoder = root / "device/models/accurate/encoder.tflite"
    with pytest.raises(relink.RelinkError, match="the caption pack reads the encoder"):
        link(root, was=encoder)
    encoder.write_bytes(SHIPPED.read_bytes())
    with pytest.raises(ValueError, match="run `make encoders`"):
        link(root)
    with pytest.raises(SystemExit):
        main(["relink"])
