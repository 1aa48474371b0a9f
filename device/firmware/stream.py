# Byte streams over sockets and UARTs. A transport is whatever has these: `await readinto(view)` (0
# at the end, None when it has to be asked again), `write(bytes)`, `await drain()`, `close()`.
#
# What goes over sockets and what over UARTs is the configuration's choice; a port that has only one
# of them lacks `socket` or `board`.
import asyncio
import errno

from micropython import const

try:
    import socket
except ImportError:
    socket = None
try:
    import board
except ImportError:
    board = None
try:
    import tls
except ImportError:
    tls = None

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class Stream:
    # line: a socket or a UART, as open_line() gives it, or TLS over one. below: that one; TLS that
    # has failed forgets it, and it would stay open.
    def __init__(self, line, below=None):
        self._lines = [line] if below is None else [line, below]
        stream = asyncio.StreamReader(line)
        self.readinto = stream.readinto
        self.write = stream.write
        self.drain = stream.drain

    # The second close is told that the first one did it, if it did; nothing is opened in between.
    def close(self):
        while self._lines:
            try:
                self._lines.pop(0).close()
            except OSError:
                pass


# The line to the "broker" or the "camera" of the configuration: something with readinto, write and
# close that never waits. Raises OSError.
def open_line(config, end):
    number = config[end + ".uart"]
    if number is None:
        return connecting_socket(config[end + ".host"], config[end + ".port"])
    if board is None:
        raise OSError("this build has no UARTs")
    return board.UART(number)


def line_name(config, end):
    if config[end + ".uart"] is not None:
        return "UART %d" % config[end + ".uart"]
    return "%s:%d" % (config[end + ".host"], config[end + ".port"])


# A socket that is being connected; never waits, except for the name server. The first write waits
# for the connection, and fails if there is none.
def connecting_socket(host, port):
    if socket is None:
        raise OSError("this build has no sockets")
    info = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(info[0], info[1], info[2])
    sock.setblocking(False)
    try:
        # the head and the payload of a message are two writes; the second must not wait for an ACK
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        sock.connect(info[-1])
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            sock.close()
            raise
    return sock


# What TLS needs, from the files `broker.ca`, `broker.cert` and `broker.key` of the configuration.
# Raises OSError, or ValueError that says which file is wrong.
def tls_context(config):
    if tls is None:
        raise OSError("this build has no TLS")
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    ca = _read(config, "broker.ca")
    try:
        context.load_verify_locations(ca)
    except ValueError:
        raise ValueError("broker.ca: %s is no certificate" % config["broker.ca"]) from None
    if config["broker.cert"]:
        cert, key = _read(config, "broker.cert"), _read(config, "broker.key")
        try:
            context.load_cert_chain(cert, key)
        except ValueError as error:
            name = "broker.cert" if "cert" in str(error) else "broker.key"
            kind = "certificate" if name == "broker.cert" else "private key without a password"
            raise ValueError("%s: %s is no %s" % (name, config[name], kind)) from None
    return context


def _read(config, name):
    try:
        with open(config[name], "rb") as file:
            return file.read()
    except OSError as error:
        raise ValueError("%s: %s cannot be read: %r" % (name, config[name], error)) from None


# What a failure of TLS means, in words; None for any other error. mbedTLS says why a certificate
# was not accepted, in a line each; of a refusal by the broker it knows no more than that. early:
# the broker has not said anything yet; a broker that hangs up then has refused, too.
def tls_failure(error, early):
    text = str(error)
    if isinstance(error, ValueError):
        for sign, meaning in _VERIFICATION:
            if sign in text:
                return "TLS: " + meaning
        return "TLS: " + text.strip().replace("\n", "; ")
    if _is_tls(error):
        if _says(error, _REFUSED):
            return (
                "TLS: the broker refuses this device; does it want a certificate (broker.cert,"
                " broker.key), or has it expired?"
            )
        if _says(error, _NO_TLS):
            return "TLS: what answers does not speak TLS; look after broker.port"
        return "TLS: %s" % error.args[1]
    if early and isinstance(error, OSError) and error.args[0] in _HUNG_UP:
        return (
            "TLS: the broker hung up in the handshake; does it want a certificate (broker.cert,"
            " broker.key), and does broker.port speak TLS?"
        )
    return None


# Whether this side could not do a handshake, for want of memory or in its TLS (T61). A verdict on a
# certificate, a refusal by the broker, and a broker that is away are no such thing.
def handshake_failed(error):
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, OSError):
        return False
    if error.args[0] == errno.ENOMEM:
        return True
    return _is_tls(error) and not _says(error, _REFUSED + _NO_TLS)


# Whether mbedTLS says so, in whichever of its builds' words.
def _is_tls(error):
    return isinstance(error, OSError) and len(error.args) > 1 and "SSL" in str(error.args[1])


def _says(error, signs):
    text = str(error)
    return any(sign in text for sign in signs)


_REFUSED = ("FATAL_ALERT", "fatal alert")
_NO_TLS = ("INVALID_RECORD", "invalid SSL record")
_HUNG_UP = (32, errno.ECONNRESET)  # EPIPE, which MicroPython has no name for


_VERIFICATION = (
    ("validity has expired", "the broker's certificate has expired, or this clock is wrong"),
    ("future", "the broker's certificate is not valid yet, or this clock is wrong"),
    ("Common Name", "the broker's certificate is for another name; see broker.server_name"),
    ("not correctly signed", "the broker's certificate is not signed by broker.ca"),
)


# A stream to the broker, TLS with a context.
def open_stream(config, context=None):
    below = open_line(config, "broker")
    if context is None:
        return Stream(below)
    try:
        line = context.wrap_socket(
            below,
            server_hostname=config["broker.server_name"] or config["broker.host"],
            do_handshake_on_connect=False,
        )
        line.setblocking(False)
    except Exception:
        below.close()
        raise
    return Stream(line, below)
