"""An embeddings endpoint on the loopback, for a client of one: a vector follows from the words of the text alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from citewell.models.hashing import HashEmbedder

DIMENSIONS = 64


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = HashEmbedder(DIMENSIONS)
        model.max_tokens = 1_000_000
        vectors = asyncio.run(model.embed(request["input"], role="passage")).tolist()
        # Twice as long as a unit vector, and last first: a client must neither trust the length nor the order.
        data = [{"index": row, "embedding": [2 * value for value in vector]} for row, vector in enumerate(vectors)]
        body = json.dumps({"data": data[::-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        pass  # a client that was cancelled hangs up


@contextmanager
def endpoint() -> Iterator[str]:
    """The base url of an endpoint that runs meanwhile."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
