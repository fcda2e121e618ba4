"""Opens the workers that read Kafka."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from ticketops.errors import ConfigError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.domain.start_at import StartAt
    from ticketops.ports.consumers import DeadLetterSink, Pauses, RecordHandler, RecordSource
    from ticketops.ports.services import SeatRelease
    from ticketops.services.circuits import SharedBreaker
    from ticketops.services.consumers.daemon import ConsumerDaemon, ConsumerParts, Job
    from ticketops.services.consumers.metrics import WorkerMetrics


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line says of one run."""

    worker: str
    start: "StartAt | None" = None
    drain: bool = False


def job_of(config: "Config", worker: str, *, suffix: str = "") -> "Job":
    """What a worker reads, and as which group."""
    from ticketops.services.consumers.daemon import Job, rollout_group  # noqa: PLC0415

    part = config.worker.payments if worker == "payments" else config.worker.emails
    backends = ("PostgreSQL", "Kafka") if worker == "payments" else ("PostgreSQL", "Kafka", "Redis")
    group = rollout_group(part.group, config.worker.percentage) + suffix
    return Job(f"worker {worker}", group, (part.topic,), dict(part.retry_topics), backends)


def open_worker(config: "Config", choice: Choice, metrics: "WorkerMetrics") -> "ConsumerDaemon":
    """A worker of one process, not started yet."""
    from ticketops.services.consumers.daemon import ConsumerDaemon  # noqa: PLC0415

    job = job_of(config, choice.worker)
    return ConsumerDaemon(_parts(config, job, choice), job, config.worker, metrics, drain=choice.drain)


def _parts(config: "Config", job: "Job", choice: Choice) -> "ConsumerParts":
    from ticketops.backends.postgres.consumer_journal import PostgresAttemptJournal  # noqa: PLC0415 - loads the driver
    from ticketops.services.consumers.daemon import ConsumerParts  # noqa: PLC0415

    application = f"ticketops {job.name}"
    return ConsumerParts(
        source=lambda: open_source(config, job, start=choice.start),
        handler=handlers(config),
        sink=lambda name: open_sink(config, job, name),
        journal=lambda: PostgresAttemptJournal(
            config.postgres, job.group, uuid4(), application=f"{application} journal"
        ),
        pauses=lambda: open_pauses(config, job.group),
    )


def open_source(config: "Config", job: "Job", *, start: "StartAt | None" = None) -> "RecordSource":
    """The worker's topics, read as a member of its group."""
    from ticketops.backends.kafka.consumer import KafkaRecordSource  # noqa: PLC0415 - loads the driver

    return KafkaRecordSource(
        config.kafka,
        job.all_topics,
        job.group,
        client_id=_client(job),
        member=config.worker.member,
        start=start,
    )


def open_sink(config: "Config", job: "Job", name: str) -> "DeadLetterSink":
    """Where the worker's dead letters go, for one thread."""
    from ticketops.backends.kafka.dead_letter_sink import KafkaDeadLetterSink, SinkStyle  # noqa: PLC0415 - the driver

    style = SinkStyle(
        suffix=config.worker.dead_letter_suffix,
        headers=config.worker.header_style,
        stack_limit=config.worker.stack_limit,
        retry_topics=tuple(job.retry_topics),
        worker=job.name,
    )
    return KafkaDeadLetterSink(config.kafka, style, client_id=f"{_client(job)}-{name}")


def open_pauses(config: "Config", group: str) -> "Pauses":
    """The durable pauses of a group."""
    from ticketops.backends.postgres.consumer_journal import PostgresPauses  # noqa: PLC0415 - loads the driver

    return PostgresPauses(config.postgres, group, application="ticketops worker pauses")


def handlers(config: "Config") -> "Callable[[], RecordHandler]":
    """Makes the handlers of a worker, one for each thread; what they share is made here, once."""
    return _payments(config)


def _payments(config: "Config") -> "Callable[[], RecordHandler]":
    from ticketops.services.consumers.payments import PaymentsHandler, PaymentsSetup  # noqa: PLC0415
    from ticketops.wiring.transitions import open_transitions  # noqa: PLC0415

    setup = PaymentsSetup(
        consumer=config.worker.payments.group,
        max_bytes=config.worker.max_bytes,
        inbox_days=config.state.inbox_days,
    )
    seats = _seats(config)
    return lambda: PaymentsHandler(open_transitions(config, application="ticketops worker payments"), seats, setup)


def _seats(config: "Config") -> "SeatRelease":
    options = config.worker.payments
    if options.release == "event":
        from ticketops.services.consumers.seats import RecordedSeatRelease  # noqa: PLC0415

        return RecordedSeatRelease()
    from ticketops.backends.http.seats import HttpSeatRelease  # noqa: PLC0415 - loads the driver

    if not options.release_url:
        raise ConfigError("worker.payments.release_url is empty", hint='name it, or set release = "event"')
    guard = _breaker(config, "the seat service")
    return HttpSeatRelease(options.release_url, options.release_headers, options.release_timeout, guard)


def _breaker(config: "Config", service: str) -> "SharedBreaker":
    from ticketops.services.circuits import SharedBreaker  # noqa: PLC0415
    from ticketops.services.consumers.daemon import breaker_policy  # noqa: PLC0415

    return SharedBreaker(service, breaker_policy(config.worker))


def _client(job: "Job") -> str:
    return f"ticketops-{job.name.replace(' ', '-')}-{socket.gethostname()}-{os.getpid()}"
