"""Addresses from a service: what it answers, and what it does not."""

from collections.abc import Iterator

import pytest

from support.seatservice import SeatService
from ticketops.backends.http.recipients import HttpRecipients
from ticketops.domain.breaker import BreakerPolicy
from ticketops.errors import CircuitOpen, ConfigError, ServiceFailed, ServiceRefused, ServiceTimeout
from ticketops.services.circuits import SharedBreaker

BOOKING = {"user_id": "u/1?x=é", "booking_id": "b", "reference": "BK-1", "event_id": "e"}


@pytest.fixture
def recipients(seat_service: SeatService) -> Iterator[HttpRecipients]:
    guard = SharedBreaker("it", BreakerPolicy(failures=3))
    found = HttpRecipients(seat_service.url("/users/{user_id}"), "contact.email", {}, 0.5, guard)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"contact": {"email": "a@b.c"}}', ["a@b.c"]),
        (b'{"contact": {"email": ["a@b.c", "d@e.f", 7, ""]}}', ["a@b.c", "d@e.f"]),
        (b'{"contact": {"email": null}}', []),
        (b'{"contact": "none"}', []),
        (b"[]", []),
    ],
)
def test_the_answer_s_field_holds_one_or_several(
    seat_service: SeatService, recipients: HttpRecipients, answer: bytes, expected: list[str]
) -> None:
    seat_service.answer = answer
    assert recipients.find(BOOKING) == expected
    assert seat_service.calls[-1][0] == "/users/u%2F1%3Fx%3D%C3%A9"


def test_nobody_there_is_no_error(seat_service: SeatService, recipients: HttpRecipients) -> None:
    seat_service.status = 404
    assert recipients.find(BOOKING) == []


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (403, b"", ServiceRefused),
        (302, b"", ServiceRefused),
        (429, b"", ServiceFailed),
        (500, b"", ServiceFailed),
        (200, b"<html>", ServiceFailed),
        (200, b"[" * 200_000, ServiceFailed),
    ],
)
def test_each_failure_has_its_kind(
    seat_service: SeatService, recipients: HttpRecipients, status: int, answer: bytes, error: type[Exception]
) -> None:
    seat_service.status, seat_service.answer = status, answer
    with pytest.raises(error):
        recipients.find(BOOKING)


def test_it_is_given_a_rest_when_it_hangs(seat_service: SeatService, recipients: HttpRecipients) -> None:
    seat_service.hang.clear()
    for _ in range(3):
        with pytest.raises(ServiceTimeout):
            recipients.find(BOOKING)
    with pytest.raises(CircuitOpen):
        recipients.find(BOOKING)


def test_an_answer_that_trickles_is_given_up_and_the_next_call_is_answered(
    seat_service: SeatService, recipients: HttpRecipients
) -> None:
    seat_service.trickle = 0.1
    with pytest.raises(ServiceTimeout):
        recipients.find(BOOKING)
    seat_service.trickle, seat_service.answer = 0.0, b'{"contact": {"email": "a@b.c"}}'
    assert recipients.find(BOOKING) == recipients.find(BOOKING) == ["a@b.c"]


def test_nobody_listening_is_a_failure() -> None:
    found = HttpRecipients("http://127.0.0.1:9/{user_id}", "email", {}, 0.5, SharedBreaker("it", BreakerPolicy()))
    with pytest.raises(ServiceFailed, match="reached"):
        found.find(BOOKING)
    found.close()


def test_a_name_that_there_is_none_of_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="somebody"):
        HttpRecipients("http://x/{somebody}", "email", {}, 0.5, SharedBreaker("it", BreakerPolicy()))
