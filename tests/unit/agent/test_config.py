import pytest
from moteye.config import load_settings
from moteye.errors import ConfigError
from moteye.link.connection import BrokerUrl


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_defaults_need_no_file():
    settings = load_settings()
    assert settings.broker is None
    assert settings.listen_address == ("127.0.0.1", 1883)
    assert repr(settings.broker_url) == "mqtt://127.0.0.1:1883"


def test_flag_over_environment_over_file(tmp_path, monkeypatch):
    (tmp_path / "moteye.yaml").write_text("policies: from-file\ndim: 64\nclient_id: file\n")
    monkeypatch.setenv("MOTEYE_DIM", "128")
    monkeypatch.setenv("MOTEYE_CLIENT_ID", "environment")
    settings = load_settings(client_id="flag")
    assert (str(settings.policies), settings.dim, settings.client_id) == ("from-file", 128, "flag")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("brokr: x\n", "'brokr'"),
        ("dim: 65\n", "one of 16, 32, 64, 128, 256"),
        ("listen: nowhere\n", "'listen'"),
        ("devices: [hall/1]\n", "'devices.0'"),
    ],
)
def test_a_wrong_file_is_named_with_the_setting(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml") as caught:
        load_settings(file)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_settings(tmp_path / "none.yaml")


def test_broker_urls():
    url = BrokerUrl.parse("mqtts://ann:p%40ss@broker.example")
    assert (url.host, url.port, url.tls, url.user, url.password) == (
        "broker.example",
        8883,
        True,
        "ann",
        "p@ss",
    )


@pytest.mark.parametrize("wrong", ["http://x", "mqtt://", "broker", "mqtt://x:port"])
def test_wrong_broker_urls_say_what_is_wanted(wrong):
    with pytest.raises(ConfigError, match="mqtt://host:1883"):
        BrokerUrl.parse(wrong)


def test_a_password_is_never_shown():
    settings = load_settings(broker="mqtt://ann:canary@host")
    for text in (repr(settings), str(settings), repr(settings.broker_url), f"{settings!r}"):
        assert "canary" not in text
    with pytest.raises(ConfigError) as caught:
        _ = load_settings(broker="http://ann:canary@host").broker_url
    assert "canary" not in str(caught.value)
