"""Places that may hold what stuck subjects wait for: dead-letter queues, and consumers that are behind."""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.history import Clue, Missing
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.machine import Machine
from ticketops.domain.overview.snapshot import GroupLag
from ticketops.domain.subjects import Subject
from ticketops.ports.deadletters import DeadLetterQueue

_LETTERS = 20_000
"""Most dead letters of one queue that are looked through."""
_CLUES = 3
"""Most clues of one queue about one subject."""


class DeadLetterClues:
    """Implements ports.Clues over one dead-letter queue, which it opens when it is asked."""

    def __init__(self, open_queue: Callable[[], DeadLetterQueue]) -> None:
        self._open = open_queue

    def look(self, subjects: Sequence[Subject]) -> Mapping[str, Sequence[Clue]]:
        """See ports.Clues."""
        names = {name: one.key for one in subjects for name in _names(one)}
        found: dict[str, list[Clue]] = defaultdict(list)
        queue = self._open()
        try:
            for number, letter in enumerate(queue.scan(Narrowing())):
                if number >= _LETTERS:
                    break
                for key in _about(letter, names):
                    found[key].append(_clue(queue.name, letter))
        finally:
            queue.close()
        return {key: clues[:_CLUES] for key, clues in found.items()}

    def close(self) -> None:
        """See ports.Clues."""


def _names(subject: Subject) -> Iterator[str]:
    yield from (name for name in (subject.key, subject.reference, subject.payment_reference) if name)


def _about(letter: DeadLetter, names: Mapping[str, str]) -> set[str]:
    found = {names[word] for word in (letter.key, letter.origin) if word in names}
    if found or not letter.payload:
        return found
    text = letter.payload.decode(errors="replace")
    return {key for name, key in names.items() if f'"{name}"' in text}


def _clue(queue: str, letter: DeadLetter) -> Clue:
    text = f"a dead letter in {queue}: {letter.reason}"
    return Clue(Missing.DEAD_LETTER, text, f"ticketops dlq show {shlex.quote(letter.id)} --queue {shlex.quote(queue)}")


class ConsumerClues:
    """Implements ports.Clues: the group that moves subjects on, asked for its lag."""

    def __init__(
        self,
        machine: Machine,
        look: Callable[[], Sequence[GroupLag]],
        *,
        group: str,
        events: str,
        close: Callable[[], None],
    ) -> None:
        """`events`: what the names of the events begin with that the group brings."""
        self._machine = machine
        self._look = look
        self._group = group
        self._events = events
        self._close = close

    def look(self, subjects: Sequence[Subject]) -> Mapping[str, Sequence[Clue]]:
        """See ports.Clues."""
        waiting = [one for one in subjects if self._brings(one.state)]
        clue = self._clue() if waiting else None
        return {one.key: [clue] for one in waiting} if clue else {}

    def close(self) -> None:
        """See ports.Clues."""
        self._close()

    def _brings(self, state: str) -> bool:
        return any(event.startswith(self._events) for event in self._machine.allowed(state))

    def _clue(self) -> Clue | None:
        found = [group for group in self._look() if group.group == self._group]
        show = f"ticketops lag show {shlex.quote(self._group)}"
        if not found:
            return Clue(Missing.CONSUMER, f"the consumer group {self._group} does not exist", show)
        (group,) = found
        if group.judgment.verdict is Verdict.OK:
            return None
        behind = "nothing is known of its offsets" if group.lag is None else f"{group.lag} records behind"
        words = f"{behind}, {group.members} members: {group.judgment.verdict.value}"
        return Clue(Missing.CONSUMER, f"the consumer group {self._group} is {words}", show)
