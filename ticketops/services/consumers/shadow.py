"""A worker as a shadow: it decides, looks later what others did, and writes nothing but its group's offsets."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from ticketops.domain.consuming import Comparison, Death, Due, Handled, Outcome, Partition, Position, Record
from ticketops.ports.consumers import RecordHandler
from ticketops.services.consumers.metrics import WorkerMetrics

_LOOK_EVERY = 0.5
_MOST = 50_000
"""Decisions that wait to be compared; more are not compared at all."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class _Decision:
    at: float
    record: Record
    expected: Mapping[str, str]


class Shadow:
    """The decisions that wait to be compared; several threads may use one."""

    def __init__(self, delay: float, metrics: WorkerMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        """`delay` in seconds is what the others are given to handle a record."""
        self._delay = delay
        self._metrics = metrics
        self._clock = clock
        self._decisions: deque[_Decision] = deque()
        self._lock = threading.Lock()
        self._log = structlog.get_logger("ticketops").bind(part="shadow")

    def note(self, record: Record, expected: Mapping[str, str] | None) -> str:
        """A decision was made; in a word, what becomes of it."""
        if expected is None:
            return "nothing expected"
        with self._lock:
            if len(self._decisions) >= _MOST:
                self._metrics.compared("not compared")
                return "not compared"
            self._decisions.append(_Decision(self._clock() + self._delay, record, expected))
        return "expected"

    def compare(self, look: Callable[[Record, Mapping[str, str]], Comparison]) -> float:
        """Compare what is due; seconds until the next look."""
        for _ in range(_CHUNK):
            with self._lock:
                if not self._decisions or self._decisions[0].at > self._clock():
                    return _LOOK_EVERY
                decision = self._decisions.popleft()
            try:
                self._tell(decision.record, look(decision.record, decision.expected))
            except BaseException:
                with self._lock:
                    self._decisions.appendleft(decision)
                raise
        return 0.0

    def _tell(self, record: Record, found: Comparison) -> None:
        self._metrics.compared("agrees" if found.agrees else "differs")
        if not found.agrees:
            self._log.warning(
                "others did something else",
                record=str(record.position),
                key=None if record.key is None else record.key[:200].decode(errors="replace"),
                expected=dict(found.expected),
                found=dict(found.found),
            )


class ShadowHandler:
    """Implements ports.RecordHandler over the real one, of which it asks only what changes nothing."""

    def __init__(self, handler: RecordHandler, shadow: Shadow) -> None:
        self._handler = handler
        self._shadow = shadow

    def check(self) -> None:
        """See ports.RecordHandler."""
        self._handler.check()

    def alone(self, record: Record) -> bool:  # noqa: ARG002 - nothing is called
        """See ports.RecordHandler."""
        return False

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        """See ports.RecordHandler."""
        return [Handled(self._shadow.note(record, self._handler.expect(record))) for record in records]

    def decide(self, record: Record) -> Outcome:
        """See ports.RecordHandler."""
        return self._handler.decide(record)

    def expect(self, record: Record) -> Mapping[str, str] | None:
        """See ports.RecordHandler."""
        return self._handler.expect(record)

    def compare(self, record: Record, expected: Mapping[str, str]) -> Comparison:
        """See ports.RecordHandler."""
        return self._handler.compare(record, expected)

    def after(self) -> float:
        """See ports.RecordHandler: compare what is due."""
        return self._shadow.compare(self._handler.compare)

    def close(self) -> None:
        """See ports.RecordHandler."""
        self._handler.close()


class NoSink:
    """Implements ports.DeadLetterSink for those who write none."""

    def prepare(self, topics: Collection[str]) -> None:
        """See ports.DeadLetterSink."""

    def bury(self, deaths: Sequence[Death]) -> None:
        """See ports.DeadLetterSink."""

    def postpone(self, records: Sequence[Due]) -> None:
        """See ports.DeadLetterSink."""

    def close(self) -> None:
        """See ports.DeadLetterSink."""


class NoJournal:
    """Implements ports.AttemptJournal for those who may write nothing."""

    def begin(self, slot: int, positions: Sequence[Position], *, alone: bool) -> None:
        """See ports.AttemptJournal."""

    def clear(self, slot: int) -> None:
        """See ports.AttemptJournal."""

    def take_over(self, partitions: Collection[Partition]) -> Mapping[Position, int]:  # noqa: ARG002 - nothing is known
        """See ports.AttemptJournal."""
        return {}

    def acquit(self, positions: Collection[Position]) -> None:
        """See ports.AttemptJournal."""

    def close(self) -> None:
        """See ports.AttemptJournal."""
