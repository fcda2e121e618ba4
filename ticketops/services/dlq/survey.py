"""What all queues hold: the depths first, then the groups; a thread for each queue, so that none waits for another."""

import queue as queues
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.dead_letter_stats import QueueTally
from ticketops.domain.deadletters import DeadLetter, Guarantee, QueueKind
from ticketops.errors import TicketOpsError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.finding import Doubts, Opener, Trouble, meant, troubled

_STEP = 1000
"""Items between two words on how far it is."""


@dataclass(slots=True)
class QueueReport:
    """One queue, as far as it could be read."""

    name: str
    kind: QueueKind | None = None
    """None where the queue could not be opened."""
    guarantee: Guarantee | None = None
    depth: int | None = None
    """Counted by the place itself; None where it did not answer."""
    newest: datetime | None = None
    """As the place says; None where it is empty or did not answer."""
    read: int = 0
    """Items that were looked at so far."""
    doubts: Doubts = field(default_factory=Doubts)
    tally: QueueTally | None = None
    """None until it was read to the end, or where only depths were asked for."""
    error: TicketOpsError | None = None
    """Why it could not be read, or not to the end."""


@dataclass(slots=True)
class Survey:
    """All queues."""

    at: datetime
    queues: list[QueueReport] = field(default_factory=list)
    trouble: Trouble = field(default_factory=Trouble)


class Surveyor:
    """Reads queues at the same time, each in a thread of its own."""

    def __init__(self, opener: Opener, names: Sequence[str], selector: DeadLetterSelector, now: datetime) -> None:
        self._opener = opener
        self._selector = selector
        self._survey = Survey(now, [QueueReport(name) for name in names])
        self._told: queues.SimpleQueue[QueueReport | BaseException | None] = queues.SimpleQueue()
        self._stopped = threading.Event()

    def run(self, *, depths_only: bool = False, told: Callable[[QueueReport], None] = lambda _: None) -> Survey:
        """Read all queues; `told` hears of each depth and of every thousandth item, in the caller's thread.

        A fault of ours in one of the threads is raised here.
        """
        for report in self._survey.queues:
            threading.Thread(target=self._guarded, args=(report, depths_only), daemon=True).start()
        try:
            for report in self._heard():
                told(report)
        finally:
            self._stopped.set()
        for report in self._survey.queues:
            self._survey.trouble.doubts.add(report.doubts)
            if report.error is not None:
                self._survey.trouble.queues[report.name] = report.error
        return self._survey

    def _heard(self) -> Iterator[QueueReport]:
        """What the threads tell, until all have ended."""
        left = len(self._survey.queues)
        while left:
            heard = self._told.get()
            if isinstance(heard, BaseException):
                raise heard
            if heard is None:
                left -= 1
            else:
                yield heard

    def _guarded(self, report: QueueReport, depths_only: bool) -> None:
        try:
            self._read(report, depths_only=depths_only)
        except BaseException as error:  # noqa: BLE001 - the thread's end, raised again in the caller's
            self._told.put(error)
        finally:
            self._told.put(None)

    def _read(self, report: QueueReport, *, depths_only: bool) -> None:
        found: dict[str, TicketOpsError] = {}
        with troubled(report.name, found), closing(self._opener(report.name)) as queue:
            report.kind, report.guarantee = queue.kind, queue.guarantee
            report.depth, report.newest = queue.count(), queue.newest_failure()
            self._told.put(report)
            if not depths_only:
                report.tally = self._tally(report, queue)
        report.error = found.get(report.name)
        self._told.put(report)

    def _tally(self, report: QueueReport, queue: DeadLetterQueue) -> QueueTally:
        tally = QueueTally(self._survey.at)
        for letter in meant(queue, self._selector, rejected=lambda letter: self._passed_over(report, letter)):
            tally.add(letter)
            self._looked(report)
            if self._stopped.is_set():
                break
        return tally

    def _passed_over(self, report: QueueReport, letter: DeadLetter) -> None:
        report.doubts.ask(self._selector, letter)
        self._looked(report)

    def _looked(self, report: QueueReport) -> None:
        report.read += 1
        if report.read % _STEP == 0:
            self._told.put(report)
