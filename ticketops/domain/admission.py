"""Which dead letters a change leaves as they are, and why."""

from dataclasses import dataclass

from ticketops.domain.deadletters import BodyState, DeadLetter, Outcome
from ticketops.domain.operations import Hold, Verb

_NEEDS_BODY = frozenset({Verb.REQUEUE, Verb.EDIT})
_RESPECTS_HOLDS = frozenset({Verb.REQUEUE, Verb.EDIT, Verb.DISCARD, Verb.PURGE, Verb.CLEANUP})


@dataclass(frozen=True, slots=True)
class Left:
    """Why one item is left."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a change lets through."""

    verb: Verb
    cap: int = 0
    """Requeues from which on an item is skipped; 0: no guard."""
    force: bool = False
    """Go past the cap."""
    past_holds: bool = False
    """Held items are meant too: somebody named them one by one, to edit them."""

    def respects_holds(self) -> bool:
        """True where held items are left."""
        return self.verb in _RESPECTS_HOLDS and not self.past_holds

    def asks_holds(self) -> bool:
        """True where it matters whether an item is held."""
        return self.respects_holds() or self.verb is Verb.RELEASE

    def means(self, hold: Hold | None) -> bool:
        """False where the change is not about an item at all."""
        return hold is not None or self.verb is not Verb.RELEASE

    def held(self, hold: Hold | None) -> Left | None:
        """Why a held item is left."""
        if hold is None or not self.respects_holds():
            return None
        return Left(Outcome.HELD, f"{hold.actor}: {hold.note}" if hold.note else hold.actor)

    def left(self, letter: DeadLetter, hold: Hold | None) -> Left | None:
        """Why an item is left; None where the change may have it."""
        return self.held(hold) or self._without_body(letter) or self._not_to_be_requeued(letter)

    def _without_body(self, letter: DeadLetter) -> Left | None:
        if self.verb not in _NEEDS_BODY:
            return None
        if letter.body is BodyState.MISSING:
            return Left(Outcome.ORPHAN, letter.problem)
        if letter.body is BodyState.UNREADABLE and self.verb is Verb.REQUEUE:
            return Left(Outcome.UNREADABLE, letter.problem)
        return None

    def _not_to_be_requeued(self, letter: DeadLetter) -> Left | None:
        if self.verb is not Verb.REQUEUE:
            return None
        if self.cap and letter.requeues >= self.cap and not self.force:
            return Left(Outcome.CAPPED, f"requeued {letter.requeues} times, the cap is {self.cap}")
        if not letter.destination:
            return Left(Outcome.NO_DESTINATION, letter.problem)
        return None
