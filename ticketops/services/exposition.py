"""/livez, /readyz and /metrics of a daemon."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ticketops.errors import BackendError
from ticketops.options import HttpOptions

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Health:
    """An answer of /livez or /readyz."""

    ok: bool
    reason: str
    """In words; shown in the answer's body."""


@dataclass(frozen=True, slots=True)
class Probes:
    """What the server asks the daemon."""

    live: Callable[[], Health]
    ready: Callable[[], Health]
    metrics: Callable[[], bytes]


class Exposition:
    """The HTTP server, in threads of its own."""

    def __init__(self, options: HttpOptions, probes: Probes) -> None:
        """Bind; BackendError where the port is in use or may not be bound."""
        try:
            self._server = _Server((options.host, options.port), _handler(probes))
        except (OSError, OverflowError) as error:
            raise BackendError(
                f"cannot listen on {options.host} port {options.port}",
                why=getattr(error, "strerror", None) or str(error),
                hint="set http.port to a free port, to 0 for any, or http.enabled = false",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)

    @property
    def address(self) -> str:
        """host:port as bound."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        if self._thread.ident is not None:
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's signature
        """A client that breaks its connection off is no news; checks of load balancers do nothing else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _handler(probes: Probes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/livez":
                    self._answer_health(probes.live())
                case "/readyz":
                    self._answer_health(probes.ready())
                case "/metrics":
                    self._answer(HTTPStatus.OK, _METRICS, probes.metrics())
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, _TEXT, b"try /livez, /readyz or /metrics\n")

        def _answer_health(self, health: Health) -> None:
            status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, _TEXT, f"{health.reason}\n".encode())

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's signature
            """Requests are not logged."""

    return Handler
