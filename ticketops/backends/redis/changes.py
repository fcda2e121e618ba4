"""Changes to dead letters, each call one script: nothing is lost or doubled wherever it is cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from ticketops.backends.redis.bodies import MISSING, Found, fetch, item_of, name_of
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.deadletters import BodyState, DeadLetter, Mark, Outcome, QueueKind, Result
from ticketops.domain.wire.items import ItemText, quoted
from ticketops.domain.wire.letters import read_letter, with_item
from ticketops.domain.wire.scalars import WireTime
from ticketops.errors import WireError
from ticketops.options import RedisQueueOptions

_DAY: Final = 86_400
_TRIES: Final = 3
"""Rounds for an item that changes while a change of it, whatever it is by then, is made."""
_OUTCOMES: Final = {
    "done": Outcome.DONE,
    "gone": Outcome.GONE,
    "already": Outcome.ALREADY,
    "missing": Outcome.ORPHAN,
    "changed": Outcome.CHANGED,
    "unreadable": Outcome.UNREADABLE,
    "exists": Outcome.EXISTS,
    "busy": Outcome.BUSY,
    "failed": Outcome.FAILED,
}
Step = Callable[[Sequence[Mark], Sequence[Found]], list[Result]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When items that are put back now expire, and when they entered their queues."""

    entered: int
    """Unix nanoseconds, the position score of the first; each that follows is one later."""
    expires: int
    """Unix seconds, the timeout score."""
    written: bytes
    """The same as ExpiresAt, in JSON."""

    @classmethod
    def after(cls, now: tuple[int, int], seconds: float) -> "Deadline":
        """Counted from the server's clock (seconds, microseconds)."""
        at = datetime.fromtimestamp(now[0], UTC) + timedelta(microseconds=now[1], seconds=seconds)
        return cls((now[0] * 1_000_000 + now[1]) * 1000, int(at.timestamp()), quoted(WireTime.of(at)))


class Changes:
    """All keys on one server, or in one slot."""

    def __init__(self, session: Session, keys: Keys, options: RedisQueueOptions) -> None:
        self._session = session
        self._keys = keys
        self._options = options

    def requeue(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Move items back to their shows' queues."""
        return self._until_settled(marks, lambda some, found: self._requeue(operation, some, found))

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Take items out."""
        return self._until_settled(marks, lambda some, found: self._remove(operation, some, found))

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """Bring items back."""
        fit = [letter for letter in letters if letter.kind is QueueKind.REDIS]
        keys, arguments = [self._keys.items, self._keys.stats], [str(int(self._options.requeues_days * _DAY))]
        for letter in fit:
            keys += [
                self._keys.body(letter.id),
                self._keys.moved(letter.id),
                self._keys.requeues(letter.origin or item_of(letter.id)),
            ]
            arguments += [
                letter.id,
                score_of(letter),
                ttl_of(letter, self._options.body_days),
                letter.reason,
                str(letter.requeues),
                letter.stored,  # type: ignore[list-item]
            ]
        answers = self._session.call("put", keys, arguments) if fit else []
        results = iter(result_of(letter.id, answer) for letter, answer in zip(fit, answers, strict=True))
        return [next(results) if letter.kind is QueueKind.REDIS else _foreign(letter) for letter in letters]

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:  # noqa: ARG002 - the body itself says whether it was done
        """Give an item another payload."""
        (result,) = self._until_settled([mark], lambda _, found: [self._replace(mark, found[0], payload)])
        return result

    def _until_settled(self, marks: Sequence[Mark], step: Step) -> list[Result]:
        """Read and change; an item that was to be taken whatever it is, and changed in between, is tried again."""
        results: dict[int, Result] = {}
        left = list(range(len(marks)))
        for _ in range(_TRIES):
            chosen = [marks[index] for index in left]
            found = list(fetch(self._session, self._keys, [mark.id for mark in chosen]))
            answers = step(chosen, found) if chosen else []
            results |= zip(left, answers, strict=True)
            left = [index for index in left if not marks[index].digest and results[index].outcome is Outcome.CHANGED]
        return [results[index] for index in range(len(marks))]

    def _requeue(self, operation: UUID, marks: Sequence[Mark], found: Sequence[Found]) -> list[Result]:
        deadline = Deadline.after(self._session.now(), self._options.expiry)
        base = self._keys
        keys = [base.items, base.stats, base.active, base.item_map]
        arguments: list[str | bytes | int] = [str(operation), self._known_for, self._counted_for, deadline.expires]
        for number, (mark, one) in enumerate(zip(marks, found, strict=True)):
            item = one.movable.item
            id_, show = (item.id, item.event_id) if item else (item_of(one.id), "")
            keys += [base.body(one.id), base.moved(one.id), base.requeues(id_)]
            keys += [base.list(show), base.positions(show), base.timeouts(show)]
            arguments += [one.id, mark.digest or one.digest, id_, show, one.movable.reason]
            arguments += [deadline.entered + number, pushed(item, mark, one, deadline)]
        answers = self._session.call("requeue", keys, arguments)
        return [self._explained(one, answer) for one, answer in zip(found, answers, strict=True)]

    def _remove(self, operation: UUID, marks: Sequence[Mark], found: Sequence[Found]) -> list[Result]:
        keys = [self._keys.items, self._keys.stats]
        arguments: list[str | bytes | int] = [str(operation), self._known_for]
        for mark, one in zip(marks, found, strict=True):
            keys += [self._keys.body(one.id), self._keys.moved(one.id)]
            arguments += [one.id, mark.digest or one.digest, one.movable.reason]
        answers = self._session.call("remove", keys, arguments)
        return [self._explained(one, answer) for one, answer in zip(found, answers, strict=True)]

    def _replace(self, mark: Mark, one: Found, payload: bytes) -> Result:
        new, done = replacement(one, payload)
        if done:
            return Result(one.id, Outcome.DONE)
        if mark.digest not in {"", one.digest} and one.state != MISSING:
            new = b""
        keys = [self._keys.items, self._keys.body(one.id), self._keys.moved(one.id)]
        answer = self._session.call("replace", keys, [one.id, one.digest, new])
        result = self._explained(one, answer)
        if result.outcome is Outcome.UNREADABLE and mark.digest not in {"", one.digest}:
            return Result(one.id, Outcome.CHANGED)
        return result

    def _explained(self, one: Found, answer: bytes) -> Result:
        result = result_of(one.id, answer)
        if result.outcome is Outcome.UNREADABLE:
            return Result(one.id, Outcome.UNREADABLE, one.movable.problem)
        return result

    @property
    def _known_for(self) -> int:
        return max(1, int(self._options.moved_days * _DAY))

    @property
    def _counted_for(self) -> int:
        return max(1, int(self._options.requeues_days * _DAY))


def pushed(item: ItemText | None, mark: Mark, one: Found, deadline: Deadline) -> bytes:
    """The bytes to push; empty where there is nothing to push, or the item is not what was seen."""
    if item is None or mark.digest not in {"", one.digest}:
        return b""
    return item.with_expiry(deadline.written)


def replacement(one: Found, payload: bytes) -> tuple[bytes, bool]:
    """The body with another payload (empty where none can be made), and whether it has that payload already."""
    if one.state != "body":
        return b"", False
    try:
        if read_letter(one.body).item_data == payload:
            return b"", True
        return with_item(one.body, payload), False
    except WireError:
        return b"", False


def result_of(id_: str, answer: bytes) -> Result:
    """A script's answer."""
    word, _, detail = name_of(answer).partition(":")
    return Result(id_, _OUTCOMES[word], detail)


def score_of(letter: DeadLetter) -> str:
    """The score that an item comes back with: its former, else the time it failed."""
    if score := letter.place.get("score"):
        return score
    return str(int(letter.failed_at.timestamp())) if letter.failed_at else "0"


def ttl_of(letter: DeadLetter, days: float) -> str:
    """Milliseconds to live, as they were; 0 is without end, empty where there is no body."""
    if letter.body is BodyState.MISSING:
        return ""
    told = letter.place.get("ttl_ms", "")
    if told == "-1":
        return "0"
    return told if told.isdigit() and int(told) > 0 else str(int(days * _DAY * 1000))


def _foreign(letter: DeadLetter) -> Result:
    return Result(letter.id, Outcome.FAILED, f"it is of the kind {letter.kind}, not {QueueKind.REDIS}")
