"""The same changes where a Cluster keeps the keys in different slots: pushed first, then removed, at least once.

A claim says who is at it. Cut off between push and removal, the item stays; the same operation, resumed, pushes it
again, and another one may once the claim has run out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from ticketops.backends.redis.bodies import MISSING, Found, fetch, item_of, name_of
from ticketops.backends.redis.calls import Deadline
from ticketops.backends.redis.changes import replacement, score_of, ttl_of
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.deadletters import DeadLetter, Mark, Outcome, QueueKind, Result
from ticketops.domain.wire.items import ItemText
from ticketops.options import RedisQueueOptions

_DAY: Final = 86_400
_CLAIM: Final = "pushing:"
_CLAIM_SECONDS: Final = 60
_DIGITS: Final = 16
"""Of a counter that the server adds to for certain."""
_TOTAL: Final = "total_items"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One item with what is known of it."""

    mark: Mark
    found: Found
    there: bool
    mover: str
    """Who moved it or is at it; empty: nobody."""


class SplitChanges:
    """Keys in several slots of a Cluster."""

    def __init__(self, session: Session, keys: Keys, options: RedisQueueOptions) -> None:
        self._session = session
        self._keys = keys
        self._options = options

    def requeue(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Push items onto their shows' queues, then remove them."""
        deadline = Deadline.after(self._session.now(), self._options.expiry)
        return [self._requeue(operation, mark, deadline, number) for number, mark in enumerate(marks)]

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """Take items out."""
        return [self._remove(operation, mark) for mark in marks]

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """Bring items back."""
        return [self._put(letter) for letter in letters]

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:  # noqa: ARG002 - the body itself says whether it was done
        """Give an item another payload, by a script: the body has its slot to itself."""
        seen = self._look(mark)
        if (away := _away(seen)) is not None:
            return away
        new, done = replacement(seen.found, payload)
        if done:
            return Result(mark.id, Outcome.DONE)
        if wrong := _wrong(seen, needs_item=False):
            return wrong
        if not new:
            return Result(mark.id, Outcome.UNREADABLE, seen.found.text.problem)
        answer = self._session.call("swap", [self._keys.body(mark.id)], [seen.found.digest, new])
        return Result(mark.id, Outcome.DONE if answer else Outcome.CHANGED)

    def _look(self, mark: Mark) -> _Seen:
        there, mover = self._stand(mark)
        (found,) = fetch(self._session, self._keys, [mark.id], split=True)
        if there and found.state == MISSING:  # it may have left since, its body last
            there, mover = self._stand(mark)
        return _Seen(mark, found, there, mover)

    def _stand(self, mark: Mark) -> tuple[bool, str]:
        """Whether the id is there, and who moved it or is at it."""
        with self._session.use() as client:
            # In this order: who moved it is written after it left, so that one who reads both late sees that it left.
            mover = client.get(self._keys.moved(mark.id))
            score = client.zscore(self._keys.items, mark.id)
            if score is None and mover is None:  # it may have left in between; who is at it says so before it leaves
                mover = client.get(self._keys.moved(mark.id))
        return score is not None, name_of(mover) if mover else ""

    def _requeue(self, operation: UUID, mark: Mark, deadline: Deadline, number: int) -> Result:
        seen = self._look(mark)
        item = seen.found.text.item
        if wrong := _away(seen) or _wrong(seen, needs_item=True):
            return wrong
        if item is None:
            return Result(mark.id, Outcome.UNREADABLE, seen.found.text.problem)
        if rival := self._claim(operation, seen):
            return Result(mark.id, Outcome.BUSY, rival)
        self._push(item, deadline, number)
        with self._session.use() as client:
            left = client.zrem(self._keys.items, mark.id)
            client.incr(self._keys.requeues(item.id))
            client.expire(self._keys.requeues(item.id), int(self._options.requeues_days * _DAY))
        self._forget(operation, seen, counted=bool(left))
        return Result(mark.id, Outcome.DONE)

    def _claim(self, operation: UUID, seen: _Seen) -> str:
        """Become the one who pushes; the operation that is at it already, empty where that is this one."""
        key, own = self._keys.moved(seen.mark.id), f"{_CLAIM}{operation}"
        if seen.mover.startswith(_CLAIM) and seen.mover != own:
            return seen.mover.removeprefix(_CLAIM)
        with self._session.use() as client:
            if seen.mover:
                client.delete(key)  # of an earlier stay in the queue, or this operation's own
            if client.set(key, own, nx=True, ex=_CLAIM_SECONDS):
                return ""
            return name_of(client.get(key) or b"").removeprefix(_CLAIM)

    def _push(self, item: ItemText, deadline: Deadline, number: int) -> None:
        """As the worker enqueues: what belongs to the item first, itself last."""
        keys, show = self._keys, item.event_id
        with self._session.use() as client:
            client.hset(keys.item_map, item.id, show)
            client.zadd(keys.positions(show), {item.id: deadline.entered + number})
            client.zadd(keys.timeouts(show), {item.id: deadline.expires})
            client.sadd(keys.active, show)
            client.lpush(keys.list(show), item.with_expiry(deadline.written))

    def _remove(self, operation: UUID, mark: Mark) -> Result:
        seen = self._look(mark)
        if (away := _away(seen)) is not None:
            return away
        if mark.digest not in {"", seen.found.digest} and seen.found.state != MISSING:
            return Result(mark.id, Outcome.CHANGED)
        with self._session.use() as client:
            left = client.zrem(self._keys.items, mark.id)
        self._forget(operation, seen, counted=bool(left))
        return Result(mark.id, Outcome.DONE)

    def _forget(self, operation: UUID, seen: _Seen, *, counted: bool) -> None:
        """What follows the removal of the id."""
        with self._session.use() as client:
            client.set(self._keys.moved(seen.mark.id), str(operation), ex=int(self._options.moved_days * _DAY))
            client.delete(self._keys.body(seen.mark.id))
            if counted:
                self._count(client, seen.found.text.reason, -1)

    def _count(self, client: Any, reason: str, by: int) -> None:  # noqa: ANN401 - redis-py's
        """Counters that are there, and never below zero."""
        for name in dict.fromkeys((_TOTAL, reason)):
            now = client.hget(self._keys.stats, name)
            if now is not None and now.isdigit() and len(now) < _DIGITS and int(now) + by >= 0:
                client.hincrby(self._keys.stats, name, by)

    def _put(self, letter: DeadLetter) -> Result:
        if letter.kind is not QueueKind.REDIS:
            return Result(letter.id, Outcome.FAILED, f"it is of the kind {letter.kind}, not {QueueKind.REDIS}")
        keys = self._keys
        life = ttl_of(letter, self._options.body_days)
        with self._session.use() as client:
            if client.zscore(keys.items, letter.id) is not None:
                return Result(letter.id, Outcome.EXISTS)
            fresh = not life or client.set(keys.body(letter.id), letter.stored, px=int(life) or None, nx=True)
            if not fresh and client.get(keys.body(letter.id)) != letter.stored:  # the same: an earlier run was cut off
                return Result(letter.id, Outcome.EXISTS)
            client.delete(keys.moved(letter.id))
            counter = keys.requeues(letter.origin or item_of(letter.id))
            if letter.requeues > int(client.get(counter) or 0):
                client.set(counter, letter.requeues, ex=int(self._options.requeues_days * _DAY))
            client.zadd(keys.items, {letter.id: float(score_of(letter))})
            self._count(client, letter.reason, 1)
        return Result(letter.id, Outcome.DONE)


def _away(seen: _Seen) -> Result | None:
    """What became of an item that is not there."""
    if seen.there:
        return None
    if seen.mover:
        return Result(seen.mark.id, Outcome.ALREADY, seen.mover.removeprefix(_CLAIM))
    return Result(seen.mark.id, Outcome.GONE)


def _wrong(seen: _Seen, *, needs_item: bool) -> Result | None:
    """Why an item that is there cannot be changed."""
    if seen.found.state == MISSING:
        return Result(seen.mark.id, Outcome.ORPHAN)
    if seen.mark.digest not in {"", seen.found.digest}:
        return Result(seen.mark.id, Outcome.CHANGED)
    if needs_item and seen.found.text.item is None:
        return Result(seen.mark.id, Outcome.UNREADABLE, seen.found.text.problem)
    return None
