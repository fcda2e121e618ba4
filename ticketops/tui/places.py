"""Where `:` goes, in the words of the command line; the one list that help, completion and going are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from textual.screen import Screen

from ticketops.config.problems import did_you_mean
from ticketops.domain.outbox import Status
from ticketops.tui.commands import commands
from ticketops.tui.screens.alerts import AlertsScreen
from ticketops.tui.screens.group import GroupScreen
from ticketops.tui.screens.groups import ConsumersScreen
from ticketops.tui.screens.lately import LatelyScreen
from ticketops.tui.screens.letters import GroupsScreen, ItemsScreen, QueuesScreen, letter_screen
from ticketops.tui.screens.operations import AuditScreen, OperationScreen, OperationsScreen
from ticketops.tui.screens.outbox import EventsScreen, OutboxScreen, RelayScreen, event_screen
from ticketops.tui.screens.states import HistoryScreen, StatesScreen, StuckScreen
from ticketops.tui.screens.trace import TraceScreen
from ticketops.tui.screens.workers import WorkersScreen
from ticketops.tui.sources import Sources

_BOOKING: Final = "booking"
Make = Callable[[Sources, Sequence[str]], "Screen[None] | None"]


@dataclass(frozen=True, slots=True)
class Place:
    """One thing to write after `:`."""

    words: tuple[str, ...]
    """As they are written."""
    arguments: str
    """As help shows them; in brackets where they may be left out."""
    help: str
    least: int
    """Arguments, at least."""
    most: int
    make: Make
    """None where the arguments mean nothing."""

    @property
    def shown(self) -> str:
        """As help shows it."""
        return " ".join([*self.words, self.arguments]).strip()


def _letters(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    match said:
        case [queue, group]:
            return ItemsScreen(queue, group, sources.letters)
        case [queue]:
            return GroupsScreen(queue, sources.letters)
        case _:
            return QueuesScreen(sources.letters)


def _letter(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    id_, queue = (*said, "")[:2]
    return letter_screen(sources.letters, queue, id_)


def _operations(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    return OperationScreen(sources, said[0]) if said else OperationsScreen(sources)


def _groups(_: Sources, said: Sequence[str]) -> "Screen[None]":
    return GroupScreen(said[0]) if said else ConsumersScreen()


def _outbox(sources: Sources, said: Sequence[str]) -> "Screen[None] | None":
    if not said:
        return OutboxScreen(sources)
    which = {"dead": "dead", "held": "held", **{status.lower(): status.value for status in Status}}
    first = which.get(said[0].lower())
    return EventsScreen(sources, " ".join([first, *said[1:]])) if first else None


def _stuck(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    machine, state = (*said, "", "")[:2]
    return StuckScreen(sources, machine or _BOOKING, state)


def _history(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    key, machine = (*said, "")[:2]
    return HistoryScreen(sources, machine or _BOOKING, key)


def _states(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    return StatesScreen(sources, said[0] if said else _BOOKING)


PLACES: Final = (
    Place(("dlq",), "[QUEUE [GROUP]]", "dead letters: queues, causes, items", 0, 2, _letters),
    Place(("dlq", "show"), "ID [QUEUE]", "one dead letter, whole", 1, 2, _letter),
    Place(("lag",), "[GROUP]", "consumer groups and partitions", 0, 1, _groups),
    Place(("outbox",), "[WHICH]", "backlog, throughput; WHICH: dead, held or a status", 0, 2, _outbox),
    Place(("outbox", "show"), "ID", "one event, whole", 1, 1, lambda known, said: event_screen(known, said[0])),
    Place(("relay",), "", "shards and their owners, relays, pauses", 0, 0, lambda known, _: RelayScreen(known)),
    Place(("state", "stuck"), "[MACHINE [STATE]]", "what is too long in its state, and why", 0, 2, _stuck),
    Place(("state", "history"), "KEY [MACHINE]", "every transition of one", 1, 2, _history),
    Place(("state",), "[MACHINE]", "counts by state, with limits", 0, 1, _states),
    Place(("trace",), "KEY", "all that is known of one booking", 1, 1, lambda known, said: TraceScreen(known, said[0])),
    Place(("ops",), "[ID]", "operations and their items", 0, 1, _operations),
    Place(("events",), "", "what happened lately, the newest first", 0, 0, lambda known, _: LatelyScreen(known)),
    Place(("alerts",), "", "rules that hold, since when; silences", 0, 0, lambda known, _: AlertsScreen(known)),
    Place(("worker",), "", "what waits for workers: bookings, emails", 0, 0, lambda _, __: WorkersScreen()),
    Place(("audit",), "", "who changed what", 0, 0, lambda known, _: AuditScreen(known)),
)
OTHERS: Final = ("home", "help", "quit")
"""What can be written after `:` and is no place."""


def place_of(words: Sequence[str]) -> tuple[Place, Sequence[str]] | None:
    """The place that words mean, with its arguments; None where there is none."""
    fitting = [place for place in PLACES if tuple(words[: len(place.words)]) == place.words]
    place = max(fitting, key=lambda place: len(place.words), default=None)
    if place is None or not place.least <= len(words) - len(place.words) <= place.most:
        return None
    return place, words[len(place.words) :]


def near(words: Sequence[str]) -> str:
    """What somebody may have meant by words that lead nowhere; empty where nothing is near."""
    forms = [place.shown for place in PLACES if tuple(words[: len(place.words)]) == place.words]
    if forms:
        return f"write {' or '.join(forms)}"
    known = [*OTHERS, *(" ".join(place.words) for place in PLACES), *commands()]
    return did_you_mean(" ".join(words[:2]), known) or did_you_mean(words[0], known)
