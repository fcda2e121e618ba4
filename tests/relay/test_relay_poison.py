"""Payloads that kill the process, rows that somebody holds, rows of the Java processor, and outages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import psycopg
import pytest
from confluent_kafka import Producer

from support.ledger import read_topics
from support.relay import MakeRelay, RelayProcess, Site, add, pending
from support.waiting import eventually

_KILLER = """
import os, sys
from ticketops.backends.kafka import publisher
from ticketops.cli.main import main

genuine = publisher.KafkaPublisher.start

def start(self, records):
    if any(b"killer" in (record.value or b"") for record in records):
        os._exit(99)
    genuine(self, records)

publisher.KafkaPublisher.start = start
sys.exit(main())
"""


_STUBBORN = """
import pathlib, sys
from ticketops.backends.kafka.publisher import KafkaPublisher
from ticketops.cli.main import main
from ticketops.domain.relay import Delivery

genuine, go_on = KafkaPublisher._delivery, pathlib.Path("go-on")

def delivery(self, sent):
    if go_on.exists():
        return genuine(self, sent)
    return Delivery(unsent=frozenset(range(len(sent.records))), reason="Broker: no, for a reason of its own")

KafkaPublisher._delivery = delivery
sys.exit(main())
"""


def _read(site: Site, key: str | None = None) -> list[str]:
    return [r.event_id for r in read_topics(site.brokers, site.topics) if key in (None, r.key)]


def _states(site: Site) -> dict[str, str]:
    return dict(site.rows("select event_id::text, state from ticketops.outbox_failures"))


def test_a_payload_that_kills_the_process_is_found(site: Site, make_relay: MakeRelay, tmp_path: Path) -> None:
    script = tmp_path / "killer.py"
    script.write_text(_KILLER)
    before = [add(site, f"O-{n}", '{"n": 1}', '{"n": 2}') for n in range(10)]
    (first, killer, after) = add(site, "K-1", '{"n": 1}', '{"n": "killer"}', '{"n": 3}')
    singles = [add(site, f"S-{n}", '{"n": 1}') for n in range(10)]
    behind = [add(site, f"P-{n}", '{"n": 1}', '{"n": 2}') for n in range(10)]
    relay = make_relay(relay={"max_attempts": 2, "id": ""}, launcher=[str(script)])
    _restart_until(relay, lambda: pending(site) == 0)
    assert _states(site) == {killer: "dead"}
    assert site.one("select max(retry_count) from booking.outbox_events where id <> %s", killer) == 0
    error = "select last_error from booking.outbox_events where id = %s"
    assert "died" in site.one(error, killer)
    read = list(dict.fromkeys(_read(site)))
    for ids in (*before, *singles, *behind, [first, after]):
        assert [event_id for event_id in read if event_id in ids] == ids


def _restart_until(relay: RelayProcess, done: Any, most: int = 25) -> None:
    """As a supervisor would: start it again whenever it dies."""
    while not done():
        assert relay.starts < most, relay.log
        relay.start(ready=False)
        eventually(lambda: done() or not relay.is_running, 30)
        if not relay.is_running:
            assert relay.process.returncode == 99, relay.log


@contextmanager
def _holding(site: Site, event_id: str) -> Iterator[None]:
    """Somebody's transaction that has locked the row, and stays open."""
    with psycopg.connect(site.url) as connection:
        connection.execute("select 1 from booking.outbox_events where id = %s for update", (event_id,))
        yield
        connection.rollback()


@pytest.mark.parametrize("payload", ['{"n": 1}', "too large"])
def test_a_row_that_somebody_holds_stops_no_other(site: Site, make_relay: MakeRelay, payload: str) -> None:
    (held,) = add(site, "H-1", json.dumps("x" * 2_000_000) if payload == "too large" else payload)
    relay = make_relay(relay={"lanes": 1, "max_attempts": 2, "lease_seconds": 5.0})
    with _holding(site, held):
        relay.start()
        others = [i for n in range(50) for i in add(site, f"O-{n}", '{"n": 1}', '{"n": 2}')]
        eventually(lambda: pending(site) == 1, 8)
        assert set(others) <= set(_read(site))
        (late,) = add(site, "L-1", '{"n": 1}')
        eventually(lambda: late in _read(site), 8)
    eventually(lambda: pending(site) == 0, 20)
    assert not relay.said("PostgreSQL is unreachable")
    assert _read(site).count(held) == (1 if payload != "too large" else 0)


def test_failed_rows_of_the_java_processor_are_adopted(site: Site, make_relay: MakeRelay) -> None:
    (stale, exhausted) = (*add(site, "J-1", '{"n": 1}'), *add(site, "J-2", '{"n": 1}'))
    site.rows("update booking.outbox_events set status = 'FAILED', retry_count = 2 where id = %s", stale)
    site.rows("update booking.outbox_events set status = 'FAILED', retry_count = 5 where id = %s", exhausted)
    make_relay(relay={"adopt_failed_after": 0.5}).start()
    eventually(lambda: _read(site) == [stale], 20)
    assert site.one("select status from booking.outbox_events where id = %s", exhausted) == "FAILED"


class JavaLikeProcessor:
    """What the booking service does today: 100 rows by created_at, locked, sent one by one, marked."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self._site.brokers, "linger.ms": 0})
        with psycopg.connect(self._site.url) as connection:
            while not self._stop.is_set():
                self._round(connection, producer)
                self._stop.wait(0.02)

    def _round(self, connection: "psycopg.Connection[Any]", producer: Producer) -> None:
        with connection.transaction():
            rows = connection.execute(
                "select id, aggregate_type, aggregate_id, payload::text from booking.outbox_events"
                " where status = 'PENDING' order by created_at limit 100 for update skip locked"
            ).fetchall()
            topics = self._site.settings["outbox"]["topics"]
            for event_id, kind, key, payload in rows:
                producer.produce(topics[kind], payload, key, headers={"ticketops-event-id": str(event_id)})
                producer.flush()
                self.sent += 1
            ids = [row[0] for row in rows]
            connection.execute(
                "update booking.outbox_events set status = 'PUBLISHED', published_at = now() where id = any(%s)", (ids,)
            )


@pytest.mark.parametrize("skip_locked", [True, False])
def test_nothing_is_lost_beside_the_java_processor(site: Site, make_relay: MakeRelay, skip_locked: bool) -> None:
    relay = make_relay(relay={"skip_locked": skip_locked, "batch_size": 50}).start()
    published = f'ticketops_outbox_published_total{{topic="{site.topics[0]}"}}'
    with JavaLikeProcessor(site) as java:
        ids: list[str] = []

        def both_have_sent() -> bool:
            ids.extend(i for n in range(30) for i in add(site, f"K-{n}", *(json.dumps({"n": m}) for m in range(5))))
            return java.sent > 0 and relay.metric(published) > 0

        eventually(both_have_sent)
        for _ in range(5):
            both_have_sent()
        eventually(lambda: pending(site) == 0)
    assert set(_read(site)) == set(ids)


def test_a_null_payload_is_a_dead_letter(site: Site, make_relay: MakeRelay) -> None:
    site.rows("alter table booking.outbox_events alter payload drop not null")
    (null, after) = add(site, "K-1", '{"n": 1}', '{"n": 2}')
    site.rows("update booking.outbox_events set payload = null where id = %s", null)
    make_relay(relay={"max_attempts": 2}).start()
    eventually(lambda: pending(site) == 0, 20)
    assert _states(site) == {null: "dead"}
    assert _read(site) == [after]


def test_a_broker_that_answers_and_takes_nothing_is_named_once(
    site: Site, make_relay: MakeRelay, tmp_path: Path
) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(_STUBBORN)
    relay = make_relay(launcher=[str(script)]).start()
    (event,) = add(site, "K-1", '{"n": 1}')
    said = relay.wait_for("waiting", backend="Kafka")
    assert said["why"] == "Broker: no, for a reason of its own"
    eventually(lambda: relay.http("/readyz") == (503, "waiting for Kafka\n"))
    (tmp_path / "go-on").touch()
    eventually(lambda: pending(site) == 0, 10)
    relay.wait_for("goes on", backend="Kafka")
    assert event in _read(site)
    assert _states(site) == {}
    assert len(relay.said("waiting")) == 1
