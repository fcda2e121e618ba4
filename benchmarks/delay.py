"""A TCP proxy before a broker that holds every byte back for a while, and whose address the clients keep."""

import contextlib
import queue
import socket
import threading
import time
from typing import Self

_CHUNK = 1 << 18
Held = tuple[float, bytes]


class DelayedBroker:
    """One broker of 127.0.0.1, further away.

    What its answers say of its port is changed to this proxy's, so that clients do not find a shorter way.
    """

    def __init__(self, port: int, seconds: float) -> None:
        """`seconds`: added to each direction."""
        self._target = port
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        own = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{own}"
        self._theirs = b"127.0.0.1" + port.to_bytes(4, "big")
        self._ours = b"127.0.0.1" + own.to_bytes(4, "big")
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their peers."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._join(client, server)
                self._join(server, client)

    def _join(self, source: socket.socket, sink: socket.socket) -> None:
        line: queue.Queue[Held] = queue.Queue()
        threading.Thread(target=self._read, args=(source, line), daemon=True).start()
        threading.Thread(target=self._write, args=(line, sink), daemon=True).start()

    def _read(self, source: socket.socket, line: "queue.Queue[Held]") -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            line.put((time.perf_counter() + self._seconds, data.replace(self._theirs, self._ours)))

    def _write(self, line: "queue.Queue[Held]", sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = line.get()
                time.sleep(max(due - time.perf_counter(), 0.0))
                if not data:
                    break
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
