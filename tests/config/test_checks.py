from dataclasses import replace

import pytest

from ticketops.config import Config, alert_checks
from ticketops.config.checks import check
from ticketops.domain.outbox import FailurePolicy
from ticketops.options import (
    AlertsOptions,
    BookingsOptions,
    KafkaOptions,
    LagOptions,
    OutboxColumns,
    OutboxOptions,
    PostgresOptions,
    RedisOptions,
    RedisQueueOptions,
    RedisTlsOptions,
    RelayOptions,
    RuleOptions,
    WorkerOptions,
)

DEBEZIUM = OutboxColumns(
    aggregate_type="aggregatetype",
    aggregate_id="aggregateid",
    event_type="type",
    status="",
    published_at="",
    retry_count="",
    last_error="",
)


def test_the_defaults_are_fine() -> None:
    assert check(Config()) == []


def test_a_table_without_status_is_deleted_from() -> None:
    assert check(Config(outbox=OutboxOptions(columns=DEBEZIUM, on_published="delete"))) == []
    (problem,) = check(Config(outbox=OutboxOptions(columns=DEBEZIUM)))
    assert 'outbox.on_published is "mark"' in problem.what
    assert problem.hint == 'set outbox.on_published = "delete"'


def test_topics_by_pattern_may_be_named() -> None:
    outbox = OutboxOptions(topics={"*": "{type}-events"}, no_headers=("refund-events",))
    assert check(Config(outbox=outbox, relay=RelayOptions(aggregate_types=("REFUND",)))) == []


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (OutboxOptions(columns=OutboxColumns(id="")), "outbox.columns.id is empty"),
        (OutboxOptions(columns=OutboxColumns(payload="")), "outbox.columns.payload is empty"),
        (OutboxOptions(columns=OutboxColumns(seq="", created_at="")), "are both empty"),
        (OutboxOptions(columns=OutboxColumns(seq="id")), "names the column id 2 times"),
        (OutboxOptions(columns=OutboxColumns(seq="s" * 64)), "outbox.columns.seq is no PostgreSQL name"),
        (OutboxOptions(table=""), "outbox.table is empty"),
        (OutboxOptions(topics={}), "outbox.topics is empty"),
        (OutboxOptions(topics={"A": "bad topic"}), "outbox.topics.A is no topic name"),
        (OutboxOptions(topics={"A": ".."}), "outbox.topics.A is no topic name"),
        (OutboxOptions(no_headers=("bookings",)), "outbox.no_headers names bookings"),
        (OutboxOptions(on_failure_by_topic={"x": FailurePolicy.PARK}), "outbox.on_failure_by_topic names x"),
        (RelayOptions(aggregate_types=("REFUND",)), "relay.aggregate_types names REFUND"),
        (RelayOptions(retry_base=100.0), "relay.retry_cap (60 s) is below relay.retry_base (100 s)"),
        (RelayOptions(shadow=True, skip_locked=True), "contradict each other"),
        (
            WorkerOptions(bookings=BookingsOptions(retry_base=60.0)),
            "worker.bookings.retry_cap (30 s) is below retry_base",
        ),
        (PostgresOptions(url="localhost"), "postgres.url is no connection string"),
        (PostgresOptions(schema=""), "postgres.schema is empty"),
        (RedisOptions(url="localhost:6379"), "redis.url is no Redis URL"),
        (RedisOptions(cluster=True, sentinels=("s1:26379",)), "redis.cluster and redis.sentinels contradict"),
        (RedisOptions(cluster=True, url="unix:///run/redis.sock"), "redis.url is a socket's"),
        (RedisOptions(sentinels=("s1:26379", "s2:port")), "redis.sentinels names s2:port"),
        (RedisOptions(tls=RedisTlsOptions(key_file="/me.key")), "a certificate without its key"),
        (RedisOptions(queue=RedisQueueOptions(requeues_days=7)), "redis.queue.requeues_days is below"),
        (KafkaOptions(bootstrap_servers=" "), "kafka.bootstrap_servers is empty"),
        (KafkaOptions(password="x"), "kafka.password is set without kafka.username"),  # noqa: S106 - no real one
    ],
)
def test_contradictions_are_found(part: object, what: str) -> None:
    section = type(part).__name__.removesuffix("Options").lower()
    problems = check(replace(Config(), **{section: part}))
    assert [problem for problem in problems if what in problem.what], problems


@pytest.mark.parametrize("key", ["groups", "ignore_groups", "topics", "ignore_topics"])
def test_a_pattern_that_is_no_regular_expression(key: str) -> None:
    (problem,) = check(Config(lag=LagOptions(**{key: ("fine-.*", "*-worker")})))
    assert problem.what == f"lag.{key} holds '*-worker', which is no regular expression"
    assert problem.why == "nothing to repeat at position 0"
    assert ".*" in problem.hint


def test_alert_rules_that_are_no_condition_are_all_told() -> None:
    rules = {
        "fine": RuleOptions(when="dlq.depth > 100"),
        "cut": RuleOptions(when="dlq.depth >"),
        "unknown": RuleOptions(when="dlq.depht > 1", enabled=False),
    }
    cut, unknown = alert_checks.check(Config(alerts=AlertsOptions(rules=rules)))
    assert cut.what == "alerts.rules.cut.when cannot be understood"
    assert "line 1, column" in cut.why
    assert unknown.what == "alerts.rules.unknown.when names dlq.depht"
    assert "depth" in unknown.hint
    assert list(alert_checks.check(Config())) == []
