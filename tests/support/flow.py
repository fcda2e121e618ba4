"""A payment flow on the shared engines, with topics, groups and keys of its own."""

import pytest

from support.cli import Cli
from support.engines import MakeTopic
from support.relay import toml
from ticketops.config import load
from ticketops.demo.ground import Ground
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions


@pytest.fixture
def flow_ground(
    cli: Cli,
    database: PostgresOptions,
    kafka: KafkaOptions,
    redis: RedisOptions,
    redis_prefix: str,
    make_topic: MakeTopic,
) -> Ground:
    """What the demo stands on."""
    bookings, payments, tickets = (make_topic(f"{name}-events") for name in ("booking", "payment", "ticket"))
    for topic in (bookings, payments):
        make_topic(f"{topic.rpartition('-events')[0].rpartition('-')[2]}-events.dlq")
    dead = {
        name: {"kind": "kafka", "topic": f"{topic}.dlq"}
        for name, topic in (("payments", payments), ("emails", bookings))
    }
    settings = {
        "postgres": {"url": database.url},
        "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
        "redis": {"url": redis.url},
        "outbox": {"topics": {"BOOKING": bookings, "PAYMENT": payments, "TICKET": tickets}},
        "worker": {
            "payments": {"topic": payments, "group": f"{payments}-group"},
            "emails": {"topic": bookings, "group": f"{bookings}-group", "list": f"{redis_prefix}email-jobs"},
        },
        "dlq": {"queues": dead},
    }
    file = cli.folder / "flow.toml"
    file.write_text(toml(settings))
    return Ground(cli.folder, file, load(file=file, environ={}).config, {}, lasting=True)
