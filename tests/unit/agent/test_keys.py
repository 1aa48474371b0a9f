"""The fleet's keys: who may read them, how they change."""

import json

import pytest
from moteye.cli.app import app
from moteye.errors import ConfigError
from moteye.keys import VARIABLE, FleetKeys, load_keys
from typer.testing import CliRunner

runner = CliRunner()


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "keys.json"


def call(*arguments):
    return runner.invoke(app, ["keys", *map(str, arguments)])


def enrolled(file):
    return json.loads(call("enroll", "cam", "--file", file).output)["keys"]


def test_init_makes_a_file_for_its_owner_only_and_never_a_second(file):
    result = call("init", "--file", file)
    assert result.exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    keys = load_keys(file)
    assert keys.current.hex() not in result.output + repr(keys)
    assert isinstance(call("init", "--file", file).exception, ConfigError)
    assert load_keys(file) == keys


def test_rotation_has_two_keys_of_which_the_old_one_signs_until_the_end(file):
    call("init", "--file", file)
    first = enrolled(file)
    assert call("rotate", "--file", file).exit_code == 0
    both = enrolled(file)
    assert (len(first), len(both), both[0]) == (1, 2, first[0])
    assert load_keys(file).signing_key("cam").hex() == first[0]
    assert isinstance(call("rotate", "--file", file).exception, ConfigError)
    assert call("rotate", "--finish", "--file", file).exit_code == 0
    assert enrolled(file) == both[1:]
    assert load_keys(file).signing_key("cam").hex() == both[1]
    assert isinstance(call("rotate", "--finish", "--file", file).exception, ConfigError)


def test_file_that_others_may_read_is_refused(file):
    FleetKeys.new().save(file)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(file)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"current": "00"}', '{"current": 5}'])
def test_file_without_keys_is_refused(file, content):
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="keys"):
        load_keys(file)


def test_environment_takes_the_place_of_the_file(file, monkeypatch):
    assert load_keys(None) is None
    monkeypatch.setenv(VARIABLE, "07" * 32)
    assert load_keys(file).current == b"\x07" * 32
    monkeypatch.setenv(VARIABLE, "07")
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        load_keys(file)


def test_enroll_refuses_what_is_no_device_id(file):
    call("init", "--file", file)
    assert isinstance(call("enroll", "A b", "--file", file).exception, ConfigError)
