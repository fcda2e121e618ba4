"""Seats that are released over gRPC: the request's bytes, the kinds of failure, and the worker that does it."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from support.grpcseats import GrpcSeats
from support.machines import booking
from support.workers import MakeWorker, Works
from ticketops.backends.grpc.message import message
from ticketops.backends.grpc.seats import GrpcSeatRelease
from ticketops.domain.breaker import BreakerPolicy
from ticketops.errors import CircuitOpen, ConfigError, ServiceFailed, ServiceRefused, ServiceTimeout, TicketOpsError
from ticketops.services.circuits import SharedBreaker

FIELDS = {"booking_id": 1, "seat_count": 7, "seat_numbers": 300}


def released() -> type[Message]:
    """The request as a .proto file would declare it."""
    file = FileDescriptorProto(name="seats.proto", package="tickets.v1", syntax="proto3")
    made = file.message_type.add(name="Release")
    text, number, one, many = 9, 5, 1, 3
    for name, at, kind, label in (
        ("booking_id", 1, text, one),
        ("seat_count", 7, number, one),
        ("seat_numbers", 300, text, many),
    ):
        made.field.add(name=name, number=at, type=kind, label=label)  # type: ignore[arg-type]
    pool = DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return GetMessageClass(pool.FindMessageTypeByName("tickets.v1.Release"))


RELEASE = released()
NO_SURROGATES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(NO_SURROGATES, st.integers(0, 2**31 - 1), st.lists(NO_SURROGATES, max_size=5))
def test_protocol_buffers_read_the_same_from_it(key: str, count: int, seats: Sequence[str]) -> None:
    found = RELEASE.FromString(message({300: seats, 1: key, 7: count}))
    assert (found.booking_id, found.seat_count, list(found.seat_numbers)) == (key, count, seats)  # type: ignore[attr-defined]
    assert message({1: key, 7: count, 300: seats}) == found.SerializeToString(deterministic=True)


@pytest.fixture
def seats(grpc_seats: GrpcSeats) -> Iterator[GrpcSeatRelease]:
    guard = SharedBreaker("the seat service", BreakerPolicy(failures=2))
    with closing(GrpcSeatRelease(grpc_seats.url, FIELDS, {"Authorization": "Bearer x"}, 5.0, guard)) as made:
        yield made


def test_the_request_tells_of_the_booking(grpc_seats: GrpcSeats, seats: GrpcSeatRelease) -> None:
    one = booking()
    assert seats.calls_out
    assert seats.release(one, "event-1") is None
    ((request, metadata),) = grpc_seats.calls
    found = RELEASE.FromString(request)
    assert (found.booking_id, found.seat_count, list(found.seat_numbers)) == (one.key, 2, ["A1", "A2"])  # type: ignore[attr-defined]
    assert (metadata["idempotency-key"], metadata["authorization"]) == ("event-1", "Bearer x")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, ServiceRefused),
        (grpc.StatusCode.FAILED_PRECONDITION, ServiceRefused),
        (grpc.StatusCode.UNAVAILABLE, ServiceFailed),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ServiceFailed),
        (grpc.StatusCode.DEADLINE_EXCEEDED, ServiceTimeout),
    ],
)
def test_each_failure_has_its_kind(
    grpc_seats: GrpcSeats, seats: GrpcSeatRelease, code: grpc.StatusCode, error: type[TicketOpsError]
) -> None:
    grpc_seats.code = code
    with pytest.raises(error, match=f"(?s).*{code.name}|no answer"):
        seats.release(booking(), "event-1")


def test_a_method_that_there_is_none_of_is_refused(grpc_seats: GrpcSeats) -> None:
    guard = SharedBreaker("the seat service", BreakerPolicy())
    with (
        closing(GrpcSeatRelease(f"{grpc_seats.url}Not", FIELDS, {}, 5.0, guard)) as seats,
        pytest.raises(ServiceRefused),
    ):
        seats.release(booking(), "event-1")


def test_it_is_given_a_rest_when_it_hangs(grpc_seats: GrpcSeats) -> None:
    guard = SharedBreaker("the seat service", BreakerPolicy(failures=2))
    grpc_seats.hang.clear()
    with closing(GrpcSeatRelease(grpc_seats.url, FIELDS, {}, 0.2, guard)) as seats:
        for error in (ServiceTimeout, ServiceTimeout, CircuitOpen):
            with pytest.raises(error):
                seats.release(booking(), "event-1")
    assert len(grpc_seats.calls) <= 2


@pytest.mark.parametrize(
    ("url", "fields", "what"),
    [
        ("http://x/Seats/Release", FIELDS, "release_url"),
        ("grpc://x:1/Release", FIELDS, "release_url"),
        ("grpc:///Seats/Release", FIELDS, "release_url"),
        ("grpc://x:1/Seats/Release", {"seats": 1}, "release_fields names seats"),
    ],
)
def test_what_cannot_be_called_is_said_at_once(url: str, fields: dict[str, int], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        GrpcSeatRelease(url, fields, {}, 1.0, SharedBreaker("the seat service", BreakerPolicy()))


def test_a_worker_releases_over_grpc_and_leaves_a_compensation_where_it_fails(
    works: Works, make_worker: MakeWorker, grpc_seats: GrpcSeats
) -> None:
    payments = {"release": "grpc", "release_url": grpc_seats.url, "release_fields": FIELDS}
    worker = make_worker("w", worker={"payments": payments, "threads": 1}).start()
    good, failing = works.bookings(2)
    works.pay("FAILED", good, failureReason="declined")
    works.wait_for(good, "CANCELLED")
    assert RELEASE.FromString(grpc_seats.calls[0][0]).booking_id == good  # type: ignore[attr-defined]
    grpc_seats.code = grpc.StatusCode.INTERNAL
    works.pay("FAILED", failing)
    works.wait_for(failing, "CANCELLED")
    rows = works.site.rows("select compensation_type, reference_id, error_message from booking.failed_compensations")
    assert [row[:2] for row in rows] == [("RELEASE_SEATS", "show-1")]
    assert "INTERNAL no such seats" in rows[0][2]
    assert worker.stop() == 0
