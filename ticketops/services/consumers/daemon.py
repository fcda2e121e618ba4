"""One worker process: a reader, hands, and what is done beside them, under one start and stop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ticketops.domain.breaker import BreakerPolicy
from ticketops.domain.consuming import Patience
from ticketops.domain.retry import RetryPolicy
from ticketops.domain.retry_topics import attempts_before, due_in
from ticketops.domain.workers import paused_topics
from ticketops.errors import BackendError, TicketOpsError
from ticketops.options import WorkerOptions
from ticketops.ports.consumers import AttemptJournal, DeadLetterSink, Pauses, RecordHandler, RecordSource
from ticketops.ports.tracing import Tracer
from ticketops.services.consumers.dispatch import Bounds, Dispatch
from ticketops.services.consumers.hand import Hand, HandSetup
from ticketops.services.consumers.metrics import WorkerMetrics
from ticketops.services.consumers.observer import Observer
from ticketops.services.consumers.reader import Reader, ReaderSetup
from ticketops.services.exposition import Health
from ticketops.services.loop import Loop

_PAUSES_EVERY = 1.0
_WATCH_EVERY = 1.0
_NO_POLL = 30.0
"""Seconds without a poll after which the reader counts as stuck."""
_DRAIN_EVERY = 0.3


@dataclass(frozen=True, slots=True)
class Job:
    """Which records a worker reads, and what its own part of the configuration says."""

    name: str
    group: str
    topics: tuple[str, ...]
    retry_topics: dict[str, float]
    """Topic → seconds."""
    backends: tuple[str, ...] = ("PostgreSQL", "Kafka")

    @property
    def all_topics(self) -> frozenset[str]:
        """Those of its retries too."""
        return frozenset([*self.topics, *self.retry_topics])


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """The ports of one worker; factories of what each thread has for itself are called once for each."""

    source: Callable[[], RecordSource]
    handler: Callable[[], RecordHandler]
    sink: Callable[[str], DeadLetterSink]
    journal: Callable[[], AttemptJournal]
    pauses: Callable[[], Pauses]
    prepare: Callable[[], None] = lambda: None
    """Called before the group is joined; what it raises makes the start impossible."""
    tracer: Tracer | None = None
    """Closed with the worker; None: no spans are made."""


def patience(options: WorkerOptions) -> Patience:
    """The retries that the configuration asks for."""
    retry = RetryPolicy(options.max_attempts, options.retry_base, options.retry_cap)
    return Patience(retry, options.circuit_patience)


def breaker_policy(options: WorkerOptions) -> BreakerPolicy:
    """The circuits that the configuration asks for."""
    return BreakerPolicy(options.circuit_failures, options.circuit_rest, options.circuit_trials)


class ConsumerDaemon:
    """Starts and stops the parts of one worker."""

    def __init__(
        self, parts: ConsumerParts, job: Job, options: WorkerOptions, metrics: WorkerMetrics, *, drain: bool = False
    ) -> None:
        """`drain`: end when everything that is there was read and finished."""
        self.failure: BaseException | None = None
        """What ended a part for good; the daemon must stop then."""
        self._parts = parts
        self._job = job
        self._options = options
        self._metrics = metrics
        self._drain = drain
        self._drained = False
        self._changed = threading.Event()
        self._troubles: dict[str, str] = {}
        """Part → the backend that it waits for."""
        self._polled_at = time.monotonic()
        self._drain_at = 0.0
        self._dispatch = Dispatch(Bounds(waiting=options.max_waiting, bytes=options.buffer_bytes))
        self._hands: list[Hand] = []
        self._hand_loops: list[Loop] = []
        self._reader: Reader | None = None
        self._source: RecordSource | None = None
        self._reader_loop: Loop | None = None
        self._others: list[Loop] = []
        self._close: list[Callable[[], None]] = []
        self._log = structlog.get_logger("ticketops").bind(part=job.name)

    def start(self) -> None:
        """Check, join the group and start every part; raises what makes it impossible, with nothing left running."""
        handler = self._parts.handler()
        try:
            handler.check()
            self._prepare_topics()
            self._parts.prepare()
        except TicketOpsError as error:
            handler.close()
            self._note_trouble("start", error)
            raise
        self._note_trouble("start", None)
        self._metrics_up()
        self._start(handler)

    def _prepare_topics(self) -> None:
        sink = self._parts.sink("check")
        try:
            sink.prepare(self._job.all_topics)
        finally:
            sink.close()

    def _start(self, handler: RecordHandler) -> None:
        journal, options = self._parts.journal(), self._options
        self._source = self._parts.source()
        setup = ReaderSetup(
            topics=self._job.all_topics,
            percentage=options.percentage,
            commit_every=options.commit_interval,
            revoke_patience=options.revoke_timeout,
            due_in=lambda record: due_in(record, datetime.now(UTC).timestamp()),
        )
        reader = Reader(self._source, journal, self._dispatch, handler, self._metrics, setup)
        try:
            reader.open()
        except TicketOpsError as error:
            reader.close()
            handler.close()
            self._note_trouble("start", error)
            raise
        self._reader, self._close = reader, [journal.close]
        self._hands = [self._hand(number, journal) for number in range(options.threads)]
        self._hand_loops = [self._loop(f"hand-{hand.number}", hand.step, hand.close) for hand in self._hands]
        self._reader_loop = self._loop("reader", self._read, reader.close)
        self._others = [self._pause_loop(reader), self._loop("after", handler.after, handler.close)]
        self._others.append(self._loop("watch", self._watch))
        for loop in (*self._hand_loops, self._reader_loop, *self._others):
            loop.start()
        self._log.info("worker started", group=self._job.group, topics=sorted(self._job.all_topics))

    def _hand(self, number: int, journal: AttemptJournal) -> Hand:
        setup = HandSetup(
            group=self._job.group,
            batch=self._options.batch_size,
            patience=patience(self._options),
            deaths=self._options.max_deaths,
            retry_topics=self._job.retry_topics,
            attempts_before=attempts_before,
        )
        observer = Observer(self._job.name, self._metrics)
        sink = self._parts.sink(f"hand-{number}")
        return Hand(number, self._parts.handler(), sink, journal, self._dispatch, observer, setup)

    def _pause_loop(self, reader: Reader) -> Loop:
        pauses, topics = self._parts.pauses(), self._job.all_topics

        def look() -> float:
            reader.paused_topics = paused_topics(pauses.in_force(), topics)
            return _PAUSES_EVERY

        return self._loop("pauses", look, pauses.close)

    def _read(self) -> float:
        self._polled_at = time.monotonic()
        reader = self._reader
        if reader is None:
            return 0.0
        wait = reader.step()
        self._note_kafka()
        if self._drain and self._polled_at >= self._drain_at:
            self._drain_at = self._polled_at + _DRAIN_EVERY
            if reader.drained:
                self._drained = True
                self._changed.set()
        return wait

    def _note_kafka(self) -> None:
        trouble = self._source.trouble if self._source else ""
        if bool(trouble) == ("consumer" in self._troubles):
            return
        if trouble:
            self._troubles["consumer"] = "Kafka"
            self._log.warning("waiting", backend="Kafka", why=trouble)
        else:
            self._troubles.pop("consumer", None)
            self._log.info("goes on", backend="Kafka")
        self._metrics_up()

    def _watch(self) -> float:
        """End the process where a record keeps a thread busy for good: nothing else can free the record's lane."""
        limit = 2 * self._options.message_timeout
        now = time.monotonic()
        hung = [hand for hand in self._hands if hand.busy_since is not None and now - hand.busy_since > limit]
        if hung and not self._troubles:
            raise BackendError(
                "handling records takes for ever",
                why=f"{len(hung)} of {len(self._hands)} threads are busy for more than {limit:.0f} s",
                hint="the next start handles these records alone, and dead-letters what hangs again",
            )
        return _WATCH_EVERY

    def _loop(self, name: str, step: Callable[[], float], at_end: Callable[[], None] = lambda: None) -> Loop:
        return Loop(
            name,
            step,
            on_error=lambda error: self._note_trouble(name, error),
            on_fatal=self._fail,
            at_end=at_end,
        )

    def _note_trouble(self, part: str, error: TicketOpsError | None) -> None:
        backend = getattr(error, "backend", "") if error is not None else ""
        if backend:
            self._troubles[part] = backend
        else:
            self._troubles.pop(part, None)
        self._metrics_up()

    def _metrics_up(self) -> None:
        waiting = set(self._troubles.values())
        for backend in self._job.backends:
            self._metrics.backend(backend, up=backend not in waiting)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self._changed.set()

    def wait(self, timeout: float) -> bool:
        """Wait for something to happen; True when the worker has ended by itself or must end."""
        self._changed.wait(timeout)
        self._changed.clear()
        return self.failure is not None or self._drained

    def stop(self, timeout: float) -> bool:
        """Finish what is in hand within `timeout` seconds, commit, leave the group; True when all ended."""
        clean = self._stop(timeout)
        if self._parts.tracer is not None:
            self._parts.tracer.close()
        return clean

    def _stop(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        loops = [self._reader_loop] if self._reader_loop else []
        for phase in (loops, self._hand_loops, self._others):
            for loop in phase:
                loop.stop()
            self._dispatch.wake()
            ended = [loop.join(max(0.1, deadline - time.monotonic())) for loop in phase]
            if not all(ended):
                self._log.warning("stopped in the middle; what was in hand is handled again", clean=False)
                return False
        for close in self._close:
            close()
        self._log.info("worker stopped", clean=True)
        return True

    def live(self) -> Health:
        """Every part runs, and none is stuck."""
        if self.failure is not None:
            return Health(ok=False, reason=f"failed: {type(self.failure).__name__}")
        silent = time.monotonic() - self._polled_at
        if self._reader_loop is not None and silent > _NO_POLL + self._options.revoke_timeout:
            return Health(ok=False, reason=f"the reader has not polled for {silent:.0f} s")
        return Health(ok=True, reason="ok")

    def ready(self) -> Health:
        """Backends answer and the group has given its answer."""
        if self._troubles:
            return Health(ok=False, reason=f"waiting for {', '.join(sorted(set(self._troubles.values())))}")
        if self._reader is None or not self._reader.joined:
            return Health(ok=False, reason="has not joined its group yet")
        return Health(ok=True, reason="ok")
