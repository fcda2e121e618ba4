"""A seat service on loopback, which a test lets answer, fail or hang."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class SeatService:
    """Answers POSTs with `status`; remembers them by their Idempotency-Key."""

    def __init__(self) -> None:
        self.status = 200
        self.answer = b"{}"
        self.trickle = 0.0
        """Seconds between the bytes of the answer's head."""
        self.over = threading.Event()
        self.hang = threading.Event()
        self.hang.set()
        self.calls: list[tuple[str, str, Any]] = []
        """Path, Idempotency-Key and body."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                service.calls.append((self.path, self.headers.get("Idempotency-Key", ""), json.loads(body)))
                self._reply()

            def do_GET(self) -> None:
                service.calls.append((self.path, "", None))
                self._reply()

            def _reply(self) -> None:
                service.hang.wait(20.0)
                try:
                    while service.trickle:
                        self.wfile.write(b"H")
                        service.over.wait(service.trickle)
                        if service.over.is_set():
                            return
                    self.send_response(service.status)
                    self.send_header("content-length", str(len(service.answer)))
                    self.end_headers()
                    self.wfile.write(service.answer)
                except OSError:
                    return

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self.hang.set()
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


@pytest.fixture
def seat_service() -> Iterator[SeatService]:
    service = SeatService()
    yield service
    service.close()
