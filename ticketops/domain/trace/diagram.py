"""The timeline as a Mermaid sequence diagram: who told whom what, and when."""

from collections.abc import Iterator, Sequence
from typing import Final

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.text import shorten, terminal_safe
from ticketops.domain.trace.gaps import Gap
from ticketops.domain.trace.timeline import Entry, Source

_ARROWS: Final = {
    Source.BOOKING: ("booking", "booking"),
    Source.STATE: ("booking", "booking"),
    Source.QUEUE: ("queue", "booking"),
    Source.OUTBOX: ("booking", "outbox"),
    Source.KAFKA: ("outbox", "kafka"),
    Source.CONSUMER: ("kafka", "consumers"),
    Source.DEAD_LETTER: ("consumers", "letters"),
    Source.OPERATION: ("operator", "letters"),
    Source.COMPENSATION: ("booking", "saga"),
    Source.EMAIL: ("consumers", "emails"),
}
_NAMES: Final = {
    "queue": "show's queue",
    "booking": "booking",
    "outbox": "outbox",
    "kafka": "Kafka",
    "consumers": "consumers",
    "letters": "dead letters",
    "operator": "operator",
    "saga": "compensations",
    "emails": "email jobs",
}
_LONGEST: Final = 160
_PLAIN: Final = frozenset(" _-.,/()[]+*=@'!?|")
"""What has no meaning in a message, beside letters and digits."""


def diagram(name: str, entries: Sequence[Entry], gaps: Sequence[Gap]) -> str:
    """The whole diagram; foreign text in it is escaped, so that it is text and nothing else."""
    return "\n".join(_lines(name, entries, gaps)) + "\n"


def _lines(name: str, entries: Sequence[Entry], gaps: Sequence[Gap]) -> Iterator[str]:
    yield "sequenceDiagram"
    yield f"    title {escaped(name)}"
    used = {end for entry in entries for end in _ARROWS[entry.source]} or {"booking"}
    named = [place for place in _NAMES if place in used]
    yield from (f"    participant {place} as {escaped(_NAMES[place])}" for place in named)
    for entry in entries:
        source, target = _ARROWS[entry.source]
        at = entry.at.strftime("%H:%M:%S ") if entry.at else ""
        yield f"    {source}->>{target}: {escaped(f'{at}{entry.what} {entry.text}')}"
    over = named[0] if len(named) == 1 else f"{named[0]},{named[-1]}"
    for gap in gaps:
        mark = "X" if gap.grade is Grade.BAD else "!" if gap.grade is Grade.WARN else "?"
        yield f"    Note over {over}: {escaped(f'{mark} {gap.text}')}"


def escaped(text: str) -> str:
    """Text that Mermaid shows as it is: everything that could mean something becomes a character code."""
    return "".join(map(_character, shorten(terminal_safe(text), _LONGEST))).strip() or "-"


def _character(character: str) -> str:
    return character if character.isalnum() or character in _PLAIN else f"#{ord(character)};"
