"""One thread that handles records: batches while all is well, one by one where a batch fails."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import random

from ticketops.domain.consuming import (
    Dead,
    Death,
    Due,
    Failure,
    FailureKind,
    Handled,
    Outcome,
    Patience,
    Reason,
    Record,
    classify,
)
from ticketops.domain.key_queues import Job
from ticketops.ports.consumers import AttemptJournal, DeadLetterSink, RecordHandler
from ticketops.services.consumers.dispatch import Dispatch
from ticketops.services.consumers.observer import Observer

_WAIT = 0.2
"""Seconds that a hand waits for work before it looks whether it is to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandSetup:
    """What all hands of one worker share."""

    group: str
    batch: int
    """Most records in one transaction."""
    patience: Patience
    deaths: int
    """A record with which alone in hand the process died this often is a dead letter."""
    retry_topics: Mapping[str, float] = field(default_factory=dict)
    """Topic → seconds, in the order in which a record passes them."""
    attempts_before: Callable[[Record], int] = lambda _: 0
    """Attempts that were made before the record came here, over retry topics."""
    draw: Callable[[], float] = random
    clock: Callable[[], float] = time.monotonic


class Hand:
    """Takes what may be done now, does it, and says what came of it; `step` is one round."""

    def __init__(
        self,
        number: int,
        handler: RecordHandler,
        sink: DeadLetterSink,
        journal: AttemptJournal,
        dispatch: Dispatch,
        observer: Observer,
        setup: HandSetup,
    ) -> None:
        self.number = number
        self.busy_since: float | None = None
        """When it began what it does at once, a batch or one record of it; None while it has nothing."""
        self._handler = handler
        self._sink = sink
        self._journal = journal
        self._dispatch = dispatch
        self._observer = observer
        self._setup = setup
        self._noted = False
        """The journal says that something is in hand."""
        self._left: list[Job] = []
        """What of the batch in hand is not concluded."""

    def step(self) -> float:
        """Handle one batch, or wait a little for one."""
        self._left = self._dispatch.take(self._setup.batch, _WAIT)
        if not self._left:
            self._clear()
            return 0.0
        began = self.busy_since = self._setup.clock()
        jobs = tuple(self._left)
        try:
            self._note(jobs)
            self._work(jobs)
            self._observer.metrics.batch(len(jobs), self._setup.clock() - began)
        finally:
            self._dispatch.give_back(self._left)
            self.busy_since = None
        return 0.0

    def close(self) -> None:
        """Give up connections."""
        self._handler.close()
        self._sink.close()

    def _note(self, jobs: Sequence[Job]) -> None:
        self._journal.begin(self.number, [job.record.position for job in jobs], alone=jobs[0].suspect)
        self._noted = True

    def _clear(self) -> None:
        if self._noted:
            self._journal.clear(self.number)
            self._noted = False

    def _work(self, jobs: Sequence[Job]) -> None:
        killer = jobs[0]
        if killer.suspect and killer.deaths >= self._setup.deaths:
            self._conclude_failed(killer, _killed(killer.deaths), Dead(Reason.RETRIES_EXCEEDED))
            return
        outcomes = self._attempt(jobs)
        if isinstance(outcomes, Failure):
            self._observer.one_by_one(len(jobs), outcomes)
            self._one_by_one(jobs)
            return
        self._conclude(jobs, outcomes)

    def _one_by_one(self, jobs: Sequence[Job]) -> None:
        held = set()
        for job in jobs:
            if job.lane in held:
                continue
            self.busy_since = self._setup.clock()
            self._note([job])
            outcomes = self._attempt([job])
            if isinstance(outcomes, Failure):
                outcomes = [outcomes]
            self._conclude([job], outcomes)
            if job in self._left or job.not_before > self._setup.clock():
                held.add(job.lane)

    def _attempt(self, jobs: Sequence[Job]) -> Sequence[Outcome] | Failure:
        """What came of each; a Failure where an exception ended all of them."""
        try:
            return self._handler.handle([job.record for job in jobs])
        except Exception as error:
            failure = classify(error, "".join(traceback.format_exception(error)))
            if failure is None:
                raise
        if failure.kind is FailureKind.UNAVAILABLE:
            self._handler.check()  # raises where it is the backend's trouble, not a record's
        return [failure] if len(jobs) == 1 else failure

    def _conclude(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        pairs = list(zip(jobs, outcomes, strict=True))
        done = [(job, outcome) for job, outcome in pairs if isinstance(outcome, Handled)]
        if done:
            self._observer.handled([job for job, _ in done], [outcome for _, outcome in done])
        deaths: list[tuple[Job, Death]] = []
        for job, outcome in pairs:
            if isinstance(outcome, Failure):
                deaths += self._fail(job, outcome)
        self._finish([job for job, _ in done])
        self._bury(deaths)

    def _fail(self, job: Job, failure: Failure) -> list[tuple[Job, Death]]:
        now = self._setup.clock()
        began = now if job.began_at is None else job.began_at
        verdict = self._setup.patience.judge(failure, job.attempts + 1, now - began, self._setup.draw())
        if isinstance(verdict, Dead):
            return [(job, self._death(job, failure, verdict))]
        job.attempts += verdict.counts
        self._observer.failed(job, failure, verdict)
        self._left.remove(job)
        self._dispatch.again(job, verdict.delay)
        return []

    def _conclude_failed(self, job: Job, failure: Failure, verdict: Dead) -> None:
        self._bury([(job, self._death(job, failure, verdict))])

    def _death(self, job: Job, failure: Failure, verdict: Dead) -> Death:
        counted = failure.kind is not FailureKind.CIRCUIT_OPEN
        return Death(
            record=job.record,
            reason=verdict.reason,
            failure=failure,
            attempts=self._setup.attempts_before(job.record) + job.attempts + counted,
            group=self._setup.group,
            at=datetime.now(UTC),
        )

    def _bury(self, deaths: Sequence[tuple[Job, Death]]) -> None:
        if not deaths:
            return
        later = [self._postponed(death) for _, death in deaths]
        due = [one for one in later if one is not None]
        dead = [death for (_, death), one in zip(deaths, later, strict=True) if one is None]
        if due:
            self._sink.postpone(due)
            for one in due:
                self._observer.postponed(one)
        if dead:
            self._sink.bury(dead)
            self._observer.buried(dead)
        self._finish([job for job, _ in deaths])

    def _postponed(self, death: Death) -> Due | None:
        """Where a record goes whose attempts here are used up; None where nothing follows."""
        chain = list(self._setup.retry_topics)
        if death.failure.kind not in _LATER or not chain:
            return None
        topic = death.record.topic
        place = chain.index(topic) + 1 if topic in chain else 0
        if place >= len(chain):
            return None
        delay = timedelta(seconds=self._setup.retry_topics[chain[place]])
        return Due(death, chain[place], death.attempts, death.at + delay)

    def _finish(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        suspects = [job.record.position for job in jobs if job.suspect]
        if suspects:
            self._journal.acquit(suspects)
        for job in jobs:
            self._left.remove(job)
        self._dispatch.finish(jobs)


_LATER = frozenset(
    {FailureKind.TIMEOUT, FailureKind.SERVICE, FailureKind.UNAVAILABLE, FailureKind.CIRCUIT_OPEN},
)


def _killed(times: int) -> Failure:
    return Failure(
        FailureKind.DEFECT, "ProcessDied", f"the process died {times} times while it had this record alone in hand"
    )
