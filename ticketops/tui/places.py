"""Where `:` goes, in the words of the command line; the one list that help, completion and going are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from textual.screen import Screen

from ticketops.tui.screens.group import GroupScreen
from ticketops.tui.screens.groups import ConsumersScreen
from ticketops.tui.screens.letters import GroupsScreen, QueuesScreen
from ticketops.tui.screens.operations import AuditScreen, OperationsScreen
from ticketops.tui.screens.outbox import OutboxScreen, RelayScreen
from ticketops.tui.screens.states import HistoryScreen, StatesScreen, StuckScreen
from ticketops.tui.screens.trace import TraceScreen
from ticketops.tui.sources import Sources

_BOOKING: Final = "booking"
Make = Callable[[Sources, Sequence[str]], "Screen[None]"]


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

    @property
    def shown(self) -> str:
        """As help shows it."""
        return " ".join([*self.words, self.arguments]).strip()


def _letters(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    return GroupsScreen(said[0], sources.letters) if said else QueuesScreen(sources.letters)


def _groups(_: Sources, said: Sequence[str]) -> "Screen[None]":
    return GroupScreen(said[0]) if said else ConsumersScreen()


def _stuck(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    return StuckScreen(sources, said[0] if said else _BOOKING, "")


def _history(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    return HistoryScreen(sources, _BOOKING, said[0])


def _states(sources: Sources, said: Sequence[str]) -> "Screen[None]":
    return StatesScreen(sources, said[0] if said else _BOOKING)


PLACES: Final = (
    Place(("dlq",), "[QUEUE]", "dead letters: queues, causes, items", 0, 1, _letters),
    Place(("lag",), "[GROUP]", "consumer groups and partitions", 0, 1, _groups),
    Place(("outbox",), "", "backlog, throughput, held back, dead; events", 0, 0, lambda known, _: OutboxScreen(known)),
    Place(("relay",), "", "shards and their owners, relays, pauses", 0, 0, lambda known, _: RelayScreen(known)),
    Place(("state", "stuck"), "[MACHINE]", "what is too long in its state, and why", 0, 1, _stuck),
    Place(("state", "history"), "KEY", "every transition of one", 1, 1, _history),
    Place(("state",), "[MACHINE]", "counts by state, with limits", 0, 1, _states),
    Place(("trace",), "KEY", "all that is known of one booking", 1, 1, lambda known, said: TraceScreen(known, said[0])),
    Place(("ops",), "", "operations and their items", 0, 0, lambda known, _: OperationsScreen(known)),
    Place(("audit",), "", "who changed what", 0, 0, lambda known, _: AuditScreen(known)),
)
"""The longer words first."""


def place_of(words: Sequence[str]) -> tuple[Place, Sequence[str]] | None:
    """The place that words mean, with its arguments; None where there is none."""
    for place in PLACES:
        count = len(place.words)
        rest = words[count:]
        if tuple(words[:count]) == place.words and place.least <= len(rest) <= place.most:
            return place, rest
    return None
