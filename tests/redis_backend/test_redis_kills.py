"""Requeues that are killed, cut off or raced while the worker takes items: each item once, none lost."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Self
from uuid import uuid4

import pytest
from redis import Redis

from support.booking_worker import BookingWorker
from support.engines import MakeProxy
from support.proxy import TcpProxy
from support.waiting import eventually
from ticketops.options import RedisOptions

pytestmark = pytest.mark.chaos

SHOWS = ("E1", "E2", "E3")


class Taker:
    """The worker's loop: takes what its shows' lists have, all the time."""

    def __init__(self, options: RedisOptions, prefix: str) -> None:
        self.taken: Counter[str] = Counter()
        self._redis = Redis.from_url(options.url)
        self._worker = BookingWorker(self._redis, prefix)
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        self._redis.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            items = [item for show in SHOWS if (item := self._worker.take(show))]
            self.taken.update(item.id for item in items)
            if not items:
                self._stop.wait(0.002)


@contextmanager
def dead_letters(options: RedisOptions, prefix: str, count: int) -> Iterator[tuple[BookingWorker, list[str]]]:
    with Redis.from_url(options.url) as client:
        worker = BookingWorker(client, prefix)
        items = [worker.item(SHOWS[number % len(SHOWS)]) for number in range(count)]
        for item in items:
            worker.dead_letter(item, age=300)
        yield worker, [item.id for item in items]
        worker.clean()


def start(url: str, prefix: str, operation: str, size: int = 4) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "support.booking_requeuer", url, prefix, operation, str(size)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)


def run_killed(proxy: TcpProxy, url: str, prefix: str, operation: str, number: int, *, sent: bool) -> bool:
    """One run, killed at its n-th piece of data; False where it ended before."""
    holder: list[subprocess.Popen[bytes]] = []
    ready = Event()
    pieces = iter(range(1, 10_000))

    def watch(_: bytes) -> None:
        ready.wait(20)
        if next(pieces) == number:
            holder[0].kill()
            if not sent:
                proxy.cut()

    proxy.on_client_data = watch
    holder.append(start(url, prefix, operation))
    ready.set()
    ended = holder[0].wait(60)
    proxy.on_client_data = None
    proxy.cut()
    return ended != 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sent", [True, False])
def test_a_requeue_killed_between_any_two_steps_loses_and_doubles_nothing(
    redis: RedisOptions, redis_prefix: str, tcp_proxy: MakeProxy, *, sent: bool
) -> None:
    port = int(redis.url.rpartition(":")[2].partition("/")[0])
    proxy = tcp_proxy(port)
    operation = str(uuid4())
    with dead_letters(redis, redis_prefix, 120) as (worker, ids), Taker(redis, redis_prefix) as taker:
        kills = 0
        for number in range(1, 15):
            kills += run_killed(proxy, proxy.url(redis.url), redis_prefix, operation, number, sent=sent)
        assert kills >= 10
        assert start(redis.url, redis_prefix, operation).wait(60) == 0
        eventually(lambda: sum(taker.taken.values()) >= len(ids), 30)
        assert worker.redis.zcard(worker.key("booking:dlq:items")) == 0
        assert not any(worker.waiting(show) for show in SHOWS)
    assert taker.taken == Counter(ids)


def test_many_processes_at_once_put_each_item_back_once(redis: RedisOptions, redis_prefix: str) -> None:
    with dead_letters(redis, redis_prefix, 400) as (worker, ids), Taker(redis, redis_prefix) as taker:
        with ThreadPoolExecutor(3) as threads:
            processes = [start(redis.url, redis_prefix, str(uuid4()), 11) for _ in range(3)]
            assert list(threads.map(lambda process: process.wait(60), processes)) == [0, 0, 0]
        eventually(lambda: sum(taker.taken.values()) >= len(ids), 30)
        assert worker.redis.zcard(worker.key("booking:dlq:items")) == 0
    assert taker.taken == Counter(ids)
