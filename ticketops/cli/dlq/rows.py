"""A dead letter as the rows of tables and the fields of JSON."""

from datetime import datetime
from typing import Final

from ticketops.cli.cells import Show
from ticketops.cli.output import Column
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.fingerprint import group_of

LETTER: Final = (
    Column("id", keep=True),
    Column("queue"),
    Column("queue_kind", title="KIND", wide=True),
    Column("key"),
    Column("reason"),
    Column("age_seconds", title="AGE", show=Show.AGE),
    Column("attempts", show=Show.COUNT, wide=True),
    Column("requeues", show=Show.COUNT),
    Column("error"),
    Column("error_class", wide=True),
    Column("group", wide=True),
    Column("failed_at", wide=True),
    Column("last_attempt_at", wide=True),
    Column("body", wide=True),
    Column("problem", wide=True),
    Column("destination", wide=True),
    Column("payload_bytes", show=Show.COUNT, wide=True),
)


def letter_row(letter: DeadLetter, now: datetime) -> dict[str, object]:
    """What lists say of an item."""
    return {
        "id": letter.id,
        "queue": letter.queue,
        "queue_kind": letter.kind,
        "key": letter.key,
        "origin": letter.origin,
        "reason": letter.reason,
        "group": group_of(letter).id,
        "error_class": letter.error_class,
        "error": letter.error_message,
        "attempts": letter.attempts,
        "requeues": letter.requeues,
        "failed_at": letter.failed_at,
        "age_seconds": (now - letter.failed_at).total_seconds() if letter.failed_at else None,
        "last_attempt_at": letter.last_attempt_at,
        "body": letter.body,
        "problem": letter.problem,
        "destination": letter.destination,
        "payload_bytes": None if letter.payload is None else len(letter.payload),
    }
