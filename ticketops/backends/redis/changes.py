"""Changes to dead letters, each step one script: nothing is lost or doubled wherever it is cut off."""

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final
from uuid import UUID

from ticketops.backends.redis.bodies import MISSING, Found, ask, fetch, item_of, name_of
from ticketops.backends.redis.calls import Change, Deadline, Removal, Requeue
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Answer, Session
from ticketops.domain.deadletters import BodyState, DeadLetter, Mark, Outcome, QueueKind, Result
from ticketops.domain.wire.letters import read_letter, with_item
from ticketops.errors import WireError
from ticketops.options import RedisQueueOptions

_DAY: Final = 86_400
_DIGITS: Final = 16
"""Of a number of milliseconds that the server takes for no time to live."""
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
_STEP: Final = 50
"""Items in one call of a script: some 1.5 ms of the server's time."""


class Changes:
    """All keys on one server, or in one slot."""

    def __init__(self, session: Session, keys: Keys, options: RedisQueueOptions) -> None:
        self._session = session
        self._keys = keys
        self._options = options

    def requeue(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Move items back to their shows' queues."""
        deadline = Deadline.after(self._session.now(), self._options.expiry)
        return self._until_settled(marks, Requeue(self._keys, self._options, operation, deadline))

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Take items out."""
        return self._until_settled(marks, Removal(self._keys, self._options, operation))

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """Bring items back."""
        fit = [letter for letter in letters if letter.kind is QueueKind.REDIS]
        steps = (fit[at : at + _STEP] for at in range(0, len(fit), _STEP))
        results = iter([result for step in steps for result in self._put(step)])
        return [next(results) if letter.kind is QueueKind.REDIS else _foreign(letter) for letter in letters]

    def _put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        keys = [self._keys.items, self._keys.stats]
        arguments: list[str | bytes | int] = [int(self._options.requeues_days * _DAY)]
        for letter in letters:
            counted = self._keys.requeues(letter.origin or item_of(letter.id))
            keys += (self._keys.body(letter.id), self._keys.moved(letter.id), counted)
            life = ttl_of(letter, self._options.body_days)
            arguments += (letter.id, score_of(letter), life, letter.reason, letter.requeues, letter.stored)
        answers = self._session.call("put", keys, arguments)
        return [result_of(letter.id, answer) for letter, answer in zip(letters, answers, strict=True)]

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:  # noqa: ARG002 - the body itself says whether it was done
        """Give an item another payload."""
        for _ in range(_TRIES):
            (found,) = fetch(self._session, self._keys, [mark.id])
            result = self._replace(mark, found, payload)
            if mark.digest or result.outcome is not Outcome.CHANGED:
                break
        return result

    def _until_settled(self, marks: Sequence[Mark], change: Change) -> list[Result]:
        """Read and change; an item that was to be taken whatever it is, and changed in between, is tried again."""
        results: dict[int, Result] = {}
        left = list(range(len(marks)))
        for _ in range(_TRIES):
            results |= zip(left, self._in_steps([marks[index] for index in left], change), strict=True)
            left = [index for index in left if not marks[index].digest and results[index].outcome is Outcome.CHANGED]
        return [results[index] for index in range(len(marks))]

    def _in_steps(self, marks: Sequence[Mark], change: Change) -> list[Result]:
        """A script call for some marks at a time: before one is answered, the next is read, made and sent."""
        if not marks:
            return []
        ids, results, at = [mark.id for mark in marks], list[Result](), 0
        with self._session.pipe() as send:
            reading, changing = ask(send, self._keys, ids[:_STEP]), _nothing
            while at < len(marks):
                found, some = reading(), marks[at : at + _STEP]
                at += len(found)
                if at < len(marks):
                    reading = ask(send, self._keys, ids[at : at + _STEP])
                call = change.call(some[: len(found)], found, at - len(found))
                sent = partial(_explained, found, send(change.script, *call))
                results += changing()
                changing = sent
            results += changing()
        return results

    def _replace(self, mark: Mark, one: Found, payload: bytes) -> Result:
        new, done = replacement(one, payload)
        if done:
            return Result(one.id, Outcome.DONE)
        if mark.digest not in {"", one.digest} and one.state != MISSING:
            new = b""
        keys = [self._keys.items, self._keys.body(one.id), self._keys.moved(one.id)]
        answer = self._session.call("replace", keys, [one.id, one.digest, new])
        result = _result(one, answer)
        if result.outcome is Outcome.UNREADABLE and mark.digest not in {"", one.digest}:
            return Result(one.id, Outcome.CHANGED)
        return result


def _nothing() -> list[Result]:
    return []


def _explained(found: Sequence[Found], answer: Answer) -> list[Result]:
    """What became of each, once the script has answered."""
    return [
        Result(one.id, Outcome.DONE) if verdict == b"done" else _result(one, verdict)
        for one, verdict in zip(found, answer(), strict=True)
    ]


def _result(one: Found, verdict: bytes) -> Result:
    result = result_of(one.id, verdict)
    if result.outcome is Outcome.UNREADABLE:
        return Result(one.id, Outcome.UNREADABLE, one.movable.problem)
    return result


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
    score = letter.place.get("score", "")
    with suppress(ValueError):
        if not math.isnan(float(score)):
            return repr(float(score))
    return str(int(letter.failed_at.timestamp())) if letter.failed_at else "0"


def ttl_of(letter: DeadLetter, days: float) -> str:
    """Milliseconds to live, as they were; 0 is without end, empty where there is no body."""
    if letter.body is BodyState.MISSING:
        return ""
    told = letter.place.get("ttl_ms", "")
    if told == "-1":
        return "0"
    fits = told.isascii() and told.isdigit() and len(told) < _DIGITS and int(told) > 0
    return told if fits else str(int(days * _DAY * 1000))


def _foreign(letter: DeadLetter) -> Result:
    return Result(letter.id, Outcome.FAILED, f"it is of the kind {letter.kind}, not {QueueKind.REDIS}")
