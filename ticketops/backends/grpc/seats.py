"""Seats that are released by a unary gRPC call, declared by its address and its request's field numbers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol
from urllib.parse import urlsplit

import grpc

from ticketops.backends.grpc.message import Value, message
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.subjects import Subject
from ticketops.errors import ConfigError, ServiceFailed, ServiceRefused, ServiceTimeout

_SERVICE: Final = "the seat service"
_FOR_GOOD: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_SHOWN: Final = 200
"""Characters of an answer's details that are told."""
_CHANNEL: Final = (("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 5000))


class Guard(Protocol):
    """A circuit breaker around a call."""

    def call(self, call: Callable[[], bytes]) -> bytes:
        """Make the call, unless the circuit is open: CircuitOpen."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn what grpc raises into TicketOps' errors."""
    try:
        yield
    except grpc.RpcError as error:
        code, details = error.code(), (error.details() or "")[:_SHOWN]
        why = f"{code.name} {details}".strip()
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise ServiceTimeout(f"{_SERVICE} gave no answer in time", why=why) from error
        if code in _FOR_GOOD:
            raise ServiceRefused(f"{_SERVICE} refused", why=why) from error
        raise ServiceFailed(f"{_SERVICE} failed", why=why) from error


class GrpcSeatRelease:
    """Implements ports.SeatRelease: a unary call whose answer's content says nothing; the event id is in its metadata.

    Several threads may use one.
    """

    calls_out = True

    def __init__(
        self, url: str, fields: Mapping[str, int], headers: Mapping[str, str], timeout: float, guard: Guard
    ) -> None:
        """`url`: grpc://HOST:PORT/package.Service/Method, grpcs:// with TLS; `timeout` in seconds bounds a call."""
        known = _values(Subject(key="", state=""))
        if unknown := fields.keys() - known.keys():
            raise ConfigError(
                f"worker.payments.release_fields names {min(unknown)}", why=f"there are {', '.join(sorted(known))}"
            )
        self._fields = fields
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._timeout = timeout
        self._guard = guard
        target, method, secure = _address(url)
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials(), _CHANNEL)
            if secure
            else grpc.insecure_channel(target, _CHANNEL)
        )
        self._release = self._channel.unary_unary(method)

    def release(self, booking: Subject, event_id: str) -> OutboxEvent | None:
        """See ports.SeatRelease."""
        values = _values(booking)
        request = message({number: values[name] for name, number in self._fields.items()})
        key = event_id.encode("ascii", "replace").decode()
        self._guard.call(lambda: self._call(request, (*self._metadata, ("idempotency-key", key))))
        return None

    def _call(self, request: bytes, metadata: tuple[tuple[str, str], ...]) -> bytes:
        with translated():
            answer: bytes = self._release(request, timeout=self._timeout, metadata=metadata)
        return answer

    def close(self) -> None:
        """Give up the connection."""
        self._channel.close()


def _values(booking: Subject) -> Mapping[str, Value]:
    return {
        "booking_id": booking.key,
        "reference": booking.reference or "",
        "event_id": booking.event_id or "",
        "user_id": booking.user_id or "",
        "payment_id": booking.payment_reference or "",
        "seat_count": booking.seat_count or 0,
        "seat_numbers": booking.seats,
    }


def _address(url: str) -> tuple[str, str, bool]:
    parts = urlsplit(url)
    if parts.scheme not in {"grpc", "grpcs"} or not parts.netloc or parts.path.count("/") != 2:  # noqa: PLR2004
        raise ConfigError(
            "worker.payments.release_url cannot be used for gRPC",
            why="it must name a server, a service and a method",
            hint="write grpc://HOST:PORT/package.Service/Method, or grpcs:// with TLS",
        )
    return parts.netloc, parts.path, parts.scheme == "grpcs"
