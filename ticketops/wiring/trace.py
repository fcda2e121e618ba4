"""The story of one booking, put together from what is configured."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ticketops.wiring import bounded
from ticketops.wiring.deadletters import open_glance, open_queue
from ticketops.wiring.lag import open_lag_source
from ticketops.wiring.sessions import Sessions
from ticketops.wiring.store import open_operation_glance, open_operation_store
from ticketops.wiring.transitions import machine_named, open_state_view, open_transitions

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.domain.trace.facts import Expectations
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance
    from ticketops.ports.lag import LagSource
    from ticketops.ports.operations import OperationStore
    from ticketops.ports.states import StateView
    from ticketops.ports.trace import BookingStory, EmailStory, EventStory, OperationGlance, QueueStory, RecordSearch
    from ticketops.ports.transitions import TransitionStore
    from ticketops.services.trace.places import Ground, Places
    from ticketops.services.trace.tracer import Tracer


def open_tracer(config: "Config") -> "Tracer":
    """Asks everything that may know a booking."""
    from ticketops.services.trace.tracer import Tracer  # noqa: PLC0415 - `--help` must not pay for it

    return Tracer(_places(config), _ground(config), now=lambda: datetime.now(UTC), monotonic=time.monotonic)


def _places(config: "Config") -> "Places":
    from ticketops.domain.deadletters import QueueKind  # noqa: PLC0415
    from ticketops.services.trace.places import Places  # noqa: PLC0415

    queues = config.dlq.queues
    prefixes = {"", *(options.prefix for options in queues.values() if options.kind is QueueKind.REDIS)}
    return Places(
        bookings=partial(_bookings, config),
        story=partial(_story, config),
        states=partial(_states, config),
        outbox=partial(_outbox, config),
        emails=partial(_emails, config),
        letters={name: partial(_letters, config, name) for name in queues},
        glances={name: partial(_glance, config, name) for name in queues},
        items={prefix: partial(_items, config, prefix) for prefix in sorted(prefixes)},
        lag=partial(_lag, config),
        records=partial(_records, config),
        store=partial(_store, config),
        done=partial(_done, config),
    )


def _ground(config: "Config") -> "Ground":
    from ticketops.domain.findings import MURMUR2  # noqa: PLC0415
    from ticketops.domain.records import ANY_TYPE  # noqa: PLC0415
    from ticketops.services.trace.places import Ground  # noqa: PLC0415

    topics = config.outbox.topics
    partitioner = config.kafka.properties.get("partitioner", "murmur2")
    return Ground(
        expected=_expectations(config),
        topics=topics,
        kinds={name: options.kind for name, options in config.dlq.queues.items()},
        payments_topic=config.worker.payments.topic,
        counts=_counting(config.lag.groups, config.lag.ignore_groups),
        murmur2=str(partitioner) in MURMUR2,
        types=() if ANY_TYPE in topics else tuple(topics),
    )


def _expectations(config: "Config") -> "Expectations":
    from ticketops.domain.trace.facts import Expectations  # noqa: PLC0415

    booking, emails, payments = machine_named(config), config.worker.emails, config.worker.payments
    templates = {
        "CONFIRMED": emails.confirmed.template,
        "CANCELLED": emails.cancelled.template,
        "FAILED": emails.failed.template,
    }
    return Expectations(
        machine=booking.machine,
        limits=booking.limits,
        history_days=config.state.history_days,
        outbox_days=config.outbox.retention_days,
        groups={emails.topic: emails.group, payments.topic: payments.group},
        emails_from=emails.topic,
        email_statuses=frozenset(status for status, name in templates.items() if name),
        outbox_wait=config.status.outbox_oldest,
    )


def _counting(groups: Sequence[str], ignored: Sequence[str]) -> Callable[[str], bool]:
    def counts(group: str) -> bool:
        return any(re.fullmatch(one, group) for one in groups) and not any(re.fullmatch(one, group) for one in ignored)

    return counts


def _bookings(config: "Config", timeout: float) -> "TransitionStore":
    return open_transitions(replace(config, postgres=bounded(config, timeout)), application="ticketops trace")


def _story(config: "Config", timeout: float) -> "BookingStory":
    from ticketops.backends.postgres.story import PostgresBookingStory  # noqa: PLC0415 - loads the driver

    return PostgresBookingStory(config.postgres, config.state, timeout)


def _states(config: "Config", timeout: float) -> "StateView":
    return open_state_view(config, timeout=timeout)


def _outbox(config: "Config", timeout: float) -> "EventStory":
    from ticketops.backends.postgres.event_story import PostgresEventStory  # noqa: PLC0415 - loads the driver

    return PostgresEventStory(config.postgres, config.outbox, config.relay.shards, timeout)


def _emails(config: "Config", timeout: float) -> "EmailStory":
    from ticketops.backends.postgres.story import PostgresEmailStory  # noqa: PLC0415 - loads the driver

    emails = config.worker.emails
    where = replace(
        config.postgres, url=emails.url or config.postgres.url, schema=emails.schema or config.postgres.schema
    )
    return PostgresEmailStory(where, emails.table, timeout)


def _letters(config: "Config", name: str, timeout: float) -> "DeadLetterQueue":
    return open_queue(replace(config, postgres=bounded(config, timeout)), name, timeout=timeout)


def _glance(config: "Config", name: str, timeout: float) -> "QueueGlance | None":
    return open_glance(config, Sessions(config), name, timeout=timeout)


def _items(config: "Config", prefix: str, timeout: float) -> "QueueStory":
    from ticketops.backends.redis.story import RedisQueueStory  # noqa: PLC0415 - loads the driver

    redis = replace(config.redis, connect_timeout=timeout, answer_timeout=timeout)
    return RedisQueueStory(redis, prefix=prefix, email_list=config.worker.emails.list)


def _lag(config: "Config", timeout: float) -> "LagSource":  # noqa: ARG001 - each of its calls takes one
    return open_lag_source(config)


def _records(config: "Config", timeout: float) -> "RecordSearch":  # noqa: ARG001 - each of its calls takes one
    from ticketops.backends.kafka.record_search import KafkaRecordSearch  # noqa: PLC0415 - loads the driver

    return KafkaRecordSearch(config.kafka)


def _store(config: "Config", timeout: float) -> "OperationStore":
    return open_operation_store(replace(config, postgres=bounded(config, timeout)))


def _done(config: "Config", timeout: float) -> "OperationGlance | None":
    return open_operation_glance(config, timeout=timeout)
