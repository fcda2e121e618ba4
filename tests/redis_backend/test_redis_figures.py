"""The booking worker's Redis in a snapshot."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from ticketops.backends.redis.figures import RedisFigures
from ticketops.domain.overview.snapshot import redis_queues
from ticketops.domain.wire.items import BookingItem, encode_item
from ticketops.domain.wire.scalars import WireTime
from ticketops.errors import BackendUnavailable
from ticketops.options import RedisOptions


@pytest.fixture
def options(redis: RedisOptions, redis_prefix: str) -> RedisOptions:
    names = redis.queue
    return replace(redis, queue=replace(names, active=redis_prefix + names.active, lists=redis_prefix + names.lists))


@pytest.fixture
def figures(options: RedisOptions, redis_prefix: str) -> Iterator[RedisFigures]:
    with closing(RedisFigures(options, email_list=f"{redis_prefix}email-jobs")) as made:
        yield made


def item(age: float) -> bytes:
    at = WireTime.of(datetime.now(UTC) - timedelta(seconds=age))
    return encode_item(BookingItem(id="i", event_id="E", enqueued_at=at, expires_at=at))


def test_depth_and_age_of_the_shows_queues(options: RedisOptions, figures: RedisFigures, redis_prefix: str) -> None:
    with Redis.from_url(options.url) as client:
        client.lpush(options.queue.lists + "E1", item(100), item(50))
        client.lpush(options.queue.lists + "E2", b"not json")
        client.set(options.queue.lists + "E3", "of a wrong type")
        client.sadd(options.queue.active, "E1", "E2", "E3", "stale")
        client.set(f"{redis_prefix}email-jobs", "of a wrong type, and no business of the shows")
    found = redis_queues(figures.shows())
    assert (found.depth, found.queues) == (3, 2)
    assert found.deepest == (("E1", 2), ("E2", 1))
    assert found.oldest_seconds == pytest.approx(100, abs=20)


def test_shows_one_by_one_the_deepest_first(options: RedisOptions, figures: RedisFigures) -> None:
    with Redis.from_url(options.url) as client:
        client.lpush(options.queue.lists + "E1", item(100))
        client.lpush(options.queue.lists.encode() + b"\xff", b"not json", b"x")
        client.sadd(options.queue.active, "E1", b"\xff", "stale")
    hostile, plain = figures.shows()
    assert (hostile.topic, hostile.depth, hostile.oldest_seconds) == ("\ufffd", 2, None)
    assert (plain.topic, plain.depth) == ("E1", 1)
    assert plain.oldest_seconds == pytest.approx(100, abs=20)


def test_nothing_there(figures: RedisFigures) -> None:
    found = redis_queues(figures.shows())
    assert (found.depth, found.queues, found.oldest_seconds) == (0, 0, None)


def test_the_server_itself(figures: RedisFigures) -> None:
    found = figures.backend()
    assert found.version.startswith(("Valkey ", "Redis "))
    assert "master" in found.detail


def test_a_server_that_is_not_there() -> None:
    figures = RedisFigures(RedisOptions(url="redis://127.0.0.1:1"), email_list="x")
    with closing(figures), pytest.raises(BackendUnavailable):
        figures.backend()
