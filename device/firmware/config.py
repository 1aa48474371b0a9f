# The configuration: one JSON file. Every error names the file, the key, and what was expected.
import json
import os

from moteye_protocol.wire import MAX_DEVICE_ID_CHARS, MAX_SET_BYTES, SET_DIMS

_REQUIRED = "required"
_ID_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789-_"


class ConfigError(Exception):
    pass


def _integer(low, high):
    def check(value):
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check, "an integer from %d to %d" % (low, high)


def _is_id(value):
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_DEVICE_ID_CHARS:
        return False
    return value[0] not in "-_" and all(char in _ID_CHARS for char in value)


_TEXT = (lambda value: isinstance(value, str) and value != "", "a string that is not empty")
_MAYBE_TEXT = (lambda value: value is None or isinstance(value, str), "a string or null")
_SWITCH = (lambda value: isinstance(value, bool), "true or false")


def _are_keys(value):
    return isinstance(value, list) and len(value) <= 2 and all(_is_key(key) for key in value)


def _is_key(value):
    if not isinstance(value, str) or len(value) != 64:
        return False
    return all(char in "0123456789abcdef" for char in value)


_KEYS_OF_DEVICE = (_are_keys, "a list of at most 2 keys of 64 hexadecimal digits")
_SECRET = ("broker.password", "keys")
_PORT = _integer(1, 65535)
_is_uart, _ = _integer(0, 15)
_MAYBE_UART = (lambda value: value is None or _is_uart(value), "an integer from 0 to 15 or null")

# key: default, (check, what is expected). The README lists what they mean.
_KEYS = {
    "id": (
        _REQUIRED,
        (_is_id, "1..%d of a-z, 0-9, - and _, the first a letter or digit" % MAX_DEVICE_ID_CHARS),
    ),
    "broker.host": (_REQUIRED, _TEXT),
    "broker.port": (1883, _PORT),
    "broker.uart": (None, _MAYBE_UART),
    "broker.tls": (False, _SWITCH),
    "broker.ca": (None, _MAYBE_TEXT),
    "broker.cert": (None, _MAYBE_TEXT),
    "broker.key": (None, _MAYBE_TEXT),
    "broker.server_name": (None, _MAYBE_TEXT),
    "broker.user": (None, _MAYBE_TEXT),
    "broker.password": (None, _MAYBE_TEXT),
    "camera.host": ("127.0.0.1", _TEXT),
    "camera.port": (_REQUIRED, _PORT),
    "camera.uart": (None, _MAYBE_UART),
    "camera.timeout_ms": (15000, _integer(100, 600000)),
    "encoder": (_REQUIRED, _MAYBE_TEXT),
    "data_dir": (_REQUIRED, _TEXT),
    "factory_set": (None, _MAYBE_TEXT),
    "captions.enabled": (False, _SWITCH),
    "captions.pack": (None, _MAYBE_TEXT),
    "captions.beams": (3, _integer(1, 4)),
    "captions.on_change": (True, _SWITCH),
    "captions.every_s": (0, _integer(0, 86400)),
    "dim": (64, (lambda value: value in SET_DIMS and value is not True, "one of %s" % (SET_DIMS,))),
    "interval_ms": (500, _integer(0, 86400000)),
    "change_below_q8": (251, _integer(-256, 257)),
    "settle_frames": (3, _integer(0, 100)),
    "heartbeat_ms": (2000, _integer(100, 86400000)),
    "frames": (False, _SWITCH),
    "keepalive_s": (60, _integer(1, 65535)),
    "healthy_s": (300, _integer(1, 86400)),
    "max_set_bytes": (MAX_SET_BYTES, _integer(1024, MAX_SET_BYTES)),
    "trial_s": (30, _integer(1, 3600)),
    "keys": ([], _KEYS_OF_DEVICE),
    "watchdog_s": (30, _integer(0, 3600)),
    "max_handshakes": (10, _integer(1, 1000)),
    "stdin": (True, _SWITCH),
}

# A line is a socket or a UART: what is needed for the one must not be there for the other.
_SOCKET_KEYS = {"broker.uart": "broker.host", "camera.uart": "camera.port"}

_PATHS = (
    "broker.ca",
    "broker.cert",
    "broker.key",
    "encoder",
    "captions.pack",
    "data_dir",
    "factory_set",
)


# Text of the file -> flat dict with a value for each key above. Paths are made relative to
# `folder`.
def parse(text, file, folder):
    try:
        root = json.loads(text)
    except ValueError:
        raise ConfigError("%s: not JSON" % file) from None
    if not isinstance(root, dict):
        raise ConfigError("%s: expected an object" % file)
    given = {}
    for key, value in root.items():
        if key in ("broker", "camera", "captions"):
            if not isinstance(value, dict):
                raise ConfigError("%s: %s: expected an object" % (file, key))
            for inner, inner_value in value.items():
                given[key + "." + inner] = inner_value
        else:
            given[key] = value
    for key in given:
        if key not in _KEYS:
            known = ", ".join(sorted(_KEYS))
            raise ConfigError("%s: %s: unknown key; there are %s" % (file, key, known))
    unneeded = [key for uart, key in _SOCKET_KEYS.items() if given.get(uart) is not None]
    found = {}
    for key, (default, (check, expected)) in _KEYS.items():
        if key not in given:
            if default is _REQUIRED and key in unneeded:
                default = None
            if default is _REQUIRED:
                raise ConfigError("%s: %s: missing; expected %s" % (file, key, expected))
            found[key] = default
            continue
        value = given[key]
        if not check(value):
            shown = "a value" if key in _SECRET else json.dumps(value)
            raise ConfigError("%s: %s: expected %s, found %s" % (file, key, expected, shown))
        found[key] = value
    for uart, key in _SOCKET_KEYS.items():
        if key in unneeded and key in given:
            raise ConfigError("%s: %s: expected no %s beside it" % (file, uart, key))
    _check_tls(found, file)
    for key in _PATHS:
        if found[key] and not found[key].startswith("/"):
            found[key] = folder + "/" + found[key]
    return found


# TLS that believes every broker, or half a certificate, is a mistake, and never silently less.
def _check_tls(found, file):
    if found["broker.tls"] and not found["broker.ca"]:
        raise ConfigError(
            "%s: broker.ca: missing; TLS expects the certificate that signed the broker's" % file
        )
    for one, other in (("broker.cert", "broker.key"), ("broker.key", "broker.cert")):
        if found[one] and not found[other]:
            raise ConfigError("%s: %s: missing; %s expects it" % (file, other, one))
    for key in ("broker.ca", "broker.cert", "broker.key"):
        if found[key] and not found["broker.tls"]:
            raise ConfigError("%s: %s: expects broker.tls: true" % (file, key))


# Files with secrets are for their owner alone; a file system without permissions has none to
# check.
def _check_private(path, what):
    try:
        mode = os.stat(path)[0]
    except OSError:
        return  # whoever reads it will say so
    if mode & 0o777 and mode & 0o077:
        raise ConfigError(
            "%s: holds %s, and others may read it; run `chmod 600 %s`" % (path, what, path)
        )


def load(file):
    try:
        with open(file) as opened:
            text = opened.read()
    except (OSError, UnicodeError) as error:
        raise ConfigError("%s: cannot be read: %r" % (file, error)) from None
    folder = file.rsplit("/", 1)[0] if "/" in file else "."
    found = parse(text, file, folder or "/")
    for key in _SECRET:
        if found[key]:
            _check_private(file, "`%s`" % key)
    if found["broker.key"]:
        _check_private(found["broker.key"], "`broker.key`")
    return found
