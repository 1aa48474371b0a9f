"""Every error of the configuration names file, key and what was expected."""

import copy
import json

import config
import pytest

GOOD = {
    "id": "cam-1",
    "broker": {"host": "127.0.0.1"},
    "camera": {"port": 4000},
    "encoder": "/models/encoder.mpk",
    "data_dir": "flash",
}


def parse(**changes):
    root = copy.deepcopy(GOOD)
    for key, value in changes.items():
        outer, _, inner = key.partition("__")
        if inner:
            root[outer][inner] = value
        else:
            root[outer] = value
    return config.parse(json.dumps(root), "cam.json", "/etc/moteye")


def test_defaults_and_paths():
    found = parse()
    assert found["broker.port"] == 1883
    assert found["frames"] is False
    assert found["encoder"] == "/models/encoder.mpk"
    assert found["data_dir"] == "/etc/moteye/flash"
    assert found["factory_set"] is None


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("id", "Cam", "a-z"),
        ("id", "", "1..64"),
        ("id", "-cam", "letter or digit"),
        ("id", "x" * 65, "1..64"),
        ("broker__port", 0, "1 to 65535"),
        ("broker__port", "1883", "1 to 65535"),
        ("broker__port", True, "1 to 65535"),
        ("broker__tls", 1, "true or false"),
        ("broker__host", None, "a string"),
        ("broker", "127.0.0.1", "an object"),
        ("dim", 65, "16, 32, 64, 128, 256"),
        ("interval_ms", -1, "0 to"),
        ("interval_ms", 1.5, "an integer"),
        ("frames", "yes", "true or false"),
        ("max_set_bytes", 1 << 30, "262144"),
        ("keepalive_s", 0, "1 to 65535"),
    ],
)
def test_wrong_value_names_file_key_and_expectation(key, value, expected):
    with pytest.raises(config.ConfigError) as caught:
        parse(**{key: value})
    text = str(caught.value)
    assert text.startswith(f"cam.json: {key.replace('__', '.')}: ")
    assert expected in text


@pytest.mark.parametrize("key", ["id", "encoder", "data_dir"])
def test_missing_key_is_named(key):
    root = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(config.ConfigError, match=rf"cam\.json: {key}: missing; expected"):
        config.parse(json.dumps(root), "cam.json", ".")


@pytest.mark.parametrize("changes", [{"fps": 1}, {"broker__prot": 1}])
def test_unknown_key_is_named(changes):
    with pytest.raises(config.ConfigError, match="unknown key"):
        parse(**changes)


def test_uart_takes_the_place_of_host_and_port():
    lines = {"broker": {"uart": 1}, "camera": {"uart": 2}, "encoder": None}
    found = config.parse(json.dumps({**GOOD, **lines}), "cam.json", "/etc/moteye")
    assert (found["broker.uart"], found["broker.host"]) == (1, None)
    assert (found["camera.uart"], found["camera.port"]) == (2, None)
    assert found["encoder"] is None


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("broker__uart", 1, "expected no broker.host beside it"),
        ("camera__uart", 2, "expected no camera.port beside it"),
        ("broker__uart", 16, "0 to 15 or null"),
        ("camera__uart", True, "0 to 15 or null"),
        ("camera__uart", "2", "0 to 15 or null"),
    ],
)
def test_wrong_uart_is_named(key, value, expected):
    with pytest.raises(config.ConfigError) as caught:
        parse(**{key: value})
    text = str(caught.value)
    assert text.startswith(f"cam.json: {key.replace('__', '.')}: ")
    assert expected in text


def test_password_is_not_shown():
    with pytest.raises(config.ConfigError) as caught:
        parse(broker__password=12345)
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"id": "a"'])
def test_text_that_is_no_object_is_refused(text):
    with pytest.raises(config.ConfigError, match=r"cam\.json"):
        config.parse(text, "cam.json", ".")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(config.ConfigError, match=r"none\.json"):
        config.load(str(tmp_path / "none.json"))
