"""A server that takes everything, for a machine on which nothing but Python is: `plain_server.py PORT SECONDS_A_MEGABYTE`.

It prints a line for each report: its key and its SHA-256.
"""

from __future__ import annotations

import hashlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left:
            data = self.rfile.read(min(100_000, left))
            left -= len(data)
            digest.update(data)
            time.sleep(float(sys.argv[2]) * len(data) / 1_000_000)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print(self.headers["Idempotency-Key"], digest.hexdigest(), flush=True)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
