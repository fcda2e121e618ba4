"""An HTTP service that bookings are sent to, which can be slow, fail, refuse, or go silent."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    at: float
    item: str
    key: str
    attempt: int
    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service does with a request."""

    status: int = 200
    after: float = 0.0
    """Seconds before it answers."""
    trickle: float = 0.0
    """Seconds for which the answer comes byte by byte."""
    silent: bool = False
    """It takes the request, and never answers."""


@dataclass
class BookingService:
    """Listens on a port of 127.0.0.1; `answer` decides on each call."""

    answer: Callable[[Call], Answer] = lambda _: Answer()
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def seen(self) -> Counter[str]:
        """How often each item came."""
        return Counter(call.item for call in tuple(self.calls))

    def of(self, item: str) -> list[Call]:
        return [call for call in tuple(self.calls) if call.item == item]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(service: BookingService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            call = Call(
                at=time.monotonic(),
                item=json.loads(body)["ID"],
                key=self.headers["Idempotency-Key"],
                attempt=int(self.headers["TicketOps-Attempt"]),
                path=self.path,
                body=body,
                headers=dict(self.headers),
            )
            service.calls.append(call)
            answer = service.answer(call)
            service.over.wait(answer.after)
            if answer.silent:
                service.over.wait(60)
                self.close_connection = True
                return
            self._send(answer)

        def _send(self, answer: Answer) -> None:
            told = b"it says so" * 10
            try:
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                for byte in told if answer.trickle else ():
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    service.over.wait(answer.trickle / len(told))
                if not answer.trickle:
                    self.wfile.write(told)
            except OSError:  # the worker gave up
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
            """Not logged."""

    return Handler
