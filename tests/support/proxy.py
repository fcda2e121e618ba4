"""A TCP proxy in threads, which can cut, refuse, stall and slow what goes through it."""

import contextlib
import socket
import struct
from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Protocol, Self

from ticketops.embedded.engine import free_port

_CHUNK = 65536


class Rewriter(Protocol):
    """Changes what goes through one connection; may hold bytes back until it knows enough."""

    def from_client(self, data: bytes) -> bytes: ...

    def from_server(self, data: bytes) -> bytes: ...


class TcpProxy:
    """Listens on a port of 127.0.0.1 and forwards to another one, which may be down.

    Args:
        target: the port to forward to.
        latency: seconds that each piece of data is held back, in each direction.
        rewrite: makes the rewriter of a new connection.
        on_client_data: called with each piece from a client before it is forwarded; it may call `cut()`.
    """

    def __init__(
        self,
        target: int,
        *,
        latency: float = 0.0,
        rewrite: Callable[[], Rewriter] | None = None,
        on_client_data: Callable[[bytes], None] | None = None,
    ) -> None:
        self.port = free_port()
        self.latency = latency
        self.on_client_data = on_client_data
        self.accepted = 0
        """Connections so far."""
        self.target = target
        self._rewrite = rewrite
        self._to_server, self._to_client, self._closed = Event(), Event(), Event()
        self._lock = Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[Thread] = []
        self._listener: socket.socket | None = None
        self.resume()

    def url(self, url: str) -> str:
        """Return the URL with the target's port replaced by the proxy's."""
        return url.replace(f":{self.target}", f":{self.port}")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._sockets) // 2

    def cut(self) -> None:
        """Reset all connections; new ones are served."""
        with self._lock:
            gone, self._sockets = self._sockets, set()
        for end in gone:
            _reset(end)

    def refuse(self) -> None:
        """Reset all connections and refuse new ones until `resume()`."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def stall(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Forward nothing more, not even an end: the peers see a connection that is open and silent."""
        if to_server:
            self._to_server.clear()
        if to_client:
            self._to_client.clear()

    def resume(self) -> None:
        """Forward again and listen again."""
        self._to_server.set()
        self._to_client.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
            self._spawn(self._accept, self._listener)

    def close(self) -> None:
        """End everything, threads too."""
        self._closed.set()
        self.refuse()
        self._to_server.set()
        self._to_client.set()
        for thread in self._threads:
            thread.join(5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._closed.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5.0)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        with self._lock:
            self._sockets |= {client, server}
        rewriter = self._rewrite() if self._rewrite else None
        self._spawn(self._pump, server, client, self._to_client, rewriter and rewriter.from_server)
        self._pump(client, server, self._to_server, self._seen(rewriter))

    def _seen(self, rewriter: Rewriter | None) -> Callable[[bytes], bytes]:
        def look(data: bytes) -> bytes:
            if self.on_client_data:
                self.on_client_data(data)
            return rewriter.from_client(data) if rewriter else data

        return look

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        open_: Event,
        change: Callable[[bytes], bytes] | None,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                data = change(data) if change else data
                if self.latency:
                    self._closed.wait(self.latency)
                open_.wait()
                sink.sendall(data)
        open_.wait()
        self._end(source, sink)

    def _end(self, *ends: socket.socket) -> None:
        with self._lock:
            self._sockets.difference_update(ends)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _reset(end: socket.socket) -> None:
    """Close so that the peer sees a reset, and a thread that waits in recv() wakes up."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)
    end.close()
