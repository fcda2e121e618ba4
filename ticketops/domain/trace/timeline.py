"""Facts as entries in the order of their times; what happened later by its nature comes later within a moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.outbox import EventRow, Status
from ticketops.domain.text import shorten
from ticketops.domain.trace.facts import CompensationRow, EmailRow, Facts, QueueItem, Record, record_of


class Source(StrEnum):
    """Where an entry comes from; the order is that of cause and effect."""

    BOOKING = "booking"
    STATE = "state"
    QUEUE = "queue"
    OUTBOX = "outbox"
    KAFKA = "kafka"
    CONSUMER = "consumer"
    DEAD_LETTER = "dead letter"
    OPERATION = "operation"
    COMPENSATION = "compensation"
    EMAIL = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened, or that is so now."""

    at: datetime | None
    """None: it is so now."""
    source: Source
    what: str
    """In one or two words: a state, an event type, a verdict."""
    text: str = ""
    ref: str = ""
    """The id or position by which it is found again."""


_ORDER: Final = {source: number for number, source in enumerate(Source)}
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_SHOWN: Final = 200
"""Characters of an error text."""


def timeline(facts: Facts) -> tuple[Entry, ...]:
    """Every entry, oldest first; what is so now comes last."""
    return tuple(sorted(_entries(facts), key=lambda entry: (entry.at or _LAST, _ORDER[entry.source])))


def _entries(facts: Facts) -> Iterator[Entry]:
    yield from _booking(facts)
    for move in facts.transitions or ():
        why = _joined(f"by {move.triggered_by}" if move.triggered_by else "", move.reason or "")
        text = _joined(f"{move.source} -> {move.target}", why)
        yield Entry(at=move.at, source=Source.STATE, what=move.event or move.target, text=text, ref=move.id)
    for event in facts.events or ():
        yield from _event(event)
    for record in facts.records or ():
        yield _record(record, facts)
    yield from _readers(facts)
    for found in facts.letters.values():
        yield from map(_letter, found.letters)
    for done in facts.operations or ():
        text = _joined(done.result, done.reason, f"by {done.actor}")
        yield Entry(at=done.at, source=Source.OPERATION, what=done.action, text=text, ref=done.target)
    for row in facts.compensations or ():
        yield from _compensation(row)
    for job in facts.emails or ():
        yield from _email(job)
    yield from map(_item, facts.items or ())


def _booking(facts: Facts) -> Iterator[Entry]:
    booking = facts.identity.booking
    if booking is None:
        return
    seats = f"{booking.seat_count} seats" if booking.seat_count else ""
    amount = f"{booking.total_amount} {booking.currency or ''}".strip() if booking.total_amount is not None else ""
    show = f"show {booking.event_id}" if booking.event_id else ""
    if booking.created_at:
        made = _joined(booking.reference or "", seats, amount, show)
        yield Entry(at=booking.created_at, source=Source.BOOKING, what="created", text=made, ref=booking.key)
    payment = _joined(booking.payment_status or "", booking.payment_reference or "", separator=" ")
    now = _joined(f"payment {payment}" if payment else "", booking.cancellation_reason or "")
    yield Entry(at=None, source=Source.BOOKING, what=booking.state, text=_joined("now", now), ref=booking.key)


def _event(event: EventRow) -> Iterator[Entry]:
    about = f"{event.aggregate_type} {event.aggregate_id}"
    ref = str(event.id)
    yield Entry(at=event.created_at, source=Source.OUTBOX, what=event.event_type, text=f"written, {about}", ref=ref)
    if event.status is Status.PUBLISHED and event.published_at:
        yield Entry(at=event.published_at, source=Source.OUTBOX, what=event.event_type, text="published", ref=ref)
    elif event.status is Status.FAILED or event.failure:
        state = event.failure.value if event.failure else "failed"
        error = shorten(event.last_error or "", _SHOWN)
        text = _joined(f"{state} after {event.retry_count} attempts", error)
        yield Entry(at=None, source=Source.OUTBOX, what=event.event_type, text=text, ref=ref)


def _record(record: Record, facts: Facts) -> Entry:
    named = next((event.event_type for event in facts.events or () if record in record_of(event, [record])), "")
    again = f", published again by operation {record.replay}" if record.replay else ""
    return Entry(
        at=record.at,
        source=Source.KAFKA,
        what=record.event_type or named or "record",
        text=f"{record.topic}, partition {record.partition}, offset {record.offset}{again}",
        ref=record.position,
    )


def _readers(facts: Facts) -> Iterator[Entry]:
    for record in facts.records or ():
        for reader in facts.consumers.of(record) if facts.consumers else ():
            if reader.committed is not None and reader.committed > record.offset:
                text = f"has read {record.topic}/{record.partition} past offset {record.offset}"
                yield Entry(at=None, source=Source.CONSUMER, what=reader.group, text=text, ref=record.position)


def _letter(letter: DeadLetter) -> Entry:
    attempts = f"{letter.attempts} attempts" if letter.attempts else ""
    text = _joined(f"queue {letter.queue}", attempts, shorten(letter.error_message or letter.problem, _SHOWN))
    return Entry(
        at=letter.failed_at, source=Source.DEAD_LETTER, what=letter.reason or "dead letter", text=text, ref=letter.id
    )


def _compensation(row: CompensationRow) -> Iterator[Entry]:
    yield Entry(
        at=row.created_at,
        source=Source.COMPENSATION,
        what=row.type,
        text=_joined("needed", shorten(row.error, _SHOWN)),
        ref=row.id,
    )
    tried = f"{row.retry_count} of {row.max_retries} retries"
    text = f"{row.status}, {tried}"
    yield Entry(at=row.updated_at, source=Source.COMPENSATION, what=row.type, text=text, ref=row.id)


def _email(job: EmailRow) -> Iterator[Entry]:
    to = f"to {job.addresses} address{'es' if job.addresses != 1 else ''}"
    yield Entry(at=job.created_at, source=Source.EMAIL, what=job.template, text=f"job made, {to}", ref=job.id)
    if job.sent_at:
        yield Entry(at=job.sent_at, source=Source.EMAIL, what=job.template, text="sent", ref=job.id)
    elif job.status != "pending":
        text = _joined(job.status, f"{job.retry_count} retries" if job.retry_count else "", shorten(job.error, _SHOWN))
        yield Entry(at=job.processed_at, source=Source.EMAIL, what=job.template, text=text, ref=job.id)


def _item(item: QueueItem) -> Entry:
    place = f"{item.ahead} of {item.depth} are taken before it" if item.ahead is not None else "not in the list"
    return Entry(
        at=item.enqueued_at, source=Source.QUEUE, what="queued", text=f"show {item.show}: {place}", ref=item.id
    )


def _joined(*parts: str, separator: str = ", ") -> str:
    return separator.join(part for part in parts if part)
