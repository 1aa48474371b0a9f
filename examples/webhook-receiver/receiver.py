"""A receiver of moteye's webhooks: checks the signature, takes each alert once.

    MOTEYE_WEBHOOK_SECRET=whsec_… python examples/webhook-receiver/receiver.py --port 9000

The same secret stands in the agent's moteye.yaml, and the place, since it is on this machine:

    actions:
      webhook:
        allow: ["127.0.0.1:9000"]
        secrets: {default: whsec_…}

A new secret: echo whsec_$(head -c 32 /dev/urandom | base64)
"""

import argparse
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from moteye.actions.signing import verify

MOST_BYTES = 262_144
REMEMBERED = 10_000


class Receiver(BaseHTTPRequestHandler):
    """Takes what one of `secrets` signed, each message once."""

    seen: OrderedDict[str, None] = OrderedDict()
    secrets: list[str] = []

    def do_POST(self) -> None:
        """One alert."""
        size = int(self.headers.get("content-length") or 0)
        if size > MOST_BYTES:
            self._answer(413, "too long")
            return
        body = self.rfile.read(size)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message = verify(headers, body, self.secrets, now_s=int(time.time()))
        except ValueError as error:
            self._answer(401, str(error))
            return
        if message in self.seen:  # the agent did not hear our answer and sent it again
            self._answer(200, "taken before")
            return
        alert = json.loads(body)
        print(
            f"{alert['time']}  {alert['policy']} on {alert['camera']}: {alert['phrase']}",
            flush=True,
        )
        self.seen[message] = None
        while len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)
        self._answer(204, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing a request."""


def main() -> None:
    parser = argparse.ArgumentParser(description="take moteye's webhooks")
    parser.add_argument("--port", type=int, default=9000)
    port = parser.parse_args().port
    Receiver.secrets = os.environ.get("MOTEYE_WEBHOOK_SECRET", "").split()
    if not Receiver.secrets:
        sys.exit("MOTEYE_WEBHOOK_SECRET is not set: whsec_…, two with a space during a change")
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
