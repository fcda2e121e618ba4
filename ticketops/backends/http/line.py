"""One thread's connection to a service, with a deadline for a whole call."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpx

_CONNECTED: Final = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class Line:
    """An HTTP client for one thread.

    httpx bounds each wait for data, not their sum: a service that sends a byte now and then would hold the thread for
    ever. So the socket is shut down at the deadline, which ends whatever waits for it.
    """

    def __init__(self, timeout: float, headers: Mapping[str, str]) -> None:
        """`timeout` in seconds."""
        self.client = httpx.Client(
            timeout=timeout, headers=dict(headers), follow_redirects=False, limits=httpx.Limits(max_connections=1)
        )
        self._timeout = timeout
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._call = 0
        """The number of the call that is being made, or was made last."""
        self._late = 0
        """The number of the call that met its deadline."""

    @contextmanager
    def deadline(self) -> Iterator[None]:
        """Raise httpx.ReadTimeout where what is done takes longer than `timeout` in all."""
        self._call += 1
        timer = threading.Timer(self._timeout, self._shut, (self._call,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except httpx.TransportError as error:
            if self._is_late:
                raise httpx.ReadTimeout("it took too long in all") from error
            raise
        finally:
            timer.cancel()
        if self._is_late:
            raise httpx.ReadTimeout("it took too long in all")

    def trace(self, event: str, told: Mapping[str, Any]) -> None:
        """What httpcore tells of its connections; give it as the request's extension `trace`."""
        if event not in _CONNECTED:
            return
        with self._lock:
            self._socket = told["return_value"].get_extra_info("socket")
        if self._is_late:
            self._shut(self._call)

    @property
    def _is_late(self) -> bool:
        return self._late == self._call

    def _shut(self, call: int) -> None:
        with self._lock:
            if call != self._call:
                return
            self._late = call
            if self._socket is not None:
                with suppress(OSError):
                    # Not the method of a TLS socket, which takes its state away from under who reads it.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
