"""Dead letters as Redis holds them, and as TicketOps shows them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha1
from typing import Final

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Send, Session
from ticketops.domain.deadletters import BodyState, DeadLetter, QueueKind
from ticketops.domain.wire.letters import LetterText, Movable, read_letter, read_movable
from ticketops.errors import WireError

MISSING: Final = "missing"
"""The digest of an item without body."""
_TYPE: Final = "type:"
_BYTES: Final = 4_000_000
"""Bytes of bodies after which a page ends; bounds memory and the time of a call."""
_STEP: Final = 200
"""Most items that are read in a call."""
_ID: Final = re.compile(r"dlq:(?P<item>.+):(?P<nanos>[0-9]+)", re.DOTALL)
TOLERANCE: Final = 60.0
"""Seconds that a body's failed_at may differ from the score and still be believed: a narrowing reads by score."""
_FIELDS: Final = 4
_NANOS: Final = 19
"""Digits of a time in Unix nanoseconds, from 2001 to 2286."""


@dataclass(eq=False)  # not frozen: a queue can have a million of them
class Found:
    """One dead letter as it is held; who needs the digest or what is movable more than once keeps it."""

    id: str
    state: str
    """`body`, `missing`, or `type:` with the type of a key that holds no text."""
    body: bytes
    ttl: int
    """Milliseconds; -1 without end, -2 without body."""
    requeues: int

    @property
    def digest(self) -> str:
        """What tells this state of the item from another."""
        return sha1(self.body, usedforsecurity=False).hexdigest() if self.state == "body" else self.state

    @cached_property
    def text(self) -> LetterText:
        """What is readable of it."""
        if self._unread:
            return LetterText(problem=self._unread)
        try:
            return read_letter(self.body)
        except WireError as error:
            return LetterText(problem=str(error))

    @property
    def movable(self) -> Movable:
        """What of it a requeue needs."""
        if self._unread:
            return Movable(None, "", self._unread)
        try:
            return read_movable(self.body)
        except WireError as error:
            return Movable(None, "", str(error))

    @property
    def _unread(self) -> str:
        """Why there is nothing to read; empty where there is."""
        if self.state == "body":
            return ""
        if self.state == MISSING:
            return "the body expired, or was not written yet"
        return f"its key is a {self.state.removeprefix(_TYPE)}, not a string"

    @property
    def body_state(self) -> BodyState:
        """Whether there is something to put back."""
        if self.state == MISSING:
            return BodyState.MISSING
        return BodyState.UNREADABLE if self.text.item is None else BodyState.PRESENT


def name_of(raw: bytes) -> str:
    """A member or field as text; what is no UTF-8 is shown escaped, and is nothing that can be addressed."""
    return raw.decode("utf-8", "backslashreplace")


def item_of(id_: str) -> str:
    """The item that a dead-letter id names."""
    found = _ID.fullmatch(id_)
    return found["item"] if found else id_


def moment_in(id_: str) -> datetime | None:
    """When the item died by its dead-letter id, in whole seconds; None where that does not say it."""
    found = _ID.fullmatch(id_)
    return moment_of(int(found["nanos"]) // 1_000_000_000) if found and len(found["nanos"]) == _NANOS else None


def fetch(session: Session, keys: Keys, ids: Sequence[str], *, split: bool = False) -> Iterator[Found]:
    """What is held of these ids, in their order, a page at a time."""
    at = 0
    while at < len(ids):
        chunk = ids[at : at + _STEP]
        found = _fetch_each(session, keys, chunk) if split else _fetch(session, keys, chunk)
        yield from found
        at += len(found)


def _fetch(session: Session, keys: Keys, ids: Sequence[str]) -> list[Found]:
    """By one script: as many as fit into a page, at least one."""
    prefix, counted = keys.bodies, keys.requeues("")
    names = [prefix + id_ for id_ in ids] + [counted + item_of(id_) for id_ in ids]
    rows = zip(ids, *session.call("fetch", names, [_BYTES]), strict=False)
    return [_held(id_, body, ttl, _count(requeues)) for id_, body, ttl, requeues in rows]


def ask(send: Send, keys: Keys, ids: Sequence[str]) -> Callable[[], list[Found]]:
    """Ask for the bodies alone; the answer has as many as fit into a page, at least one."""
    prefix = keys.bodies
    answer = send("bodies", [prefix + id_ for id_ in ids], [_BYTES])
    return lambda: [_held(id_, body) for id_, body in zip(ids, answer(), strict=False)]


def _held(id_: str, body: object, ttl: int = -1, requeues: int = 0) -> Found:
    """As the scripts answer."""
    if isinstance(body, bytes):
        return Found(id_, "body", body, ttl, requeues)
    if isinstance(body, list):
        return Found(id_, f"{_TYPE}{name_of(body[0])}", b"", ttl, requeues)
    return Found(id_, MISSING, b"", ttl, requeues)


def _fetch_each(session: Session, keys: Keys, ids: Sequence[str]) -> list[Found]:
    """By single commands, where a Cluster keeps the keys in different slots."""
    chosen = ids[:20]
    with session.use() as client:
        pipeline = client.pipeline(transaction=False)
        for id_ in chosen:
            pipeline.get(keys.body(id_))
            pipeline.pttl(keys.body(id_))
            pipeline.get(keys.requeues(item_of(id_)))
            pipeline.type(keys.body(id_))
        flat = pipeline.execute(raise_on_error=False)
    rows = zip(*(flat[offset::_FIELDS] for offset in range(_FIELDS)), strict=True)
    return [_found(id_, *row) for id_, row in zip(chosen, rows, strict=True)]


def _found(id_: str, body: object, ttl: object, requeues: object, kind: object) -> Found:
    for answer in (ttl, kind):
        if isinstance(answer, Exception):
            raise answer
    state = MISSING if body is None else "body"
    if isinstance(body, Exception):
        state = f"{_TYPE}{name_of(kind) if isinstance(kind, bytes) else kind}"
    raw = body if isinstance(body, bytes) else b""
    return Found(id_, state, raw, ttl if isinstance(ttl, int) else -1, _count(requeues))


def _count(raw: object) -> int:
    return int(raw) if isinstance(raw, bytes) and raw.isdigit() and len(raw) < 10 else 0  # noqa: PLR2004 - no such count


def letter_of(found: Found, score: float, queue: str, keys: Keys) -> DeadLetter:
    """The model of one that is in the sorted set with this score."""
    text, item = found.text, found.text.item
    origin = item.id if item else item_of(found.id)
    return DeadLetter(
        id=found.id,
        queue=queue,
        kind=QueueKind.REDIS,
        key=origin,
        origin=origin,
        reason=text.reason,
        error_message=text.error_message,
        attempts=text.retry_count,
        requeues=found.requeues,
        failed_at=_failed_at(text.failed_at, score),
        last_attempt_at=text.last_attempt_at,
        payload=text.item_data,
        metadata=text.metadata,
        body=found.body_state,
        problem=text.problem,
        destination=keys.list(item.event_id) if item else "",
        stored=found.body,
        place={"score": f"{score:.17g}", "ttl_ms": str(found.ttl)},
        digest=found.digest,
    )


def _failed_at(told: datetime | None, score: float) -> datetime | None:
    """What the body says, where the score agrees; else the score."""
    by_score = moment_of(score)
    if told and by_score and abs((told - by_score).total_seconds()) <= TOLERANCE:
        return told
    return by_score or told


def moment_of(score: float) -> datetime | None:
    """A score as a time; None where no calendar has it."""
    try:
        return datetime.fromtimestamp(score, UTC)
    except (ValueError, OverflowError, OSError):
        return None
