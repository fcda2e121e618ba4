"""One booking's life on real engines: rows, events, records, items and dead letters of it, for `trace` and `doctor`."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from redis import Redis

from support.booking_worker import BookingWorker
from support.cli import Cli, Result
from support.engines import MakeTopic
from support.machines import PostgresMachineBox, booking
from ticketops.config.example import toml_value
from ticketops.domain.subjects import Subject
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions
from ticketops.services.guard import Access
from ticketops.services.transitions.flow import BookingFlow


@dataclass
class Engines:
    """Where everything is; a test puts a proxy's address in place of one."""

    postgres: str
    kafka: str
    redis: str


@dataclass
class World:
    """The backends of one test, with a configuration over them."""

    cli: Cli
    database: PostgresOptions
    kafka: KafkaOptions
    redis: RedisOptions
    prefix: str
    topics: Mapping[str, str]
    """booking, payment, dead."""
    more: str = ""
    """Further sections of the configuration."""
    groups: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client: Any = Redis.from_url(self.redis.url)
        self.worker = BookingWorker(self.client, self.prefix)
        self.group = f"{self.prefix}email-worker"
        self.configure()

    def configure(self, **changed: str) -> None:
        """Write the configuration; `postgres`, `kafka` and `redis` may be other addresses."""
        engines = Engines(
            **{
                "postgres": self.database.url,
                "kafka": self.kafka.bootstrap_servers,
                "redis": self.redis.url,
                **changed,
            }
        )
        (self.cli.folder / "ticketops.toml").write_text(_config(self, engines))

    def __call__(self, *words: object) -> Result:
        """With all the time that a busy machine needs."""
        return self.cli("--timeout", "40", *words)

    def json(self, *words: object) -> Any:
        done = self(*words, "-o", "json")
        assert done.out, done.err
        return done.json

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def to_payment(self, **changes: Any) -> Subject:
        """A booking that waits for its payment, its events in the outbox."""
        with closing(PostgresMachineBox(self.database)) as box:
            flow = BookingFlow(box.store(), Access("default", read_only=False))
            made = flow.create(booking(**changes))
            flow.reserve(made.key)
            return flow.request_payment(made.key).after

    def relay(self) -> None:
        """Publish what is in the outbox."""
        done = self.cli("relay", "run", "--drain", "--set", "http.enabled=false")
        assert done.code == 0, done.err

    def produce(
        self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes] | None = None, **more: Any
    ) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "partitioner": "murmur2_random"})
        producer.produce(topic, value, key, headers=dict(headers or {}), **more)
        assert producer.flush(30) == 0

    def commit(self, topic: str, offsets: Mapping[int, int], group: str = "") -> None:
        """As a consumer that has read so far."""
        name = group or self.group
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": name})
        places = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()
        self.groups.append(name)

    def email(self, made: Subject, *, status: str = "pending", entry: bool = True, age: str = "20 minutes") -> str:
        """A job, with or without its entry in the list."""
        public_id = str(uuid4())
        variables = {"booking_id": made.key, "booking_reference": made.reference}
        self.execute(
            "insert into booking.email_jobs (public_id, to_emails, template_name, variables, status, created_at)"
            f" values (%s, array['a@b.example'], 'booking_confirmation', %s, %s, now() - interval '{age}')",
            public_id,
            json.dumps(variables),
            status,
        )
        if entry:
            self.client.lpush(f"{self.prefix}email-jobs", json.dumps({"id": public_id, "variables": variables}))
        return public_id

    def clean(self) -> None:
        self.worker.clean()
        self.client.close()


def make_world(
    cli: Cli,
    database: PostgresOptions,
    kafka: KafkaOptions,
    redis: RedisOptions,
    prefix: str,
    make_topic: MakeTopic,
    **more: Any,
) -> World:
    topics = {name: make_topic(name) for name in ("booking", "payment", "dead")}
    return World(cli, database, kafka, redis, prefix, topics, **more)


def _config(world: World, engines: Engines) -> str:
    topics = world.topics
    keys = {
        "lists": "booking-queue:",
        "active": "booking:active-queues",
        "item_map": "booking:item-event-map",
        "positions": "booking-queue-positions:",
        "timeouts": "booking-timeouts:",
    }
    return f"""
[postgres]
url = {toml_value(engines.postgres)}
[kafka]
bootstrap_servers = {toml_value(engines.kafka)}
[redis]
url = {toml_value(engines.redis)}
[redis.queue]
{chr(10).join(f"{name} = {toml_value(world.prefix + key)}" for name, key in keys.items())}
dead_items = {toml_value(world.prefix + "booking:dlq:items")}
dead_bodies = {toml_value(world.prefix + "booking:dlq:")}
dead_stats = {toml_value(world.prefix + "booking:dlq:stats")}
own = {toml_value(world.prefix + "ticketops:dlq:")}
[outbox.topics]
BOOKING = {toml_value(topics["booking"])}
PAYMENT = {toml_value(topics["payment"])}
[worker.emails]
topic = {toml_value(topics["booking"])}
group = {toml_value(world.group)}
list = {toml_value(world.prefix + "email-jobs")}
[worker.payments]
topic = {toml_value(topics["payment"])}
group = {toml_value(world.prefix + "booking-service")}
[lag]
groups = [{toml_value(world.prefix + ".*")}]
history_file = "history.sqlite3"
[dlq.queues.bookings]
kind = "redis"
[dlq.queues.outbox]
kind = "outbox"
[dlq.queues.compensations]
kind = "compensations"
[dlq.queues.emails]
kind = "kafka"
topic = {toml_value(topics["dead"])}
{world.more}
"""
