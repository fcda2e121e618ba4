"""What a booking is called in events, records and dead letters, and what is about it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.drafts import storable
from ticketops.domain.outbox import EventRow
from ticketops.domain.subjects import Subject
from ticketops.domain.trace.facts import Identity, Matched

_FIELDS: Final = ("bookingId", "bookingReference", "paymentId")
"""Of the payloads of booking-events and payment-events."""
_SPOT: Final = re.compile(r".+/\d+/\d+")
_MOST_WORDS: Final = 12


def words_of(*names: str, payload: bytes | str | None) -> Iterator[str]:
    """What an event or a dead letter names a booking by: its key and origin, and fields of its payload."""
    yield from (name for name in names if name)
    value = parsed(payload)
    yield from (value[name] for name in _FIELDS if isinstance(value.get(name), str) and value[name])
    metadata = value.get("Metadata")
    if isinstance(metadata, dict):
        yield from (one for one in metadata.values() if isinstance(one, str) and one)


def parsed(payload: bytes | str | None) -> dict[str, Any]:
    """A payload as a JSON object; empty where it is none."""
    try:
        value = msgspec.json.decode(payload or b"null")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def letter_may_be(kind: QueueKind, key: str) -> bool:
    """False where no dead letter of a queue of this kind can have such an id."""
    match kind:
        case QueueKind.REDIS:
            return key.startswith("dlq:")
        case QueueKind.KAFKA:
            return _SPOT.fullmatch(key) is not None
        case _:
            return uuid_of(key) is not None


def uuid_of(text: str) -> UUID | None:
    """The text as a UUID; None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def concerns(letter: DeadLetter, keys: Sequence[str], ids: frozenset[str]) -> bool:
    """Whether a dead letter is about one of the keys, or is one of the events."""
    if letter.id in ids or letter.origin in ids or letter.key in keys or letter.origin in keys or letter.id in keys:
        return True
    if not letter.payload or not any(key.encode(errors="replace") in letter.payload for key in keys):
        return False
    return any(word in keys for word in words_of(payload=letter.payload))


def how(word: str, subject: Subject) -> Matched:
    """What a word is to a booking that was found by it."""
    if word == subject.reference:
        return Matched.REFERENCE
    return Matched.PAYMENT if word == subject.payment_reference else Matched.BOOKING


def identity(
    key: str,
    matched: Sequence[Matched],
    subjects: Sequence[Subject],
    *,
    words: Sequence[str] = (),
    events: Sequence[EventRow] = (),
) -> Identity:
    """Who it is: the first of the bookings is told, the others are named."""
    booking = subjects[0] if subjects else None
    named = [booking.key, booking.reference, booking.payment_reference] if booking else []
    if Matched.SHOW not in matched:
        named = [key, *named]
    own = [word for word in words if booking is None or word not in {one.key for one in subjects[1:]}]
    keys = [
        name for name in [*named, *own, *(event.aggregate_id for event in events)] if name and name == storable(name)
    ]
    return Identity(
        key=key,
        matched=tuple(dict.fromkeys(matched)),
        booking=booking,
        others=tuple(one.reference or one.key for one in subjects[1:]),
        keys=tuple(dict.fromkeys(keys))[:_MOST_WORDS],
    )
