"""What a client sees of PgBouncer: a backend process id that is made up, in PostgreSQL's start-up messages."""

import struct
from collections.abc import Callable

_CANCEL = 80877102
_ENCRYPTION = (80877103, 80877104)
"""SSLRequest and GSSENCRequest; the server answers each with one byte."""


class FakeBackendPid:
    """Rewrites the pid in BackendKeyData, and back in a cancel request, as a pooler would."""

    def __init__(self, pid: int, real_pids: dict[bytes, int]) -> None:
        self._pid = pid
        self._real_pids = real_pids
        """Cancel key = real pid, of all connections."""
        self._single_bytes = 0
        self._buffer = b""
        self._done = False

    def from_client(self, data: bytes) -> bytes:
        if len(data) < 8 or self._done:
            return data
        (code,) = struct.unpack_from(">i", data, 4)
        if code in _ENCRYPTION:
            self._single_bytes += 1
        if code == _CANCEL:
            real = self._real_pids[data[12:]]
            return data[:8] + struct.pack(">i", real) + data[12:]
        return data

    def from_server(self, data: bytes) -> bytes:
        if self._done:
            return data
        self._buffer += data
        answer = b"".join(iter(self._next_message, b""))
        if self._done:
            answer, self._buffer = answer + self._buffer, b""
        return answer

    def _next_message(self) -> bytes:
        """Take one whole message from the buffer; empty while it is incomplete or nothing is left to do."""
        if self._done or not self._buffer:
            return b""
        size = self._message_size()
        if len(self._buffer) < size:
            return b""
        message, self._buffer = self._buffer[:size], self._buffer[size:]
        return self._rewritten(message) if message[:1] == b"K" else message

    def _message_size(self) -> int:
        if self._single_bytes:
            self._single_bytes -= 1
            return 1
        if len(self._buffer) < 5:
            return 5
        (length,) = struct.unpack_from(">i", self._buffer, 1)
        return 1 + int(length)

    def _rewritten(self, message: bytes) -> bytes:
        self._done = True
        (real,) = struct.unpack_from(">i", message, 5)
        self._real_pids[message[9:]] = real
        return message[:5] + struct.pack(">i", self._pid) + message[9:]


def fake_backend_pid(pid: int) -> Callable[[], FakeBackendPid]:
    """Return the maker of rewriters for one proxy."""
    real_pids: dict[bytes, int] = {}
    return lambda: FakeBackendPid(pid, real_pids)
