"""A publisher that costs next to nothing: packets made beforehand, one socket, QoS 1.

    python flood.py PORT FILE [--rate MESSAGES_PER_SECOND]

FILE holds (topic, payload) pairs as msgpack. Prints, once a line arrives on standard input, the
monotonic time at which it began, and when the broker has all of them.
"""

import argparse
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import msgpack

WINDOW = 400  # PUBACKs outstanding


def packet(topic: str, payload: bytes, number: int) -> bytes:
    """A QoS 1 PUBLISH with message id 1..65535."""
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name + struct.pack(">H", number % 65535 + 1) + payload
    length, head = len(body), bytearray([0x32])
    while True:
        length, digit = divmod(length, 128)
        head.append(digit | (128 if length else 0))
        if not length:
            return bytes(head) + body


def main() -> None:
    """Connect, wait for a line, send all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, default=0.0)
    args = parser.parse_args()
    pairs = msgpack.unpackb(args.file.read_bytes())
    packets = [packet(topic, payload, i) for i, (topic, payload) in enumerate(pairs)]
    line = socket.create_connection(("127.0.0.1", args.port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06flood0")
    assert line.recv(4) == b"\x20\x02\x00\x00", "no CONNACK"
    room = threading.Semaphore(WINDOW)
    acknowledged = 0

    def listen() -> None:
        nonlocal acknowledged
        left = 0
        while acknowledged < len(packets):
            got = len(line.recv(65536)) + left
            done, left = divmod(got, 4)
            acknowledged += done
            room.release(done) if done else None

    listener = threading.Thread(target=listen)
    listener.start()
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    print(began, flush=True)
    for number, one in enumerate(packets):
        if args.rate:
            wait_s = began + number / args.rate - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
        room.acquire()
        line.sendall(one)
    listener.join()
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
