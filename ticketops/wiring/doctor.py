"""What `doctor` examines, put together from what is configured."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ticketops.wiring import bounded, open_schema
from ticketops.wiring.deadletters import open_queue
from ticketops.wiring.store import store_file

if TYPE_CHECKING:
    from ticketops.backends.kafka.health import WantedTopic
    from ticketops.backends.postgres.health import WantedTable
    from ticketops.config import Config
    from ticketops.domain.findings import Finding
    from ticketops.options import PostgresOptions
    from ticketops.ports.deadletters import DeadLetterQueue
    from ticketops.ports.doctor import HealthProbe, LostEmails
    from ticketops.ports.emails import EmailQueue
    from ticketops.services.doctor.emails import EmailPlaces
    from ticketops.services.side_by_side import Question


def examined(config: "Config", grace: float) -> "dict[str, Question]":
    """Every part by its name, which begins with its area; faults of queues younger than `grace` seconds are left."""
    from ticketops.services.doctor.emails import email_findings  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.doctor.queues import queue_findings  # noqa: PLC0415

    parts: dict[str, Question] = {
        "config": lambda _: _config(config),
        "postgres schema": partial(_schema, config),
        "postgres": partial(_probed, partial(_postgres, config)),
        "kafka": partial(_probed, partial(_kafka, config)),
        "redis": partial(_probed, partial(_redis, config)),
        "emails": partial(email_findings, email_places(config)),
    }
    for name in config.dlq.queues:
        parts[f"dlq {name}"] = partial(queue_findings, partial(_queue, config, name), name, grace)
    return parts


def email_places(config: "Config") -> "EmailPlaces":
    """Rows of email jobs and the list."""
    from ticketops.services.doctor.emails import EmailPlaces  # noqa: PLC0415

    return EmailPlaces(rows=partial(_rows, config), queue=partial(_email_queue, config))


def _probed(opened: "Callable[[float], HealthProbe]", timeout: float) -> "list[Finding]":
    with closing(opened(timeout)) as probe:
        return list(probe.findings())


def _schema(config: "Config", timeout: float) -> "list[Finding]":
    from ticketops.domain.findings import of_schema  # noqa: PLC0415

    return [of_schema(found) for found in open_schema(config, timeout=timeout).findings()]


def _config(config: "Config") -> "list[Finding]":
    from ticketops.domain.findings import Finding, of_producer  # noqa: PLC0415
    from ticketops.domain.lag.verdicts import Grade  # noqa: PLC0415
    from ticketops.services.dlq.mending import LOCAL_STORE  # noqa: PLC0415

    found = list(of_producer(config.kafka.properties))
    if config.dlq.store == "local":
        place = str(store_file(config))
        found.append(Finding(area="store", subject="local file", grade=Grade.OK, evidence=place, why=LOCAL_STORE))
    return found


def _postgres(config: "Config", timeout: float) -> "HealthProbe":
    from ticketops.backends.postgres.health import PostgresHealth  # noqa: PLC0415 - loads the driver

    return PostgresHealth(config.postgres, tuple(_tables(config)), timeout)


def _tables(config: "Config") -> "Iterator[WantedTable]":
    from ticketops.backends.postgres.health import WantedTable  # noqa: PLC0415 - loads the driver

    state, columns, history = config.state, config.state.columns, config.state.history_columns
    every = ("SELECT", "INSERT", "UPDATE")
    yield WantedTable(
        name=state.table,
        rights=every,
        indexed=(columns.key, columns.reference, columns.payment_reference, columns.state),
    )
    yield WantedTable(name=state.history_table, rights=("SELECT", "INSERT"), indexed=(history.key, history.created_at))
    if state.seats_table:
        yield WantedTable(name=state.seats_table, rights=("SELECT",), indexed=("booking_id",))
    if state.compensations_table:
        indexed = ("compensation_id", "booking_id", "status")
        yield WantedTable(name=state.compensations_table, rights=every, indexed=indexed)
    if not config.worker.emails.url:
        yield WantedTable(name=config.worker.emails.table, rights=every, indexed=("public_id", "status"), needed=False)


def _kafka(config: "Config", timeout: float) -> "HealthProbe":
    from ticketops.backends.kafka.health import KafkaHealth  # noqa: PLC0415 - loads the driver
    from ticketops.domain.findings import MURMUR2  # noqa: PLC0415

    murmur2 = str(config.kafka.properties.get("partitioner", "murmur2")) in MURMUR2
    return KafkaHealth(config.kafka, tuple(_topics(config)), murmur2=murmur2, timeout=timeout)


def _topics(config: "Config") -> "Iterator[WantedTopic]":
    from ticketops.backends.kafka.health import Role, WantedTopic  # noqa: PLC0415 - loads the driver
    from ticketops.domain.deadletters import QueueKind  # noqa: PLC0415
    from ticketops.domain.records import ANY_TYPE  # noqa: PLC0415

    worker = config.worker
    named = {topic: Role.EVENTS for kind, topic in config.outbox.topics.items() if kind != ANY_TYPE or "{" not in topic}
    for reader in (worker.payments, worker.emails):
        for topic in (reader.topic, *reader.retry_topics):
            named.setdefault(topic, Role.READ)
        named.setdefault(f"{reader.topic}{worker.dead_letter_suffix}", Role.DEAD)
    for options in config.dlq.queues.values():
        if options.kind is QueueKind.KAFKA:
            named.setdefault(options.topic, Role.DEAD)
    for topic, role in named.items():
        yield WantedTopic(name=topic, role=role, days=config.dlq.retention_days if role is Role.DEAD else 0.0)


def _redis(config: "Config", timeout: float) -> "HealthProbe":
    from ticketops.backends.redis.health import RedisHealth  # noqa: PLC0415 - loads the driver
    from ticketops.domain.deadletters import QueueKind  # noqa: PLC0415

    redis = replace(config.redis, connect_timeout=timeout, answer_timeout=timeout)
    kinds = config.dlq.queues.values()
    prefixes = [options.prefix for options in kinds if options.kind is QueueKind.REDIS]
    return RedisHealth(redis, prefixes=prefixes, email_list=config.worker.emails.list)


def _queue(config: "Config", name: str, timeout: float) -> "DeadLetterQueue":
    return open_queue(replace(config, postgres=bounded(config, timeout)), name, timeout=timeout)


def _email_place(config: "Config") -> "PostgresOptions":
    emails, postgres = config.worker.emails, config.postgres
    return replace(postgres, url=emails.url or postgres.url, schema=emails.schema or postgres.schema)


def _rows(config: "Config", timeout: float) -> "LostEmails":
    from ticketops.backends.postgres.lost_emails import PostgresLostEmails  # noqa: PLC0415 - loads the driver

    return PostgresLostEmails(_email_place(config), config.worker.emails.table, timeout)


def _email_queue(config: "Config", timeout: float) -> "EmailQueue":
    from ticketops.backends.redis.emails import RedisEmailQueue  # noqa: PLC0415 - loads the driver

    redis = replace(config.redis, connect_timeout=timeout, answer_timeout=timeout)
    return RedisEmailQueue(redis, config.worker.emails.list)
