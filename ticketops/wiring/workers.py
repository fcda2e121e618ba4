"""Opens the workers that read Kafka."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from ticketops.errors import ConfigError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.domain.start_at import StartAt
    from ticketops.options import PaymentsOptions
    from ticketops.ports.consumers import DeadLetterSink, Pauses, RecordHandler, RecordRange, RecordSource
    from ticketops.ports.services import Recipients, SeatRelease
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
    from ticketops.services.consumers.daemon import Job  # noqa: PLC0415
    from ticketops.services.consumers.rollout import rollout_group  # noqa: PLC0415

    part = config.worker.payments if worker == "payments" else config.worker.emails
    backends = ("PostgreSQL", "Kafka") if worker == "payments" else ("PostgreSQL", "Kafka", "Redis")
    group = rollout_group(part.group, config.worker.percentage) + suffix
    return Job(f"worker {worker}", group, (part.topic,), dict(part.retry_topics), backends)


def _start(config: "Config", choice: Choice) -> "StartAt | None":
    """Where a run begins: a roll-out that has no place of its own yet where the others are, who did what is older."""
    from ticketops.domain.start_at import StartAt  # noqa: PLC0415

    if config.worker.percentage == 100 or choice.start not in {None, StartAt()}:  # noqa: PLR2004 - all of a hundred
        return choice.start
    part = config.worker.payments if choice.worker == "payments" else config.worker.emails
    return StartAt(after=part.group)


def open_worker(config: "Config", choice: Choice, metrics: "WorkerMetrics") -> "ConsumerDaemon":
    """A worker of one process, not started yet."""
    from ticketops.services.consumers.daemon import ConsumerDaemon  # noqa: PLC0415

    job = job_of(config, choice.worker)
    return ConsumerDaemon(_parts(config, job, choice, metrics), job, config.worker, metrics, drain=choice.drain)


def open_shadow(config: "Config", choice: Choice, metrics: "WorkerMetrics") -> "ConsumerDaemon":
    """A worker that reads with a group of its own, compares, and writes nothing."""
    from ticketops.services.consumers.daemon import ConsumerDaemon, ConsumerParts  # noqa: PLC0415
    from ticketops.services.consumers.shadow import NoJournal, NoSink, Shadow, ShadowHandler  # noqa: PLC0415

    job = replace(job_of(config, choice.worker, suffix="-shadow"), retry_topics={})
    make = handlers(config, choice.worker)
    shadow = Shadow(config.worker.shadow_delay, metrics)
    parts = ConsumerParts(
        source=lambda: open_source(config, job, start=choice.start),
        handler=lambda: ShadowHandler(make(), shadow),
        sink=lambda _: NoSink(),
        journal=NoJournal,
        pauses=lambda: open_pauses(config, job.group),
    )
    return ConsumerDaemon(parts, job, config.worker, metrics, drain=choice.drain)


def open_dry_run(config: "Config", choice: Choice, *, timeout: float) -> "tuple[RecordRange, RecordHandler]":
    """What a worker would read next, without joining its group, and what decides on it; `timeout` in seconds."""
    from ticketops.backends.kafka.record_range import KafkaRecordRange  # noqa: PLC0415 - loads the driver

    job = job_of(config, choice.worker)
    handler = handlers(config, choice.worker)()
    found = KafkaRecordRange(
        config.kafka, job.all_topics, job.group, client_id=_client(job), start=_start(config, choice), timeout=timeout
    )
    return found, handler


def _parts(config: "Config", job: "Job", choice: Choice, metrics: "WorkerMetrics") -> "ConsumerParts":
    from ticketops.backends.postgres.consumer_journal import PostgresAttemptJournal  # noqa: PLC0415 - loads the driver
    from ticketops.services.consumers.daemon import ConsumerParts  # noqa: PLC0415
    from ticketops.services.tracing import traced_handlers  # noqa: PLC0415
    from ticketops.wiring.tracing import open_tracer  # noqa: PLC0415

    application, tracer = f"ticketops {job.name}", open_tracer(config, job.name)
    return ConsumerParts(
        source=lambda: open_source(config, job, start=_start(config, choice)),
        handler=traced_handlers(handlers(config, choice.worker, metrics), tracer),
        prepare=lambda: _end_rollout(config, job, choice),
        tracer=tracer,
        sink=lambda name: open_sink(config, job, name),
        journal=lambda: PostgresAttemptJournal(
            config.postgres, job.group, uuid4(), application=f"{application} journal"
        ),
        pauses=lambda: open_pauses(config, job.group),
    )


def _end_rollout(config: "Config", job: "Job", choice: Choice) -> None:
    if config.worker.percentage < 100:  # noqa: PLR2004 - all of a hundred
        return
    from ticketops.backends.kafka.rollout import KafkaRollout  # noqa: PLC0415 - loads the driver
    from ticketops.services.consumers.rollout import end_rollout, rollout_group  # noqa: PLC0415

    own = rollout_group(job.group, 0)
    rollout = KafkaRollout(config.kafka, job.all_topics, group=job.group, own=own, client_id=_client(job))
    end_rollout(rollout, choice.worker, told_where=choice.start is not None)


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


def handlers(config: "Config", worker: str, metrics: "WorkerMetrics | None" = None) -> "Callable[[], RecordHandler]":
    """Makes the handlers of a worker, one for each thread; what they share is made here, once.

    Without `metrics` transitions are not counted: nothing is moved.
    """
    return _payments(config, metrics) if worker == "payments" else _emails(config)


def _payments(config: "Config", metrics: "WorkerMetrics | None") -> "Callable[[], RecordHandler]":
    from ticketops.services.consumers.payments import PaymentsHandler, PaymentsSetup  # noqa: PLC0415
    from ticketops.services.transitions.meter import NoMeter  # noqa: PLC0415
    from ticketops.services.transitions.metrics import TransitionMetrics  # noqa: PLC0415
    from ticketops.wiring.transitions import open_transitions  # noqa: PLC0415

    setup = PaymentsSetup(
        consumer=config.worker.payments.group,
        meter=NoMeter() if metrics is None else TransitionMetrics(metrics.registry),
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
    if not options.release_url:
        raise ConfigError("worker.payments.release_url is empty", hint='name it, or set release = "event"')
    guard = _breaker(config, "the seat service")
    if options.release == "grpc":
        return _grpc_seats(options, guard)
    from ticketops.backends.http.seats import HttpSeatRelease  # noqa: PLC0415 - loads the driver

    return HttpSeatRelease(options.release_url, options.release_headers, options.release_timeout, guard)


def _grpc_seats(options: "PaymentsOptions", guard: "SharedBreaker") -> "SeatRelease":
    try:
        from ticketops.backends.grpc.seats import GrpcSeatRelease  # noqa: PLC0415 - loads the driver
    except ModuleNotFoundError as error:
        raise ConfigError(
            'worker.payments.release = "grpc" needs a package', why=str(error), hint="pip install 'ticketops[grpc]'"
        ) from error
    if not options.release_fields:
        raise ConfigError(
            "worker.payments.release_fields is empty",
            why="the request would say nothing of the booking",
            hint="write {booking_id = 1}, with the field numbers of the service's request",
        )
    return GrpcSeatRelease(
        options.release_url, options.release_fields, options.release_headers, options.release_timeout, guard
    )


def _emails(config: "Config") -> "Callable[[], RecordHandler]":
    from ticketops.backends.postgres.email_jobs import PostgresEmailJobs  # noqa: PLC0415 - loads the driver
    from ticketops.backends.redis.emails import RedisEmailQueue  # noqa: PLC0415 - loads the driver
    from ticketops.domain.emails import Template  # noqa: PLC0415
    from ticketops.services.consumers.emails import EmailsHandler, EmailsSetup  # noqa: PLC0415

    options = config.worker.emails
    setup = EmailsSetup(
        consumer=options.group,
        templates={
            "CONFIRMED": Template(options.confirmed.template, options.confirmed.variables),
            "CANCELLED": Template(options.cancelled.template, options.cancelled.variables),
            "FAILED": Template(options.failed.template, options.failed.variables),
        },
        max_bytes=config.worker.max_bytes,
        inbox_days=config.state.inbox_days,
        priority=options.priority,
        max_retries=options.max_retries,
    )
    place = replace(
        config.postgres, url=options.url or config.postgres.url, schema=options.schema or config.postgres.schema
    )
    recipients = _recipients(config)
    return lambda: EmailsHandler(
        PostgresEmailJobs(place, options.table, application="ticketops worker emails"),
        RedisEmailQueue(config.redis, options.list),
        recipients(),
        setup,
    )


def _recipients(config: "Config") -> "Callable[[], Recipients]":
    options = config.worker.emails
    if options.recipients == "sql":
        from ticketops.backends.postgres.recipients import SqlRecipients  # noqa: PLC0415 - loads the driver

        if not options.recipients_query:
            raise ConfigError(
                "worker.emails.recipients_query is empty",
                why="nothing says whom to write to",
                hint='write SELECT email FROM … WHERE user_id = %(user_id)s, or set recipients = "http"',
            )
        return lambda: SqlRecipients(
            config.postgres, options.recipients_query, application="ticketops worker emails recipients"
        )
    from ticketops.backends.http.recipients import HttpRecipients  # noqa: PLC0415 - loads the driver

    if not options.recipients_url:
        raise ConfigError("worker.emails.recipients_url is empty", hint="name it; {user_id} in it is filled in")
    guard = _breaker(config, "the service that knows addresses")
    return lambda: HttpRecipients(
        options.recipients_url,
        options.recipients_field,
        options.recipients_headers,
        options.recipients_timeout,
        guard,
    )


def _breaker(config: "Config", service: str) -> "SharedBreaker":
    from ticketops.services.circuits import SharedBreaker  # noqa: PLC0415
    from ticketops.services.consumers.daemon import breaker_policy  # noqa: PLC0415

    return SharedBreaker(service, breaker_policy(config.worker))


def _client(job: "Job") -> str:
    return f"ticketops-{job.name.replace(' ', '-')}-{socket.gethostname()}-{os.getpid()}"
