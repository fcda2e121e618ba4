"""What screens ask of services when they are opened; every call is made in a thread."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from ticketops.domain.dead_letter_stats import QueueTally, Tally
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.fingerprint import Group, group_of
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import OperationStore
from ticketops.ports.outbox import OutboxAdmin
from ticketops.ports.relay import ShardLeases
from ticketops.ports.states import StateView
from ticketops.services.trace.tracer import Story
from ticketops.services.transitions.stuck import StuckFinder
from ticketops.tui.letter_changes import LetterChanges
from ticketops.tui.operation_changes import OperationChanges
from ticketops.tui.outbox_changes import OutboxChanges, PauseChanges
from ticketops.tui.state_changes import StateChanges


@dataclass(frozen=True, slots=True)
class Tallied:
    """One queue, counted."""

    now: datetime
    count: int
    groups: Sequence[tuple[Group, Tally]]


class Letters:
    """Dead letters; `changes` makes the plans of what is to be changed."""

    def __init__(
        self, opener: Callable[[str], DeadLetterQueue], now: Callable[[], datetime], changes: LetterChanges
    ) -> None:
        self._opener = opener
        self.now = now
        self.changes = changes

    def groups(self, queue: str) -> Tallied:
        """The causes of a queue, the commonest first."""
        with self._opened(queue) as opened:
            tally = QueueTally(opened.now())
            for letter in opened.scan(Narrowing()):
                tally.add(letter)
        return Tallied(tally.now, tally.all.count, list(tally.groups()))

    def items(self, queue: str, group: str, most: int) -> list[DeadLetter]:
        """At most so many items of a group, oldest first."""
        with self._opened(queue) as opened:
            of_group = (letter for letter in opened.scan(Narrowing()) if group_of(letter).id == group)
            return list(islice(of_group, most))

    @contextmanager
    def _opened(self, queue: str) -> Iterator[DeadLetterQueue]:
        with closing(self._opener(queue)) as opened:
            yield opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """Plans of changes to all but dead letters."""

    operations: OperationChanges
    outbox: OutboxChanges
    pauses: PauseChanges
    states: StateChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What screens read, opened anew for each read; every one bounds its own time."""

    letters: Letters
    outbox: Callable[[], OutboxAdmin]
    relays: Callable[[], ShardLeases]
    states: Callable[[str], StateView]
    """By the machine's name."""
    stuck: Callable[[str], StuckFinder]
    """By the machine's name."""
    store: Callable[[], OperationStore]
    trace: Callable[[str], Story]
    verbs: Verbs
