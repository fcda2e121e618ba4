"""Where a reader begins: at the committed offset, the beginning, the end, a time, or an offset."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ticketops.errors import UsageError


class StartKind(StrEnum):
    """What a start is told by."""

    COMMITTED = "committed"
    BEGINNING = "beginning"
    END = "end"
    TIME = "time"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class StartAt:
    """Where each partition is begun when it is first assigned."""

    kind: StartKind = StartKind.COMMITTED
    value: int = 0
    """Milliseconds since 1970 for a time; the offset, the same in each partition, for an offset."""
    after: str = ""
    """A group that was there before: at its committed offset a partition is begun that has none of the reader's own."""


def start_at(text: str) -> StartAt:
    """`beginning`, `end`, `committed`, an offset, or a time as RFC 3339; UsageError for anything else."""
    if text in (StartKind.BEGINNING, StartKind.END, StartKind.COMMITTED):
        return StartAt(StartKind(text))
    if text.isascii() and text.isdigit():
        return StartAt(StartKind.OFFSET, int(text))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text} is no place to start from",
            hint="write beginning, end, an offset such as 4711, or a time such as 2026-11-23T10:10:00Z",
        ) from None
    return StartAt(StartKind.TIME, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
