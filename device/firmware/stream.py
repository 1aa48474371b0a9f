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
    # line: a socket or a UART, as open_line() gives it.
    def __init__(self, line):
        self.close = line.close
        stream = asyncio.StreamReader(line)
        self.readinto = stream.readinto
        self.write = stream.write
        self.drain = stream.drain


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


# ca: bytes of a PEM or DER file; None accepts any certificate, for a broker on a line of one's own.
def tls_context(ca):
    if tls is None:
        raise OSError("this build has no TLS")
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.verify_mode = tls.CERT_NONE
    else:
        context.load_verify_locations(ca)
        context.verify_mode = tls.CERT_REQUIRED
    return context


# A stream to the broker, TLS with a context.
def open_stream(config, context=None):
    line = open_line(config, "broker")
    if context is not None:
        try:
            line = context.wrap_socket(
                line,
                server_hostname=config["broker.server_name"] or config["broker.host"],
                do_handshake_on_connect=False,
            )
            line.setblocking(False)
        except Exception:
            line.close()
            raise
    return Stream(line)
