"""The thread that reads: polls, hands records to the dispatch, commits what is finished, gives way in rebalances."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from ticketops.domain.consuming import Partition, Position, Record, in_rollout
from ticketops.domain.key_queues import Job
from ticketops.errors import TicketOpsError
from ticketops.ports.consumers import AttemptJournal, RecordSource
from ticketops.services.consumers.dispatch import Dispatch
from ticketops.services.consumers.metrics import WorkerMetrics

_POLL = 0.1
"""Seconds that one poll waits for a record."""
_CHUNK = 500
"""Most records in one poll."""
_JOURNAL_EVERY = 1.0
"""Seconds between questions to a journal that does not answer."""


class Alone(Protocol):
    """The part of a handler that is asked about each record that was read."""

    def alone(self, record: Record) -> bool:
        """See ports.RecordHandler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSetup:
    """What a reader is told."""

    topics: frozenset[str]
    percentage: int
    commit_every: float
    """Seconds."""
    revoke_patience: float
    """Seconds that a rebalance waits for what is in hand."""
    due_in: Callable[[Record], float] = lambda _: 0.0
    """Seconds until a record from a retry topic may be handled."""
    clock: Callable[[], float] = time.monotonic


class Reader:
    """Implements ports.Rebalance; `step` is one poll."""

    def __init__(
        self,
        source: RecordSource,
        journal: AttemptJournal,
        dispatch: Dispatch,
        handler: Alone,
        metrics: WorkerMetrics,
        setup: ReaderSetup,
    ) -> None:
        self.paused_topics: frozenset[str] = frozenset()
        """Topics that an operator paused; set from another thread."""
        self.joined = False
        """True once the group gave an answer."""
        self._source = source
        self._journal = journal
        self._dispatch = dispatch
        self._handler = handler
        self._metrics = metrics
        self._setup = setup
        self._paused: frozenset[Partition] = frozenset()
        self._unsure: set[Partition] = set()
        """Just assigned: whether a pause of earlier days still holds is the driver's secret."""
        self._new: set[Partition] = set()
        """Partitions whose suspects are not known yet."""
        self._held: list[Record] = []
        """Records of those partitions."""
        self._suspects: dict[Position, int] = {}
        self._ask_journal_at = 0.0
        self._committed_at = setup.clock()
        self._log = structlog.get_logger("ticketops").bind(part="reader")

    def open(self) -> None:
        """Begin to read."""
        self._source.open(self)

    def step(self) -> float:
        """One poll, and what follows from it; never waits for long, so that the group sees it alive."""
        self._learn_suspects()
        self._hold_back()
        records = self._source.poll(_CHUNK, _POLL)
        if records:
            self._offer(records)
        self._commit_when_due()
        return 0.0

    def close(self) -> None:
        """Finish what is in hand, commit, and leave the group."""
        try:
            self._source.close()
        except TicketOpsError as error:
            self._log.warning(
                "could not leave the group in order; its members wait for the session's end", why=str(error)
            )

    @property
    def drained(self) -> bool:
        """True where everything was read and finished; call it from the thread of `step`."""
        if not self.joined or self._held or self._new or self._dispatch.unfinished:
            return False
        return self._source.behind() == 0

    def assigned(self, partitions: Collection[Partition]) -> None:
        """See ports.Rebalance."""
        self.joined = True
        self._dispatch.assign(partitions)
        self._new |= set(partitions)
        self._unsure |= set(partitions)
        if partitions:
            self._log.info("assigned", partitions=_names(partitions))

    def revoked(self, partitions: Collection[Partition]) -> None:
        """See ports.Rebalance."""
        if not partitions:
            return
        clean = self._dispatch.revoke(partitions, self._setup.revoke_patience)
        mine = {p: at for p, at in self._dispatch.committable().items() if p in partitions}
        self._commit(mine, wait=True)
        self._forget(partitions)
        self._log.info("revoked", partitions=_names(partitions), clean=clean)
        if not clean:
            self._log.warning("gave up records that were not finished in time; their next owner handles them again")

    def lost(self, partitions: Collection[Partition]) -> None:
        """See ports.Rebalance."""
        self._forget(partitions)
        names = _names(partitions)
        self._log.warning("lost to other members; what was not committed is handled again", partitions=names)

    def _forget(self, partitions: Collection[Partition]) -> None:
        self._dispatch.forget(partitions)
        self._new -= set(partitions)
        self._unsure -= set(partitions)
        self._paused -= frozenset(partitions)
        self._held = [record for record in self._held if record.position.partition not in partitions]
        self._suspects = {at: n for at, n in self._suspects.items() if at.partition not in partitions}

    def _learn_suspects(self) -> None:
        """Ask what was in hand where a process died, before anything of its partitions is handled."""
        now = self._setup.clock()
        if not self._new or now < self._ask_journal_at:
            return
        self._ask_journal_at = now + _JOURNAL_EVERY
        try:
            found = self._journal.take_over(self._new)
        except TicketOpsError as error:
            if not error.transient:
                raise
            self._log.warning("waits to learn what was in hand", why=str(error))
            return
        if found:
            self._log.warning("a process died with records in hand; they are handled alone", records=len(found))
        self._suspects.update(found)
        self._new.clear()
        self._ask_journal_at = 0.0
        held, self._held = self._held, []
        self._offer(held)

    def _offer(self, records: list[Record]) -> None:
        if self._new:
            self._held += [record for record in records if record.position.partition in self._new]
            records = [record for record in records if record.position.partition not in self._new]
        if not records:
            return
        taken = self._dispatch.offer(records, self._job)
        if self._setup.percentage < 100 and taken < len(records):  # noqa: PLR2004 - percent
            self._metrics.skipped(len(records) - taken)

    def _job(self, record: Record) -> Job | None:
        if not in_rollout(record, self._setup.percentage):
            return None
        deaths = self._suspects.pop(record.position, None) if self._suspects else None
        wait = self._setup.due_in(record)
        return Job(
            record,
            alone=deaths is not None or self._handler.alone(record),
            suspect=deaths is not None,
            deaths=deaths or 0,
            not_before=self._setup.clock() + wait if wait > 0 else 0.0,
        )

    def _hold_back(self) -> None:
        """Pause what is full, what an operator paused, and what is not known yet; resume the rest."""
        ours = self._dispatch.partitions
        wanted = self._dispatch.full() | self._new | {p for p in ours if p.topic in self.paused_topics}
        if pause := wanted - (self._paused - self._unsure):
            self._source.pause(pause)
        if resume := ((self._paused | self._unsure) & ours) - wanted:
            self._source.resume(resume)
        self._unsure.clear()
        self._paused = frozenset(wanted)
        self._metrics.holding(
            unfinished=self._dispatch.unfinished,
            waiting=self._dispatch.waiting,
            assigned=len(ours),
            paused=len(wanted),
        )

    def _commit_when_due(self) -> None:
        now = self._setup.clock()
        if now - self._committed_at >= self._setup.commit_every:
            self._committed_at = now
            self._commit(self._dispatch.committable(), wait=False)

    def _commit(self, offsets: Mapping[Partition, int], *, wait: bool) -> None:
        if not offsets:
            return
        try:
            self._source.commit(offsets, wait=wait)
        except TicketOpsError as error:
            self._log.warning("offsets could not be committed; their records may come again", why=str(error))
        else:
            self._dispatch.noted(offsets)


def _names(partitions: Collection[Partition]) -> list[str]:
    return [str(partition) for partition in sorted(partitions)]
