"""Values that contradict each other, each of them fine by itself."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from ticketops.config import machine_checks, queue_checks
from ticketops.config.problems import Problem
from ticketops.config.queue_checks import TOPIC
from ticketops.config.schema import Config
from ticketops.options import OutboxColumns, OutboxOptions

_MAX_IDENTIFIER: Final = 63
"""Bytes in a PostgreSQL identifier (NAMEDATALEN - 1); a longer one is cut silently."""
_NEEDED: Final = ("id", "aggregate_type", "aggregate_id", "payload")


def check(config: Config) -> list[Problem]:
    """Everything that cannot work; empty where nothing was found. Asks no backend."""
    found = (
        _columns,
        _names,
        _topics,
        _topic_lists,
        _relay,
        _bookings,
        _worker,
        _lag,
        _backends,
        queue_checks.check,
        machine_checks.check,
    )
    return [problem for part in found for problem in part(config)]


def _columns(config: Config) -> Iterator[Problem]:
    columns = config.outbox.columns
    for name in _NEEDED:
        if not getattr(columns, name):
            yield Problem(f"outbox.columns.{name} is empty", why="the relay cannot work without it", hint="name it")
    if not columns.seq and not columns.created_at:
        yield Problem(
            "outbox.columns.seq and outbox.columns.created_at are both empty",
            why="nothing tells the order of the events",
            hint="name one of them; ticketops db upgrade can add seq",
        )
    if not columns.status and config.outbox.on_published == "mark":
        yield Problem(
            'outbox.columns.status is empty and outbox.on_published is "mark"',
            why="there is no column to mark",
            hint='set outbox.on_published = "delete"',
        )
    yield from _repeated(columns)


def _repeated(columns: OutboxColumns) -> Iterator[Problem]:
    names = Counter(name for name in _column_names(columns) if name)
    for name, count in names.items():
        if count > 1:
            yield Problem(f"outbox.columns names the column {name} {count} times", why="each means something else")


def _column_names(columns: OutboxColumns) -> list[str]:
    return [getattr(columns, item.name) for item in fields(columns)]


def _names(config: Config) -> Iterator[Problem]:
    named = {
        "postgres.schema": config.postgres.schema,
        "postgres.own_schema": config.postgres.own_schema,
        "outbox.table": config.outbox.table,
    }
    for key, name in named.items():
        if not name:
            yield Problem(f"{key} is empty", hint="name it, or leave the key out")
    columns = {
        f"outbox.columns.{item.name}": getattr(config.outbox.columns, item.name) for item in fields(OutboxColumns)
    }
    for key, name in {**named, **columns}.items():
        if len(name.encode(errors="replace")) > _MAX_IDENTIFIER or "\0" in name:
            yield Problem(f"{key} is no PostgreSQL name", why=f"a name has at most {_MAX_IDENTIFIER} bytes, and no NUL")
        elif "%" in name:
            yield Problem(f"{key} holds a %", why="statements with parameters cannot hold it", hint="rename it")


def _topics(config: Config) -> Iterator[Problem]:
    if not config.outbox.topics:
        yield Problem("outbox.topics is empty", why="no event has a topic", hint='map "*" to a topic')
    for kind, topic in config.outbox.topics.items():
        name = topic.replace("{type}", "x")
        if not TOPIC.fullmatch(name) or name in {".", ".."}:
            yield Problem(
                f"outbox.topics.{kind} is no topic name",
                why="Kafka takes up to 249 letters, digits, dots, underscores and hyphens",
            )
    for kind in config.relay.aggregate_types:
        if kind not in config.outbox.topics and "*" not in config.outbox.topics:
            yield Problem(f"relay.aggregate_types names {kind}, which has no topic", hint="add it to [outbox.topics]")


def _topic_lists(config: Config) -> Iterator[Problem]:
    named = {
        "outbox.on_failure_by_topic": config.outbox.on_failure_by_topic,
        "outbox.no_headers": config.outbox.no_headers,
    }
    for key, topics in named.items():
        for topic in topics:
            if not _is_mapped(config.outbox, topic):
                yield Problem(
                    f"{key} names {topic}, which no aggregate type maps to",
                    why=f"[outbox.topics] has {', '.join(config.outbox.topics.values()) or 'none'}",
                )


def _is_mapped(outbox: OutboxOptions, topic: str) -> bool:
    return any(
        re.fullmatch(".*".join(re.escape(part) for part in mapped.split("{type}")), topic)
        for mapped in outbox.topics.values()
    )


def _bookings(config: Config) -> Iterator[Problem]:
    own = config.worker.bookings
    if own.retry_cap < own.retry_base:
        yield Problem(
            f"worker.bookings.retry_cap ({own.retry_cap:g} s) is below retry_base ({own.retry_base:g} s)",
            why="the longest wait would be shorter than the first",
        )


def _relay(config: Config) -> Iterator[Problem]:
    relay = config.relay
    if relay.retry_cap < relay.retry_base:
        yield Problem(
            f"relay.retry_cap ({relay.retry_cap:g} s) is below relay.retry_base ({relay.retry_base:g} s)",
            why="the longest wait would be shorter than the first",
        )
    if relay.shadow and relay.skip_locked:
        yield Problem(
            "relay.shadow and relay.skip_locked contradict each other",
            why="a shadow locks no row, so it cannot tell which ones are locked",
            hint="set relay.skip_locked = false until the shadow ends",
        )


def _worker(config: Config) -> Iterator[Problem]:
    worker = config.worker
    if worker.retry_cap < worker.retry_base:
        yield Problem(
            f"worker.retry_cap ({worker.retry_cap:g} s) is below worker.retry_base ({worker.retry_base:g} s)",
            why="the longest wait would be shorter than the first",
        )
    if "/" in worker.member:
        yield Problem(
            f"worker.member {worker.member!r} holds a slash",
            why="the hands of worker a would be found among those of a/b, and its items taken twice",
        )
    limit, release = config.postgres.answer_timeout, worker.payments.release_timeout
    if worker.payments.release != "event" and release >= limit:
        yield Problem(
            f"worker.payments.release_timeout ({release:g} s) reaches postgres.answer_timeout ({limit:g} s)",
            why="seats are released within the transaction, which would be cut off before the release is given up",
            hint="lower the one, or raise the other",
        )
    for name, part in (("payments", worker.payments), ("emails", worker.emails)):
        for topic in (part.topic, *part.retry_topics):
            if not TOPIC.fullmatch(topic) or topic in {".", ".."}:
                yield Problem(
                    f"worker.{name} names {topic!r}, which is no topic name",
                    why="Kafka takes up to 249 letters, digits, dots, underscores and hyphens",
                )
        if part.topic in part.retry_topics:
            yield Problem(f"worker.{name}.retry_topics names its own topic {part.topic}", hint="name another")


def _lag(config: Config) -> Iterator[Problem]:
    lag = config.lag
    lists = {
        "lag.groups": lag.groups,
        "lag.ignore_groups": lag.ignore_groups,
        "lag.topics": lag.topics,
        "lag.ignore_topics": lag.ignore_topics,
    }
    for key, patterns in lists.items():
        for pattern in patterns:
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                yield Problem(
                    f"{key} holds {pattern!r}, which is no regular expression",
                    why=str(error),
                    hint=f"any name is .*, not *; {re.escape(pattern)!r} is this very text",
                )


def _backends(config: Config) -> Iterator[Problem]:
    url = config.postgres.url
    if not url.startswith(("postgresql://", "postgres://")) and not re.match(r"\s*\w+\s*=", url):
        yield Problem("postgres.url is no connection string", hint="write postgresql://USER@HOST:PORT/DATABASE")
    yield from _redis(config)
    if not config.kafka.bootstrap_servers.strip() and "bootstrap.servers" not in config.kafka.properties:
        yield Problem("kafka.bootstrap_servers is empty", hint="write HOST:PORT, comma-separated")
    yield from _sasl(config)
    yield from _producer(config)


def _redis(config: Config) -> Iterator[Problem]:
    redis = config.redis
    if not redis.url.startswith(("redis://", "rediss://", "unix://")):
        yield Problem("redis.url is no Redis URL", hint="write redis://HOST:PORT/DATABASE")
    if redis.cluster and redis.sentinels:
        yield Problem("redis.cluster and redis.sentinels contradict each other", hint="keep one of them")
    if redis.cluster and redis.url.startswith("unix://"):
        yield Problem("redis.cluster is true and redis.url is a socket's", hint="write redis://HOST:PORT of a node")
    for address in redis.sentinels:
        if not re.fullmatch(r"[^:\s]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", address):
            yield Problem(f"redis.sentinels names {address}, which is no host:port")
    if bool(redis.tls.certificate_file) != bool(redis.tls.key_file):
        yield Problem("redis.tls has a certificate without its key, or a key without its certificate")
    if redis.queue.requeues_days < redis.queue.body_days:
        yield Problem(
            "redis.queue.requeues_days is below redis.queue.body_days",
            why="the requeues of a dead letter would be forgotten while it is there",
        )


_GUARANTEED = {
    "enable.idempotence": ("true",),
    "enable.gapless.guarantee": ("true",),
    "acks": ("all", "-1"),
    "request.required.acks": ("all", "-1"),
    "message.timeout.ms": ("0",),
    "delivery.timeout.ms": ("0",),
}
"""What the relay's order and its "nothing is lost" rest on; any other value of these would break it."""


def _producer(config: Config) -> Iterator[Problem]:
    for key, allowed in _GUARANTEED.items():
        value = config.kafka.properties.get(key)
        if value is not None and str(value).lower() not in allowed:
            yield Problem(
                f'kafka.properties."{key}" = {value} would break the relay\'s guarantees',
                why=f"order and durability need {allowed[0]}, which is set anyway",
                hint="leave the key out",
            )
    if "transactional.id" in config.kafka.properties:
        yield Problem('kafka.properties."transactional.id" is not for the configuration', hint="leave the key out")


def _sasl(config: Config) -> Iterator[Problem]:
    kafka = config.kafka
    if kafka.password and not kafka.username and "sasl.username" not in kafka.properties:
        yield Problem("kafka.password is set without kafka.username", hint="set kafka.username")
