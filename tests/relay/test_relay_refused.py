"""Events that cannot be published: their aggregate waits, all others go on; nobody innocent is blamed."""

import json
import os
from collections import defaultdict
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from support.engines import MakeTopic
from support.ledger import read_topics
from support.relay import MakeRelay, Site, add, pending
from support.waiting import eventually

BIG = json.dumps({"pad": "x" * 10_000_000})
_STATE = "select state from ticketops.outbox_failures where event_id = %s"


def _payload(number: int, size: int = 0) -> str:
    """A payload that compression makes no smaller, so that a broker's limit bites."""
    return json.dumps({"n": number, "pad": os.urandom(size // 2).hex()})


def _read(site: Site, key: str | None = None) -> list[str]:
    """Event ids in the topics, in order, of one key or of all."""
    return [r.event_id for r in read_topics(site.brokers, site.topics) if key in (None, r.key)]


def _by_key(site: Site) -> dict[str, list[str]]:
    """First occurrences of event ids in the topics, in order."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for record in read_topics(site.brokers, site.topics):
        found[record.key][record.event_id] = None
    return {key: list(ids) for key, ids in found.items()}


def _states(site: Site) -> dict[str, str]:
    return dict(site.rows("select event_id::text, state from ticketops.outbox_failures"))


def _row(site: Site, event_id: str) -> tuple[str, int, str]:
    rows = site.rows("select status, retry_count, last_error from booking.outbox_events where id = %s", event_id)
    return rows[0]  # type: ignore[return-value]


def _in_state(site: Site, event_id: str, state: str) -> Callable[[], bool]:
    return lambda: _states(site).get(event_id) == state


def test_a_message_that_is_too_large_becomes_a_dead_letter(site: Site, make_relay: MakeRelay) -> None:
    (first, big, after) = add(site, "K-1", '{"n": 1}', BIG, '{"n": 3}')
    others = [add(site, f"O-{n}", '{"n": 1}', '{"n": 2}') for n in range(20)]
    relay = make_relay(relay={"max_attempts": 2, "retry_base": 8.0}).start()
    attempts = "select attempts from ticketops.outbox_failures where event_id = %s"
    eventually(lambda: site.rows(attempts, big) == [(1,)] and pending(site) == 2)
    assert _states(site) == {big: "retrying"}
    assert sorted(_read(site)) == sorted([first, *(i for ids in others for i in ids)])
    eventually(lambda: pending(site) == 0)
    assert _read(site, "K-1") == [first, after]
    status, retries, error = _row(site, big)
    assert (status, retries) == ("FAILED", 5)
    assert "message.max.bytes" in error
    assert _states(site) == {big: "dead"}
    eventually(lambda: relay.metric('ticketops_outbox_failed_total{state="dead"}') == 1)
    assert site.one(attempts, big) == 2


def test_a_blocked_aggregate_waits_for_the_operator(site: Site, make_relay: MakeRelay) -> None:
    (big, second, third) = add(site, "K-1", BIG, '{"n": 2}', '{"n": 3}')
    (other,) = add(site, "K-2", '{"n": 1}')
    make_relay(relay={"max_attempts": 2}, outbox={"on_failure": "block"}).start()
    eventually(_in_state(site, big, "blocked"), 20)
    eventually(lambda: _read(site) == [other], 10)
    skipped = site.run("outbox", "skip", big, "--yes")
    assert skipped.code == 0, skipped.err
    eventually(lambda: pending(site) == 0, 10)
    assert _read(site, "K-1") == [second, third]
    assert _states(site) == {big: "dead"}


def test_a_blocked_event_that_was_mended_goes_first(site: Site, make_relay: MakeRelay) -> None:
    (big, second) = add(site, "K-1", BIG, '{"n": 2}')
    make_relay(relay={"max_attempts": 1}, outbox={"on_failure": "block"}).start()
    eventually(_in_state(site, big, "blocked"), 20)
    site.rows("update booking.outbox_events set payload = '{}' where id = %s", big)
    retried = site.run("outbox", "retry", big, "--yes")
    assert retried.code == 0, retried.err
    eventually(lambda: pending(site) == 0, 10)
    assert _read(site, "K-1") == [big, second]
    assert _states(site) == {}


def test_a_parked_event_takes_its_successors_with_it(site: Site, make_relay: MakeRelay) -> None:
    (big, second) = add(site, "K-1", BIG, '{"n": 2}')
    (other,) = add(site, "K-2", '{"n": 1}')
    make_relay(relay={"max_attempts": 1}, outbox={"on_failure": "park"}).start()
    eventually(_in_state(site, second, "parked"), 20)
    (late,) = add(site, "K-1", '{"n": 3}')
    eventually(_in_state(site, late, "parked"), 20)
    eventually(lambda: pending(site) == 0, 10)
    assert [_row(site, i)[:2] for i in (big, second, late)] == [("FAILED", 5)] * 3
    assert _read(site) == [other]
    site.rows("update booking.outbox_events set payload = '{}' where id = %s", big)
    retried = site.run("outbox", "retry", "--key", "K-1", "--yes")
    assert retried.code == 0, retried.err
    eventually(lambda: len(_read(site, "K-1")) == 3)
    assert _read(site, "K-1") == [big, second, late]
    eventually(lambda: _states(site) == {})


@pytest.fixture
def small(site: Site, make_topic: MakeTopic) -> Site:
    """A topic of one partition whose broker refuses what this client would send."""
    topic = make_topic("small", partitions=1, config={"max.message.bytes": "2000"})
    return site.with_(outbox={"topics": {"BOOKING": topic}})


def test_the_broker_blames_a_batch_and_the_relay_finds_the_one(small: Site, make_relay: MakeRelay) -> None:
    ledger = {}
    for n in range(30):
        ledger[f"O-{n}"] = add(small, f"O-{n}", *(_payload(m, 100) for m in range(10)))
    (first, poison, after) = add(small, "K-1", _payload(1), _payload(2, 5000), _payload(3))
    more = {f"P-{n}": add(small, f"P-{n}", *(_payload(m, 100) for m in range(10))) for n in range(10)}
    relay = make_relay(at=small, relay={"max_attempts": 2, "batch_size": 1000, "lanes": 1}).start()
    eventually(lambda: pending(small) == 0, 25)
    assert _states(small) == {poison: "dead"}
    assert {e["event_id"] for e in relay.said("an event could not be published")} == {poison.replace("-", "")}
    assert _by_key(small) == ledger | more | {"K-1": [first, after]}


def test_several_that_the_broker_refuses_at_once(small: Site, make_relay: MakeRelay) -> None:
    poisons = {f"K-{n}": add(small, f"K-{n}", _payload(n, 5000), _payload(n)) for n in range(3)}
    innocents = {f"O-{n}": add(small, f"O-{n}", _payload(1), _payload(2)) for n in range(20)}
    make_relay(at=small, relay={"max_attempts": 1, "lanes": 1}).start()
    eventually(lambda: pending(small) == 0, 25)
    assert _states(small) == {ids[0]: "dead" for ids in poisons.values()}
    assert _by_key(small) == innocents | {key: ids[1:] for key, ids in poisons.items()}


def test_successors_wait_while_the_broker_refuses_their_first(small: Site, make_relay: MakeRelay) -> None:
    """A producer that is new to a partition: the broker would take its second request after refusing the first."""
    (poison, *after) = add(small, "K-1", _payload(0, 5000), *(_payload(n, 300) for n in range(1, 100)))
    make_relay(at=small, relay={"max_attempts": 1, "lanes": 1}, outbox={"on_failure": "block"}).start()
    eventually(_in_state(small, poison, "blocked"), 25)
    assert _read(small, "K-1") == []
    small.rows("update booking.outbox_events set payload = '{}' where id = %s", poison)
    assert small.run("outbox", "retry", poison, "--yes").code == 0
    eventually(lambda: pending(small) == 0, 10)
    assert _by_key(small) == {"K-1": [poison, *after]}


def test_innocents_keep_their_order_around_what_the_broker_refuses(small: Site, make_relay: MakeRelay) -> None:
    """Requests that are larger than one message may hold many: the first fails as a whole, the next must not pass."""
    (poison,) = add(small, "K-1", _payload(1, 5000))
    ledger: dict[str, list[str]] = {f"O-{n}": [] for n in range(4)}
    for round_ in range(12):
        for key in ledger:
            ledger[key] += add(small, key, _payload(round_, 50))
    make_relay(
        at=small,
        relay={"max_attempts": 2, "lanes": 1, "shards": 1},
        kafka={"properties": {"batch.num.messages": 4}},
    ).start()
    eventually(lambda: pending(small) == 0, 25)
    assert _states(small) == {poison: "dead"}
    assert _by_key(small) == ledger


def test_an_aggregate_type_without_a_topic(site: Site, make_relay: MakeRelay) -> None:
    (unrouted,) = add(site, "K-1", '{"n": 1}', aggregate_type="OTHER")
    (good,) = add(site, "K-1", '{"n": 1}')
    make_relay(relay={"max_attempts": 2}).start()
    eventually(lambda: pending(site) == 0, 20)
    assert _states(site) == {unrouted: "dead"}
    assert "outbox.topics" in _row(site, unrouted)[2]
    assert _read(site) == [good]


def test_a_topic_that_is_unknown_or_that_kafka_refuses(site: Site, make_relay: MakeRelay) -> None:
    topics = dict(site.settings["outbox"]["topics"])
    ours = site.with_(outbox={"topics": topics | {"GONE": f"{topics['BOOKING']}-gone", "*": "all-{type}"}})
    (unknown,) = add(ours, "K-1", '{"n": 1}', aggregate_type="GONE")
    (refused,) = add(ours, "K-2", '{"n": 1}', aggregate_type="NOT A TOPIC!")
    (good,) = add(ours, "K-3", '{"n": 1}')
    relay = make_relay(at=ours, relay={"max_attempts": 2}).start()
    eventually(lambda: pending(ours) == 0, 20)
    assert _states(ours) == dict.fromkeys((unknown, refused), "dead")
    assert _read(site) == [good]
    assert "all-not a topic!" in _row(ours, refused)[2]
    assert "-gone" in _row(ours, unknown)[2]
    assert relay.is_running


def test_a_topic_deleted_while_the_relay_runs(
    site: Site, make_topic: MakeTopic, make_relay: MakeRelay, kafka_admin: AdminClient
) -> None:
    doomed = make_topic("doomed")
    topics = dict(site.settings["outbox"]["topics"])
    ours = site.with_(outbox={"topics": topics | {"TICKET": doomed}})
    soon = {"properties": {"topic.metadata.propagation.max.ms": 500}}
    make_relay(at=ours, relay={"max_attempts": 2, "lanes": 1}, kafka=soon).start()
    add(ours, "T-1", '{"n": 1}', aggregate_type="TICKET")
    eventually(lambda: pending(ours) == 0, 10)
    kafka_admin.delete_topics([doomed])[doomed].result(30)
    (lost,) = add(ours, "T-1", '{"n": 2}', aggregate_type="TICKET")
    (good,) = add(ours, "K-1", '{"n": 1}')
    eventually(_in_state(ours, lost, "dead"), 30)
    eventually(lambda: pending(ours) == 0, 20)
    assert _read(site) == [good]
    make_topic("doomed")
    assert ours.run("outbox", "retry", lost, "--yes").code == 0
    eventually(lambda: pending(ours) == 0, 30)
    assert [r.event_id for r in read_topics(ours.brokers, [doomed])] == [lost]


def test_a_key_of_a_hundred_characters_that_are_not_ascii(site: Site, make_relay: MakeRelay) -> None:
    key = "Ü€漢🎟" * 25
    ids = add(site, key, '{"naïve": "é漢"}', '{"n": 2}')
    make_relay().start()
    eventually(lambda: pending(site) == 0, 10)
    records = read_topics(site.brokers, site.topics)
    assert [(r.key, r.event_id) for r in records] == [(key, i) for i in ids]
    assert records[0].value == '{"naïve": "é漢"}'.encode()


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_clock_that_brokers_refuse_blames_no_event(
    site: Site, make_relay: MakeRelay, make_topic: MakeTopic, kafka_admin: AdminClient, lanes: int
) -> None:
    """As on a host whose clock is an hour off: the broker finds every record too old."""
    topic = make_topic("strict", config={"message.timestamp.before.max.ms": "0"})
    strict = site.with_(outbox={"topics": {"BOOKING": topic}}, relay={"lanes": lanes, "max_attempts": 1})
    ids = [i for n in range(20) for i in add(strict, f"K-{n}", '{"n": 1}', '{"n": 2}')]
    relay = make_relay(at=strict).start()
    said = relay.wait_for("waiting", backend="Kafka")
    assert "this host's clock" in said["why"]
    assert relay.http("/readyz") == (503, "waiting for Kafka\n")
    assert _states(strict) == {}
    _alter(kafka_admin, topic, "message.timestamp.before.max.ms", "9223372036854775807")
    eventually(lambda: pending(strict) == 0)
    assert sorted(_read(strict)) == sorted(ids)
    assert _states(strict) == {}
    assert strict.one("select max(retry_count) from booking.outbox_events") == 0


def test_an_error_longer_than_its_column_is_cut(site: Site, make_relay: MakeRelay) -> None:
    site.rows("alter table booking.outbox_events alter column last_error type varchar(12)")
    (lost,) = add(site, "K-1", '{"n": 1}', aggregate_type="UNKNOWN")
    (free,) = add(site, "K-2", '{"n": 1}')
    make_relay(relay={"max_attempts": 2}).start()
    eventually(_in_state(site, lost, "dead"))
    eventually(lambda: _read(site) == [free])
    assert _row(site, lost) == ("FAILED", 5, "its aggregat")


def _alter(admin: AdminClient, topic: str, key: str, value: str) -> None:
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def test_a_limit_that_was_raised_frees_a_dead_letter(
    small: Site, make_relay: MakeRelay, kafka_admin: AdminClient
) -> None:
    (poison,) = add(small, "K-1", _payload(1, 5000))
    make_relay(at=small, relay={"max_attempts": 1}).start()
    eventually(_in_state(small, poison, "dead"), 20)
    (topic,) = small.topics
    _alter(kafka_admin, topic, "max.message.bytes", "100000")
    assert small.run("outbox", "retry", poison, "--yes").code == 0
    eventually(lambda: _read(small) == [poison])
    eventually(lambda: _states(small) == {})
