"""A dead-letter queue in memory: a place shared by queues, and what its consumer would refuse."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from uuid import UUID

from ticketops.domain.deadletters import (
    BodyState,
    DeadLetter,
    Fault,
    FaultKind,
    Guarantee,
    Mark,
    Narrowing,
    Outcome,
    QueueKind,
    RequeueOrder,
    Result,
)
from ticketops.errors import BackendUnavailable

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class MemoryDeaths:
    """One place where failures end up."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    up: bool = True
    """False: every call raises BackendUnavailable."""
    verdict: Callable[[bytes], str | None] = lambda _: None
    """Why the consumer refuses a payload; None takes it."""
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    moved: dict[str, UUID] = field(default_factory=dict)
    """Items that left, and the operation that took them."""
    requeues: Counter[str] = field(default_factory=Counter)
    """How often an origin was put back."""
    delivered: dict[str, list[DeadLetter]] = field(default_factory=lambda: defaultdict(list))
    """What was put back, by destination, as its consumer gets it."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, letter: DeadLetter) -> None:
        """Take a failure in; its `stored` is its payload where nothing else is given."""
        stored = letter.stored or letter.payload or b""
        self.letters[letter.id] = replace(letter, stored=stored, digest=digest_of(letter.body, stored))


def digest_of(body: BodyState, stored: bytes) -> str:
    """What tells one state of an item from another."""
    return "missing" if body is BodyState.MISSING else sha1(stored, usedforsecurity=False).hexdigest()


class MemoryDeadLetterQueue:
    """Implements ports.DeadLetterQueue."""

    def __init__(
        self, place: MemoryDeaths, *, name: str = "memory", kind: QueueKind = QueueKind.REDIS, batch: int = 100
    ) -> None:
        self._place = place
        self._name = name
        self._kind = kind
        self._batch = batch

    @property
    def name(self) -> str:
        """See ports.DeadLetterQueue."""
        return self._name

    @property
    def kind(self) -> QueueKind:
        """See ports.DeadLetterQueue."""
        return self._kind

    @property
    def guarantee(self) -> Guarantee:
        """See ports.DeadLetterQueue."""
        return Guarantee.EXACTLY_ONCE

    @property
    def batch(self) -> int:
        """See ports.DeadLetterQueue."""
        return self._batch

    def now(self) -> datetime:
        """See ports.DeadLetterQueue."""
        return self._open().clock()

    def count(self) -> int:
        """See ports.DeadLetterQueue."""
        return len(self._open().letters)

    def newest_failure(self) -> datetime | None:
        """See ports.DeadLetterQueue."""
        return max((letter.failed_at for letter in self._open().letters.values() if letter.failed_at), default=None)

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        """See ports.DeadLetterQueue."""
        place = self._open()
        for letter in sorted(place.letters.values(), key=lambda one: (one.failed_at or _NEVER, one.id)):
            if letter.id in place.letters and _may_match(letter, narrowing):
                yield self._shown(letter)

    def get(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        """See ports.DeadLetterQueue."""
        letters = self._open().letters
        return (self._shown(letters[one]) for one in ids if one in letters)

    def requeue(self, order: RequeueOrder, marks: Sequence[Mark]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        place = self._open()
        with place.lock:
            return [self._requeue(order.operation, mark) for mark in marks]

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        place = self._open()
        with place.lock:
            return [self._remove(operation, mark) for mark in marks]

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        place = self._open()
        with place.lock:
            return [self._put(letter) for letter in letters]

    def refusal(self, letter: DeadLetter, payload: bytes) -> str | None:  # noqa: ARG002 - part of the port
        """See ports.DeadLetterQueue."""
        return self._place.verdict(payload)

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:  # noqa: ARG002 - part of the port
        """See ports.DeadLetterQueue."""
        place = self._open()
        with place.lock:
            letter = place.letters.get(mark.id)
            if letter is not None and letter.body is BodyState.PRESENT and letter.payload == payload:
                return Result(mark.id, Outcome.DONE)
            if missing := self._missing(mark):
                return missing
            if place.letters[mark.id].body is BodyState.MISSING:
                return Result(mark.id, Outcome.ORPHAN)
            place.add(
                replace(place.letters[mark.id], payload=payload, stored=payload, body=BodyState.PRESENT, problem="")
            )
            return Result(mark.id, Outcome.DONE)

    def backlog(self, destination: str) -> int | None:
        """See ports.DeadLetterQueue."""
        return len(self._open().delivered[destination]) if destination else None

    def faults(self, grace: float) -> Iterator[Fault]:
        """See ports.DeadLetterQueue."""
        before = self.now() - timedelta(seconds=grace)
        for letter in tuple(self._place.letters.values()):
            if (letter.failed_at or _NEVER) > before:
                continue
            if letter.body is BodyState.MISSING:
                yield self._fault(FaultKind.NO_BODY, letter, "the body is gone", "remove the id")
            elif letter.body is BodyState.UNREADABLE:
                yield self._fault(FaultKind.UNREADABLE, letter, letter.problem, "")

    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """See ports.DeadLetterQueue."""
        mended = 0
        for fault in [fault for fault in self.faults(grace) if fault.fix]:
            del self._place.letters[fault.subject]
            progress(fault)
            mended += 1
        return mended

    def close(self) -> None:
        """See ports.DeadLetterQueue."""

    def _open(self) -> MemoryDeaths:
        if not self._place.up:
            raise BackendUnavailable("memory", why="it was told so")
        return self._place

    def _shown(self, letter: DeadLetter) -> DeadLetter:
        return replace(letter, queue=self._name, kind=self._kind, requeues=self._place.requeues[letter.origin])

    def _missing(self, mark: Mark) -> Result | None:
        """Why an item cannot be changed; None where it is there as it was seen."""
        letter = self._place.letters.get(mark.id)
        if letter is None:
            operation = self._place.moved.get(mark.id)
            return Result(mark.id, Outcome.ALREADY, str(operation)) if operation else Result(mark.id, Outcome.GONE)
        return Result(mark.id, Outcome.CHANGED) if mark.digest not in {"", letter.digest} else None

    def _requeue(self, operation: UUID, mark: Mark) -> Result:
        place = self._place
        if missing := self._missing(mark):
            return missing
        letter = place.letters[mark.id]
        if letter.body is BodyState.MISSING:
            return Result(mark.id, Outcome.ORPHAN)
        if why := (letter.problem if letter.body is BodyState.UNREADABLE else place.verdict(letter.payload or b"")):
            return Result(mark.id, Outcome.UNREADABLE, why)
        if not letter.destination:
            return Result(mark.id, Outcome.NO_DESTINATION)
        place.delivered[letter.destination].append(letter)
        place.requeues[letter.origin] += 1
        return self._take(operation, mark)

    def _remove(self, operation: UUID, mark: Mark) -> Result:
        return self._missing(mark) or self._take(operation, mark)

    def _take(self, operation: UUID, mark: Mark) -> Result:
        del self._place.letters[mark.id]
        self._place.moved[mark.id] = operation
        return Result(mark.id, Outcome.DONE)

    def _put(self, letter: DeadLetter) -> Result:
        if letter.id in self._place.letters:
            return Result(letter.id, Outcome.EXISTS)
        self._place.moved.pop(letter.id, None)
        self._place.add(letter)
        self._place.requeues[letter.origin] = max(self._place.requeues[letter.origin], letter.requeues)
        return Result(letter.id, Outcome.DONE)

    def _fault(self, kind: FaultKind, letter: DeadLetter, found: str, fix: str) -> Fault:
        return Fault(kind=kind, queue=self._name, subject=letter.id, found=found, fix=fix)


def _may_match(letter: DeadLetter, narrowing: Narrowing) -> bool:
    failed = letter.failed_at or _NEVER
    return (
        (narrowing.since is None or failed >= narrowing.since)
        and (narrowing.until is None or failed < narrowing.until)
        and (narrowing.reason is None or letter.reason == narrowing.reason)
        and (narrowing.key is None or letter.key == narrowing.key)
    )
