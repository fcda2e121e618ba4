"""What screens ask of services when they are opened; every call is made in a thread."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.text import Text

from ticketops.domain.alerts.rules import Rule
from ticketops.domain.dead_letter_stats import QueueTally, Tally
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.fingerprint import Group, group_of
from ticketops.domain.machine import Machine
from ticketops.ports.alerts import AlertStore
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import OperationStore
from ticketops.ports.outbox import OutboxAdmin
from ticketops.ports.relay import ShardLeases
from ticketops.ports.states import StateView
from ticketops.services.dlq.detail import Memory, Showing
from ticketops.services.dlq.finding import Opener
from ticketops.services.trace.tracer import Story
from ticketops.services.transitions.desk import StateDesk
from ticketops.services.transitions.stuck import StuckFinder
from ticketops.tui.alert_changes import AlertChanges
from ticketops.tui.letter_changes import LetterChanges
from ticketops.tui.letter_page import page
from ticketops.tui.operation_changes import OperationChanges
from ticketops.tui.outbox_changes import OutboxChanges, PauseChanges
from ticketops.tui.screens.whole import TEXT
from ticketops.tui.state_changes import StateChanges

_ROWS: Final = Narrowing(bodies=False)
"""What lists show needs no bodies."""
_STEP: Final = 10_000
"""Items between two words on how far it is."""


@dataclass(frozen=True, slots=True)
class Tallied:
    """One queue, counted as far as it was read."""

    now: datetime
    count: int
    groups: Sequence[tuple[Group, Tally]]
    ended: bool = True
    """False: there is more to read."""


class Letters:
    """Dead letters; `changes` makes the plans of what is to be changed."""

    def __init__(
        self,
        opener: Opener,
        queues: Sequence[str],
        now: Callable[[], datetime],
        changes: LetterChanges,
        memory: Memory,
    ) -> None:
        """`queues`: the names of all; `memory`: what was done to their items."""
        self._queues = queues
        self._opener = opener
        self.now = now
        self.changes = changes
        self._memory = memory

    def groups(self, queue: str) -> Generator[Tallied]:
        """The causes of a queue, the commonest first, as far as it was read; again and again until it was all."""
        with self._opened(queue) as opened:
            tally = QueueTally(opened.now())
            for number, letter in enumerate(opened.scan(_ROWS), 1):
                tally.add(letter)
                if number % _STEP == 0:
                    yield Tallied(tally.now, tally.all.count, list(tally.groups()), ended=False)
            yield Tallied(tally.now, tally.all.count, list(tally.groups()))

    def items(self, queue: str, group: str) -> Generator[DeadLetter | None]:
        """The items of a group without their bodies, oldest first; None for each item of another group."""
        with self._opened(queue) as opened:
            for letter in opened.scan(_ROWS):
                yield letter if group_of(letter).id == group else None

    def page(self, queue: str, letter_id: str, most: int = TEXT) -> Text:
        """All that is known of one item, at most so many characters of each text; an empty `queue`: any."""
        showing = Showing(self._opener, [queue] if queue else self._queues, self._memory)
        detail = showing.show(letter_id)
        return page(detail, showing.trouble, self.now(), most)

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
    alerts: AlertChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What screens read, opened anew for each read; every one bounds its own time."""

    letters: Letters
    outbox: Callable[[], OutboxAdmin]
    relays: Callable[[], ShardLeases]
    states: Callable[[str], StateView]
    """By the machine's name."""
    desks: Callable[[str], StateDesk]
    """By the machine's name."""
    stuck: Callable[[str], StuckFinder]
    """By the machine's name."""
    store: Callable[[], OperationStore]
    trace: Callable[[str], Story]
    alerts: Callable[[], AlertStore]
    rules: Sequence[Rule]
    """Of alerts, those that are enabled."""
    machine: Callable[[str], Machine]
    """By its name, from the configuration; NotFoundError."""
    verbs: Verbs
