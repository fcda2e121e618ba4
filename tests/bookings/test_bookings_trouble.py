"""Redis in trouble while bookings are processed: everything waits, goes on by itself, and nothing is lost."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis import Redis

from support.booking_service import Answer, BookingService
from support.booking_worker import BookingWorker
from support.booking_works import VERB, BookingWorks, booking_settings
from support.cli import Cli
from support.engines import MakeProxy
from support.relay import Site
from support.valkeys import client_of
from support.waiting import eventually
from support.workers import WorkerProcess
from ticketops.domain.wire.items import encode_item
from ticketops.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.chaos

PREFIX = "t:"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def works_at(stack: ExitStack, cli: Cli, server: ValkeyServer, url: str = "") -> BookingWorks:
    """Works on a server that the test may ruin; the worker goes there by `url`."""
    service = stack.enter_context(BookingService())
    client = client_of(server)
    stack.callback(client.close)
    settings = booking_settings(url or server.url, PREFIX, service.url)
    settings["redis"] = {**settings["redis"], "answer_timeout": 1.0, "connect_timeout": 1.0}
    settings["worker"] = {**settings["worker"], "circuit_failures": 1000}
    return BookingWorks(Site(cli, settings), BookingWorker(client, PREFIX), service)


def start(stack: ExitStack, works: BookingWorks, *, ready: bool = True) -> WorkerProcess:
    worker = WorkerProcess(works.site, "w", verb=VERB)
    stack.callback(worker.close)
    return worker.start(ready=ready)


def test_a_restart_of_redis_is_waited_for(stack: ExitStack, cli: Cli, own_valkey: ValkeyServer) -> None:
    works = works_at(stack, cli, own_valkey)
    works.service.answer = lambda _: Answer(after=0.02)
    worker = start(stack, works)
    items = [works.add(f"E{number % 3}") for number in range(150)]
    eventually(lambda: len(works.service.calls) > 20)
    own_valkey.stop()
    eventually(lambda: worker.http("/readyz")[0] == 503)
    eventually(lambda: worker.http("/livez")[0] == 200)
    own_valkey.start()
    works.wait_until_done()
    eventually(lambda: worker.http("/readyz")[0] == 200)
    assert worker.stop() == 0
    assert set(works.service.seen) == set(items)
    assert not works.letters


def test_connections_that_are_cut_all_the_time_cost_no_item_and_no_attempt(
    stack: ExitStack, cli: Cli, own_valkey: ValkeyServer, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(own_valkey.port)
    works = works_at(stack, cli, own_valkey, proxy.url(own_valkey.url))
    works.service.answer = lambda _: Answer(after=0.01)
    worker = start(stack, works)
    items: list[str] = []
    for _ in range(12):
        items += [works.add(f"E{number % 3}") for number in range(15)]
        seen = len(works.service.calls)
        eventually(lambda seen=seen: len(works.service.calls) > seen + 3 or not works.queued)  # type: ignore[misc]
        proxy.cut()
    works.wait_until_done(40)
    assert worker.stop() == 0
    assert set(works.service.seen) == set(items)
    assert not works.letters


def test_a_server_that_hangs_is_waited_for(
    stack: ExitStack, cli: Cli, own_valkey: ValkeyServer, tcp_proxy: MakeProxy
) -> None:
    proxy = tcp_proxy(own_valkey.port)
    works = works_at(stack, cli, own_valkey, proxy.url(own_valkey.url))
    works.service.answer = lambda _: Answer(after=0.02)
    worker = start(stack, works)
    items = [works.add() for _ in range(60)]
    eventually(lambda: len(works.service.calls) > 5)
    proxy.stall()
    eventually(lambda: worker.http("/readyz")[0] == 503)
    proxy.resume()
    works.wait_until_done(40)
    assert worker.stop() == 0
    assert set(works.service.seen) == set(items)
    assert not works.letters


def test_without_memory_items_are_taken_concluded_and_buried_all_the_same(
    stack: ExitStack, cli: Cli, own_valkey: ValkeyServer
) -> None:
    works = works_at(stack, cli, own_valkey)
    works.service.answer = lambda call: Answer(500 if call.item.endswith("5") else 200, after=0.02)
    worker = start(stack, works)
    items = [works.add() for _ in range(40)]
    bad = {item for item in items if item.endswith("5")}
    eventually(lambda: len(works.service.calls) > 3)
    works.worker.redis.config_set("maxmemory", "1")
    works.wait_until_done()
    works.worker.redis.config_set("maxmemory", "0")
    assert worker.stop() == 0
    assert {letter["original_item"]["ID"] for letter in works.letters} == bad
    assert {letter["retry_count"] for letter in works.letters} == {3}
    assert set(works.service.seen) == set(items)


def test_a_server_that_takes_no_writes_is_waited_for(stack: ExitStack, cli: Cli, own_valkey: ValkeyServer) -> None:
    works = works_at(stack, cli, own_valkey)
    works.service.answer = lambda _: Answer(after=0.2)
    worker = start(stack, works)
    items = [works.add() for _ in range(60)]
    eventually(lambda: len(works.service.calls) > 5)
    client: Redis = works.worker.redis
    client.config_set("min-replicas-to-write", "1")
    eventually(lambda: worker.http("/readyz")[0] == 503)
    assert works.queued + works.held > 0
    client.config_set("min-replicas-to-write", "0")
    eventually(lambda: worker.http("/readyz")[0] == 200)
    client.replicaof("127.0.0.1", own_valkey.port)
    eventually(lambda: worker.http("/readyz")[0] == 503)
    client.replicaof("NO", "ONE")
    works.wait_until_done()
    assert worker.stop() == 0
    assert set(works.service.seen) == set(items)


def test_redis_that_is_not_there_at_the_start_is_waited_for(
    stack: ExitStack, cli: Cli, own_valkey: ValkeyServer
) -> None:
    works = works_at(stack, cli, own_valkey)
    item = works.add()
    works.worker.redis.save()
    own_valkey.stop()
    worker = start(stack, works, ready=False)
    worker.wait_for("Redis is unreachable")
    own_valkey.start()
    works.wait_until_done()
    assert works.service.seen == Counter({item: 1})
    assert worker.stop() == 0


def test_a_key_of_another_type_is_said_and_costs_nothing(stack: ExitStack, cli: Cli, own_valkey: ValkeyServer) -> None:
    works = works_at(stack, cli, own_valkey)
    works.worker.redis.set(works.worker.key("booking:dlq:stats"), "x")
    works.service.answer = lambda _: Answer(400)
    works.add()
    worker = start(stack, works, ready=False)
    assert worker.wait() != 0
    assert "booking:dlq:stats" in worker.log
    assert works.held == 1
    works.worker.redis.delete(works.worker.key("booking:dlq:stats"))
    worker.start()
    assert works.letter()["retry_count"] == 2
    assert worker.stop() == 0


def test_a_show_whose_list_is_of_another_type_holds_up_no_other(
    stack: ExitStack, cli: Cli, own_valkey: ValkeyServer
) -> None:
    works = works_at(stack, cli, own_valkey)
    works.worker.redis.set(works.worker.key("booking-queue:BAD"), "x")
    works.worker.redis.sadd(works.worker.key("booking:active-queues"), "BAD", b"\xff\xfe")
    works.worker.redis.set(works.worker.key("booking-queue-positions:E1"), "x")
    items = [works.item() for _ in range(5)]
    for item in items:
        works.add_raw(encode_item(item))
    worker = start(stack, works)
    eventually(lambda: works.service.seen == Counter(item.id for item in items))
    assert worker.stop() == 0
    assert works.worker.redis.get(works.worker.key("booking-queue:BAD")) == b"x"
