"""Fixtures of the device tests; what they hand out is in device_bench.py."""

import hashlib

import pytest
from moteye.camera.simulate import SimulatedDevice
from moteye.compiler import compile_model
from moteye.resources import checkout
from system.device.device_bench import DEVICE, Mosquitto, hosting


@pytest.fixture
async def broker(tmp_path):
    mosquitto = Mosquitto(tmp_path)
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


@pytest.fixture
async def host(broker):
    async with hosting(broker.port) as found:
        yield found


@pytest.fixture(scope="session")
def encoder():
    """The shipped model pack; compiled from the committed model where it has not been."""
    root = checkout()
    shipped = root / "device" / "models" / "accurate" / "encoder.mpk"
    if shipped.is_file():
        return shipped
    compiled = root / "build" / "test-encoder.mpk"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(compile_model(shipped.with_suffix(".tflite").read_bytes()))
    return compiled


@pytest.fixture
def encoder_hash(encoder):
    return hashlib.sha256(encoder.read_bytes()).digest()[:8]


@pytest.fixture
def camera(tmp_path):
    """A cat and a rocket, two seconds each."""
    path = tmp_path / "scene.yaml"
    path.write_text(
        "shots: [{photo: 'skimage:chelsea', seconds: 2}, {photo: 'skimage:rocket', seconds: 2}]\n"
    )
    return f"scene:{path}"


@pytest.fixture
def make_device(broker, camera, tmp_path, encoder):
    """A device that publishes often; settings of its configuration by name."""

    def make(*, port=None, camera_spec=camera, data_dir=tmp_path / "flash", **options):
        settings = {
            "keepalive_s": options.pop("keepalive_s", 5),
            "heartbeat_ms": options.pop("heartbeat_ms", 200),
            **options.pop("settings", {}),
        }
        return SimulatedDevice(
            device_id=options.pop("device_id", DEVICE),
            broker_host="127.0.0.1",
            broker_port=port or broker.port,
            camera_spec=camera_spec,
            data_dir=data_dir,
            interval_ms=options.pop("interval_ms", 50),
            encoder=encoder,
            settings=settings,
            **options,
        )

    return make
