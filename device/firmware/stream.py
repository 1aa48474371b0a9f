# Byte streams over sockets. A transport is whatever has these: `await readinto(view)` (0 at the
# end, None when it has to be asked again), `write(bytes)`, `await drain()`, `close()`.
import asyncio
import errno
import socket

from micropython import const

try:
    import tls
except ImportError:
    tls = None

_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)


class SocketStream:
    def __init__(self, sock):
        self._sock = sock
        stream = asyncio.StreamReader(sock)
        self.readinto = stream.readinto
        self.write = stream.write
        self.drain = stream.drain

    def close(self):
        self._sock.close()


# A socket that is being connected; never waits, except for the name server. The first write waits
# for the connection, and fails if there is none.
def connecting_socket(host, port):
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


# A stream to host:port, TLS with a context. `name` is what the certificate must carry.
def open_stream(host, port, context=None, name=None):
    sock = connecting_socket(host, port)
    if context is not None:
        try:
            sock = context.wrap_socket(
                sock, server_hostname=name or host, do_handshake_on_connect=False
            )
            sock.setblocking(False)
        except Exception:
            sock.close()
            raise
    return SocketStream(sock)
