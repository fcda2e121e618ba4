"""How often letters are read one by one for a snapshot."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.queue_kinds import QueueKind
from ticketops.services.overview.letter_probe import LetterProbe


def letter(id_: str) -> DeadLetter:
    return DeadLetter(
        id=id_, queue="bookings", kind=QueueKind.REDIS, key="k", origin=id_, reason="r", failed_at=datetime.now(UTC)
    )


class Counted(MemoryDeadLetterQueue):
    """Counts how often it is read."""

    scans = 0

    def scan(self, narrowing: Any) -> Iterator[Any]:
        Counted.scans += 1
        return super().scan(narrowing)


def test_letters_are_read_again_when_their_number_or_time_says_so() -> None:
    deaths, now = MemoryDeaths(), [0.0]
    deaths.add(letter("1"))
    Counted.scans = 0
    probe = LetterProbe("bookings", QueueKind.REDIS, lambda: Counted(deaths, name="bookings"), clock=lambda: now[0])
    first = probe.figures()
    assert (first.depth, Counted.scans) == (1, 1)
    now[0] = 14.0
    deaths.add(letter("2"))
    assert first.oldest_seconds is not None
    later = replace(first, depth=2, oldest_seconds=first.oldest_seconds + 14)
    assert (probe.figures(), Counted.scans) == (later, 1)
    now[0] = 15.0
    assert (probe.figures().depth, Counted.scans) == (2, 2)
    now[0] = 74.0
    assert (probe.figures().depth, Counted.scans) == (2, 2)
    now[0] = 75.0
    assert (probe.figures().depth, Counted.scans) == (2, 3)
    deaths.letters.clear()
    assert probe.figures().depth == 0
