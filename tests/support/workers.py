"""Workers as processes over real engines, and the bookings and records that they meet."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from support.cli import Cli
from support.engines import MakeTopic
from support.relay import RelayProcess, Site
from support.waiting import eventually
from ticketops.domain.record_headers import Death, read_death
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions


@dataclass(slots=True)
class WorkerProcess(RelayProcess):
    """`ticketops worker …` as a process of its own."""

    verb: Sequence[str] = ("worker", "payments")
    started: str = "worker started"


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """A record of a dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int
    death: Death

    @property
    def reason(self) -> str:
        return self.death.reason


@dataclass(slots=True)
class Works:
    """One booking database and the topics of a worker."""

    site: Site
    topic: str
    group: str
    producer: Producer
    keep: list[str] = field(default_factory=list)

    def booking(self, state: str = "PAYMENT_PENDING", payment_status: str = "PENDING", *, seats: int = 2) -> str:
        """Insert a booking; its id."""
        return self.bookings(1, state, payment_status, seats=seats)[0]

    def bookings(
        self, count: int, state: str = "PAYMENT_PENDING", payment_status: str = "PENDING", *, seats: int = 2
    ) -> list[str]:
        keys = [str(uuid4()) for _ in range(count)]
        with self.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "with made as (insert into booking.bookings (booking_id, booking_reference, user_id, event_id, status,"
                " payment_status, total_amount, seat_count, expires_at)"
                " select k::uuid, 'BK-' || left(k, 13), 'user-' || left(k, 8), 'show-1', %s, %s, 99.90, %s,"
                " now() + interval '1 hour' from unnest(%s::text[]) k returning id)"
                " insert into booking.booking_seats (booking_id, seat_number)"
                " select id, 'A' || n from made, generate_series(1, %s) n",
                (state, payment_status, seats, keys, seats),
            )
        return keys

    def send(
        self,
        key: str | bytes | None,
        value: bytes | None,
        *,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int = -1,
        flush: bool = True,
    ) -> None:
        self.producer.produce(
            self.topic, value, key.encode() if isinstance(key, str) else key, partition, headers=list(headers)
        )
        if flush:
            assert self.producer.flush(20.0) == 0

    def pay(self, kind: str, booking: str, payment: str = "pay-1", *, flush: bool = True, **more: object) -> None:
        """A payment event, with an event id as the relay sends it."""
        body = {"type": f"PAYMENT_{kind}", "paymentId": payment, "bookingId": booking, **more}
        headers = [("ticketops-event-id", str(uuid4()).encode())]
        self.send(booking, json.dumps(body).encode(), headers=headers, flush=flush)

    def state(self, booking: str) -> tuple[str, str, str | None]:
        """State, payment status and payment reference."""
        (row,) = self.site.rows(
            "select status, payment_status, payment_reference from booking.bookings where booking_id = %s", booking
        )
        return row  # type: ignore[return-value]

    def history(self, booking: str) -> list[tuple[str, str]]:
        return self.site.rows(  # type: ignore[return-value]
            "select event, to_state from booking.booking_state_transitions where booking_id = %s order by id", booking
        )

    def events(self, booking: str) -> list[str]:
        """Types of the outbox events of a booking."""
        rows = self.site.rows(
            "select event_type from booking.outbox_events where aggregate_id = %s order by seq", booking
        )
        return [kind for (kind,) in rows]

    def wait_for(self, booking: str, state: str, timeout: float = 30.0) -> None:
        eventually(lambda: self.state(booking)[0] == state, timeout)

    def dead(self, count: int, timeout: float = 40.0) -> list[DeadRecord]:
        """Wait for so many dead letters of this topic."""
        return read_topic(self.site.brokers, f"{self.topic}.dlq", count, timeout)

    def committed(self) -> int:
        """The sum of the group's offsets."""
        consumer = Consumer({"bootstrap.servers": self.site.brokers, "group.id": self.group})
        try:
            topic = consumer.list_topics(self.topic, timeout=10.0).topics[self.topic]
            places = [TopicPartition(self.topic, number) for number in topic.partitions]
            return sum(max(0, place.offset) for place in consumer.committed(places, timeout=10.0))
        finally:
            consumer.close()


def read_topic(brokers: str, topic: str, count: int, timeout: float = 40.0) -> list[DeadRecord]:
    """The records of a topic, once there are `count` of them."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"look-{uuid4()}", "fetch.wait.max.ms": 50})
    found: list[DeadRecord] = []
    try:
        eventually(lambda: topic in consumer.list_topics(timeout=10.0).topics, timeout)
        numbers = consumer.list_topics(topic, timeout=10.0).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])

        def look() -> bool:
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    headers = [(name, value) for name, value in message.headers() or []]
                    found.append(
                        DeadRecord(
                            message.key(),  # type: ignore[arg-type]
                            message.value(),  # type: ignore[arg-type]
                            headers,  # type: ignore[arg-type]
                            message.timestamp()[1],
                            read_death(tuple(headers)),  # type: ignore[arg-type]
                        )
                    )
            return len(found) >= count

        eventually(look, timeout)
    finally:
        consumer.close()
    return found


def laid_over(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `second` over `first`, table by table."""
    both = {name: (first.get(name), second.get(name)) for name in [*first, *second]}
    return {
        name: laid_over(old, new)
        if isinstance(old, Mapping) and isinstance(new, Mapping)
        else (old if name not in second else new)
        for name, (old, new) in both.items()
    }


MakeWorker = Callable[..., WorkerProcess]


@pytest.fixture
def works(
    cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions, make_topic: MakeTopic
) -> Works:
    """The payments of one booking database."""
    return make_works(cli, database.url, kafka.bootstrap_servers, redis.url, make_topic)


def make_works(cli: Cli, url: str, brokers: str, redis: str, make_topic: MakeTopic, *, partitions: int = 6) -> Works:
    topic = make_topic("payment-events", partitions=partitions)
    group = f"{topic}-group"
    settings: dict[str, Mapping[str, Any]] = {
        "postgres": {"url": url},
        "kafka": {"bootstrap_servers": brokers},
        "redis": {"url": redis},
        "worker": {
            "retry_base": 0.1,
            "retry_cap": 0.5,
            "commit_interval": 0.2,
            "payments": {"topic": topic, "group": group},
        },
        "http": {"port": 0},
        "log": {"format": "json"},
    }
    return Works(Site(cli, settings), topic, group, Producer({"bootstrap.servers": brokers, "linger.ms": 1}))


@pytest.fixture
def make_worker(works: Works) -> Iterator[MakeWorker]:
    """Make workers, not started yet: `make_worker("a", "--drain", worker={"threads": 1})`."""
    with ExitStack() as stack:

        def make(name: str = "worker", *words: str, at: Works | None = None, **sections: Any) -> WorkerProcess:
            options = {key: sections.pop(key) for key in ("env", "launcher", "verb") if key in sections}
            site = (at or works).site
            worker = WorkerProcess(
                Site(site.cli, laid_over(site.settings, sections)),
                name,
                words,
                **options,
            )
            stack.callback(worker.close)
            return worker

        yield make
