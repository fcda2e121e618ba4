"""An operator's view of one machine: where its subjects are, and what the history tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ticketops.domain.history import Clue, Life, MoveCount, Standing, StateCount, Stay, Waiting
from ticketops.domain.subjects import Subject, Transition


@dataclass(frozen=True, slots=True)
class Lives:
    """One page of lives, in the order of their keys."""

    lives: tuple[Life, ...]
    last: str | None
    """Where the next page begins after; None where this is the last one."""
    subjects: int
    """Subjects that were looked at, those included that were left out."""
    transitions: int
    """Theirs."""


class StateView(Protocol):
    """Reads of one machine, each bounded in rows and time; large ones in pages by key."""

    def now(self) -> datetime:
        """The database's clock."""

    def history(self, key: str, *, after: int = 0, limit: int) -> list[Transition]:
        """Transitions of one subject past number `after`, oldest first."""

    def states(self) -> list[StateCount]:
        """How many subjects are in each state now; every state of the machine is there."""

    def standing(self, limits: Mapping[str, float], *, newest: int) -> Standing:
        """The subjects that are not at rest: how many in each state, and of those with a limit in seconds, who is over.

        `newest` transitions of the last hour at most are told. Subjects at rest are not read where there is the index
        that `db upgrade` makes.
        """

    def waiting(self, limits: Mapping[str, float], *, limit: int) -> tuple[int, list[Waiting]]:
        """Subjects that are in a state for more than its limit in seconds: how many, and the worst ones.

        Those past their expires_at come first, then those that have waited longest.
        """

    def overdue(self, states: Sequence[str], *, limit: int) -> list[Subject]:
        """Subjects in these states that are past their expires_at, longest first."""

    def moves(self, window: float) -> list[MoveCount]:
        """Transitions of the last `window` seconds, the commonest first."""

    def stays(self, window: float) -> list[Stay]:
        """Stays that ended in the last `window` seconds and began within the same time before that."""

    def lives(self, after: str | None, *, limit: int) -> Lives:
        """The histories after a key that may break the table, of some `limit` transitions, never part of one.

        One that keeps to the table, from the initial state to the subject's own, may be left out.
        """

    def silent(self, after: str | None, *, since: datetime | None, limit: int) -> Lives:
        """Subjects without any transition that are not in the initial state and were created since then; by key."""

    def forget(self, days: float, *, limit: int) -> int:
        """Drop at most `limit` transitions older than so many days; how many it was."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class Clues(Protocol):
    """A place that may hold what stuck subjects wait for."""

    def look(self, subjects: Sequence[Subject]) -> Mapping[str, Sequence[Clue]]:
        """What is there of each, by key; what nothing is known of is left out."""

    def close(self) -> None:
        """Give up connections; idempotent."""
