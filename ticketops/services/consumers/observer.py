"""What a worker tells of itself while it works: log lines, each once in a while, and metrics."""

import time
from collections.abc import Callable, Sequence

import structlog

from ticketops.domain.consuming import Again, Death, Due, Failure, Handled
from ticketops.domain.key_queues import Job
from ticketops.services.consumers.metrics import WorkerMetrics

_SAY_AGAIN = 10.0
_REMEMBERED = 1000


class Observer:
    """Turns what happens into log lines and figures; several threads may use one."""

    def __init__(self, worker: str, metrics: WorkerMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.metrics = metrics
        self._clock = clock
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}
        """What was said → when, and how often it happened since."""
        self._log = structlog.get_logger("ticketops").bind(part=worker)

    def handled(self, jobs: Sequence[Job], outcomes: Sequence[Handled]) -> None:
        """Records had their effect, or needed none."""
        self.metrics.handled(jobs, outcomes)
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._log.debug("handled", record=str(job.record.position), what=outcome.what, detail=outcome.detail)

    def failed(self, job: Job, failure: Failure, then: Again) -> None:
        """An attempt failed, and another follows."""
        self.metrics.failed(failure.kind.value)
        like_it = self._times(("failed", failure.kind.value, failure.error_class))
        if like_it:
            self._log.warning(
                "a record could not be handled",
                record=str(job.record.position),
                key=_text(job.record.key),
                attempt=job.attempts,
                next_attempt_in=round(then.delay, 2),
                kind=failure.kind.value,
                why=failure.message,
                records_like_it=like_it,
            )

    def buried(self, deaths: Sequence[Death]) -> None:
        """Dead letters were written."""
        self.metrics.buried(deaths)
        for death in deaths:
            like_it = self._times(("buried", death.reason.value, death.failure.error_class))
            if like_it:
                self._log.error(
                    "dead letter",
                    record=str(death.record.position),
                    key=_text(death.record.key),
                    reason=death.reason.value,
                    attempts=death.attempts,
                    why=death.failure.message,
                    records_like_it=like_it,
                )

    def postponed(self, due: Due) -> None:
        """A record went to a retry topic."""
        if like_it := self._times(("postponed", due.topic)):
            self._log.warning(
                "a record goes to a retry topic",
                record=str(due.death.record.position),
                topic=due.topic,
                until=due.at.isoformat(),
                why=due.death.failure.message,
                records_like_it=like_it,
            )

    def one_by_one(self, records: int, failure: Failure) -> None:
        """A batch failed as a whole, and each of its records is handled by itself."""
        if self._times(("one by one", failure.error_class)):
            self._log.info("a batch failed; its records are handled one by one", records=records, why=failure.message)

    def _times(self, what: tuple[str, ...]) -> int:
        """How often it happened since it was last said, now included; 0 where it was said just now."""
        now = self._clock()
        at, since = self._told.get(what, (float("-inf"), 0))
        if now - at < _SAY_AGAIN:
            self._told[what] = (at, since + 1)
            return 0
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[what] = (now, 0)
        return since + 1


def _text(key: bytes | None) -> str | None:
    return None if key is None else key[:200].decode(errors="replace")
