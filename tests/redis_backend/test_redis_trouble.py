"""Servers that refuse, hang, break off, restart or forget: an error of ours, nothing lost, and the next try works."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from redis import Redis, exceptions
from redis.crc import key_slot

from support.bookings import Bookings
from support.deadletters import RedisBox, order
from support.engines import MakeProxy
from support.valkeys import SLOTS, MakeValkey, Sentinels, client_of, password_of, replica_of
from support.waiting import eventually
from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.backends.redis.errors import from_driver
from ticketops.backends.redis.session import connect, script
from ticketops.domain.deadletters import FaultKind, Mark, Narrowing, Outcome, RequeueOrder, Result
from ticketops.embedded.engine import free_port
from ticketops.embedded.valkey import ValkeyServer, _program
from ticketops.errors import BackendError, BackendFull, BackendUnavailable, DeniedError, SchemaError, TicketOpsError
from ticketops.options import RedisOptions, RedisTlsOptions

EVERYTHING = Narrowing()
PREFIX = "t:"
SHOW = "E1"


@pytest.fixture
def own(own_valkey: ValkeyServer) -> Iterator[Bookings]:
    """A booking worker on a server that the test may ruin."""
    box = RedisBox(RedisOptions(url=own_valkey.url), PREFIX)
    yield Bookings(box, PREFIX)
    box.leave()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def queue_at(opened: ExitStack, options: RedisOptions, prefix: str = PREFIX) -> RedisDeadLetterQueue:
    return opened.enter_context(closing(RedisDeadLetterQueue(options, "bookings", prefix)))


def die(bookings: Bookings, count: int = 3) -> list[str]:
    return [bookings.worker.dead_letter(bookings.worker.item(SHOW), age=100 - n) for n in range(count)]


def test_out_of_memory_changes_nothing_and_says_so(own: Bookings) -> None:
    die(own)
    marks = [letter.mark for letter in own.queue.scan(EVERYTHING)]
    before = own.snapshot()
    own.redis.config_set("maxmemory", "1")
    with pytest.raises(BackendError, match="Redis is out of memory") as raised:
        own.queue.requeue(order(), marks)
    assert "nothing was changed" in raised.value.hint
    assert own.queue.count() == 3
    own.redis.config_set("maxmemory", "0")
    assert own.snapshot() == before
    assert {result.outcome for result in own.queue.requeue(order(), marks)} == {Outcome.DONE}


def test_what_makes_room_is_done_by_a_server_that_is_full(own: Bookings) -> None:
    die(own)
    marks = [letter.mark for letter in own.queue.scan(EVERYTHING)]
    own.redis.config_set("maxmemory", "1")
    operation = order().operation
    assert {result.outcome for result in own.queue.remove(operation, marks)} == {Outcome.DONE}
    again = own.queue.remove(operation, marks)
    assert {(result.outcome, result.detail) for result in again} == {(Outcome.ALREADY, str(operation))}


def test_no_call_of_a_script_has_more_items_than_the_server_does_in_a_moment(own: Bookings) -> None:
    die(own, 120)
    marks = [letter.mark for letter in own.queue.scan(EVERYTHING)]
    own.redis.config_resetstat()
    assert {result.outcome for result in own.queue.requeue(order(), marks)} == {Outcome.DONE}
    calls = own.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert calls >= 6, "50 at a time: three that read and three that move; 120 at once are two, and two more unknown"


def test_a_forgotten_script_is_sent_again(own: Bookings) -> None:
    ids = die(own)
    for id_ in ids:
        own.redis.script_flush()
        (letter,) = own.queue.get([id_])
        own.redis.script_flush()
        assert own.queue.requeue(order(), [letter.mark])[0].outcome is Outcome.DONE


def test_a_replica_is_read_and_refuses_changes(
    own: Bookings, own_valkey: ValkeyServer, make_valkey: MakeValkey, opened: ExitStack
) -> None:
    die(own)
    replica = replica_of(make_valkey, own_valkey)
    queue = queue_at(opened, RedisOptions(url=replica.url))
    eventually(lambda: queue.count() == 3)
    marks = [letter.mark for letter in queue.scan(EVERYTHING)]
    with pytest.raises(BackendUnavailable, match="read-only replica"):
        queue.requeue(order(), marks)
    assert own.queue.count() == 3
    assert {result.outcome for result in own.queue.requeue(order(), marks)} == {Outcome.DONE}


@pytest.mark.parametrize("arrives", [True, False])
def test_a_connection_cut_in_the_middle_of_a_requeue(
    own: Bookings, own_valkey: ValkeyServer, tcp_proxy: MakeProxy, opened: ExitStack, *, arrives: bool
) -> None:
    die(own)
    proxy, sha = tcp_proxy(own_valkey.port), script("requeue").sha.encode()
    queue, mine = queue_at(opened, RedisOptions(url=proxy.url(own_valkey.url))), order()
    letters = list(queue.scan(EVERYTHING))
    marks = [letter.mark for letter in letters]
    own.redis.script_load(script("requeue").text)

    def cut(data: bytes) -> None:
        if sha in data:
            proxy.on_client_data = None
            if arrives:
                proxy.stall(to_server=False)
            else:
                proxy.cut()

    proxy.on_client_data = cut
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(queue.requeue, mine, marks)
        if arrives:
            eventually(lambda: own.queue.count() == 0)
            proxy.cut()
            proxy.resume()
        with pytest.raises(BackendUnavailable):
            call.result(30)
    proxy.resume()
    again = queue.requeue(mine, marks)
    expected = (Outcome.ALREADY, str(mine.operation)) if arrives else (Outcome.DONE, "")
    assert {(result.outcome, result.detail) for result in again} == {expected}
    assert own.box.delivered() == [letter.origin for letter in letters]


def test_a_server_that_is_killed_and_comes_back_has_all_that_was_done(own: Bookings, own_valkey: ValkeyServer) -> None:
    die(own, 40)
    letters, mine = list(own.queue.scan(EVERYTHING)), order()
    own.queue.requeue(mine, [letter.mark for letter in letters[:15]])
    own_valkey.kill()
    with pytest.raises(BackendUnavailable):
        own.queue.requeue(mine, [letter.mark for letter in letters[15:20]])
    own_valkey.start()
    results = own.queue.requeue(mine, [letter.mark for letter in letters])
    assert [result.outcome for result in results] == [Outcome.ALREADY] * 15 + [Outcome.DONE] * 25
    assert own.box.delivered() == [letter.origin for letter in letters]


def test_a_scan_is_cut_off_with_an_error_of_ours(own: Bookings, own_valkey: ValkeyServer) -> None:
    die(own, 300)
    scan = own.queue.scan(EVERYTHING)
    next(scan)
    own_valkey.kill()
    with pytest.raises(BackendUnavailable):
        list(scan)
    own_valkey.start()
    assert len(list(own.queue.scan(EVERYTHING))) == 300


def test_a_server_busy_with_a_script_is_said_so(own: Bookings, own_valkey: ValkeyServer) -> None:
    die(own)
    own.redis.config_set("busy-reply-threshold", "50")
    with ThreadPoolExecutor(1) as threads, client_of(own_valkey) as slow:
        endless = threads.submit(slow.eval, "while true do end", 0)
        eventually(lambda: _is_busy(own))
        with pytest.raises(BackendUnavailable, match="busy with a script"):
            own.queue.count()
        own.redis.script_kill()
        with pytest.raises(exceptions.ResponseError):
            endless.result(30)
    assert own.queue.count() == 3


def _is_busy(bookings: Bookings) -> bool:
    try:
        bookings.redis.ping()
    except exceptions.ResponseError:
        return True
    return False


def test_a_server_that_hangs_costs_the_answer_timeout(
    own: Bookings, own_valkey: ValkeyServer, tcp_proxy: MakeProxy, opened: ExitStack
) -> None:
    die(own)
    proxy = tcp_proxy(own_valkey.port)
    queue = queue_at(opened, RedisOptions(url=proxy.url(own_valkey.url), answer_timeout=2.0))
    assert queue.count() == 3
    proxy.stall()
    begun = monotonic()
    with pytest.raises(BackendUnavailable):
        queue.count()
    assert monotonic() - begun < 30
    proxy.resume()
    assert eventually(lambda: _count(queue)) == 3


def _count(queue: RedisDeadLetterQueue) -> int:
    try:
        return queue.count()
    except BackendUnavailable:
        return 0


def test_nobody_listens(opened: ExitStack) -> None:
    queue = queue_at(opened, RedisOptions(url=f"redis://:swordfish@127.0.0.1:{free_port()}/0"))
    with pytest.raises(BackendUnavailable) as raised:
        queue.count()
    assert "swordfish" not in f"{raised.value} {raised.value.why} {raised.value.hint}"


def test_a_wrong_password_and_a_missing_right_are_denied(
    own: Bookings, own_valkey: ValkeyServer, opened: ExitStack
) -> None:
    die(own)
    with pytest.raises(DeniedError) as raised:
        queue_at(opened, RedisOptions(url=f"redis://:swordfish@127.0.0.1:{own_valkey.port}/0")).count()
    assert "swordfish" not in f"{raised.value} {raised.value.why} {raised.value.hint}"
    own.redis.acl_setuser("reader", enabled=True, passwords=["+pass"], categories=["+@read"], keys=["*"])
    reader = queue_at(opened, RedisOptions(url=f"redis://reader:pass@127.0.0.1:{own_valkey.port}/0"))
    assert reader.count() == 3
    own.redis.acl_setuser("reader", categories=["+@scripting"], commands=["+time"])
    marks = [letter.mark for letter in reader.scan(EVERYTHING)]
    assert len(marks) == 3
    with pytest.raises(DeniedError):
        reader.requeue(order(), marks)
    assert own.queue.count() == 3


@pytest.mark.parametrize("lacking", ["set", "lpush", "zrem", "del", "hset", "zadd", "sadd", "hincrby"])
def test_a_right_that_is_missing_for_a_late_step_is_found_before_the_first(
    own: Bookings, own_valkey: ValkeyServer, opened: ExitStack, lacking: str
) -> None:
    die(own)
    rights = ["+@read", "+@write", "+@scripting", "+@connection"]
    own.redis.acl_setuser(
        "ops", enabled=True, passwords=["+pass"], categories=rights, commands=["+time", f"-{lacking}"], keys=["*"]
    )
    queue = queue_at(opened, RedisOptions(url=f"redis://ops:pass@127.0.0.1:{own_valkey.port}/0"))
    marks = [letter.mark for letter in queue.scan(EVERYTHING)]
    before = own.snapshot()
    with pytest.raises(DeniedError, match=lacking.upper()):
        queue.requeue(order(), marks)
    assert own.snapshot() == before


def test_an_acl_user_with_the_rights_it_needs(own: Bookings, own_valkey: ValkeyServer, opened: ExitStack) -> None:
    die(own)
    own.redis.acl_setuser(
        "ops",
        enabled=True,
        passwords=["+pass"],
        categories=["+@read", "+@write", "+@scripting", "+@connection"],
        commands=["+time"],
        keys=[f"{PREFIX}*"],
    )
    queue = queue_at(opened, RedisOptions(url=f"redis://ops:pass@127.0.0.1:{own_valkey.port}/0"))
    letters = list(queue.scan(EVERYTHING))
    assert {result.outcome for result in queue.requeue(order(), [letters[0].mark])} == {Outcome.DONE}
    assert {result.outcome for result in queue.remove(order().operation, [letters[1].mark])} == {Outcome.DONE}
    assert list(queue.faults(60.0)) == []


def test_a_sorted_set_of_another_type_is_an_error_and_a_fault(own: Bookings) -> None:
    own.redis.set(own.key("booking:dlq:items"), "x")
    with pytest.raises(SchemaError, match="another type"):
        own.queue.count()
    with pytest.raises(SchemaError, match="another type"):
        list(own.queue.scan(EVERYTHING))
    assert own.faults() == [(FaultKind.WRONG_TYPE, own.key("booking:dlq:items"))]


@pytest.mark.chaos
def test_sentinels_lead_to_the_new_master(
    own: Bookings, own_valkey: ValkeyServer, make_valkey: MakeValkey, opened: ExitStack, tmp_path: Path
) -> None:
    die(own, 10)
    own.redis.config_set("masterauth", password_of(own_valkey))
    replica = replica_of(make_valkey, own_valkey)
    sentinels = opened.enter_context(closing(Sentinels(tmp_path, own_valkey, str(_program()))))
    eventually(sentinels.agree, 30)
    options = RedisOptions(
        url=f"redis://:{password_of(own_valkey)}@ignored:1/0",
        sentinels=tuple(f"127.0.0.1:{port}" for port in sentinels.ports),
        sentinel_service="tickets",
        connect_timeout=2.0,
        answer_timeout=5.0,
    )
    queue, mine = queue_at(opened, options), order()
    letters = list(queue.scan(EVERYTHING))
    marks = [letter.mark for letter in letters]
    queue.requeue(mine, marks[:4])
    own.redis.wait(1, 5000)
    own_valkey.kill()
    eventually(lambda: sentinels.master_port() == replica.port, 30)
    results = eventually(lambda: _requeued(queue, mine, marks), 30)
    assert [result.outcome for result in results] == [Outcome.ALREADY] * 4 + [Outcome.DONE] * 6
    with client_of(replica) as client:
        assert client.llen(f"{PREFIX}booking-queue:{SHOW}") == 10


def _requeued(queue: RedisDeadLetterQueue, mine: RequeueOrder, marks: list[Mark]) -> list[Result]:
    try:
        return queue.requeue(mine, marks)
    except BackendUnavailable:
        return []


def test_sentinels_that_do_not_answer(opened: ExitStack) -> None:
    options = RedisOptions(sentinels=(f"127.0.0.1:{free_port()}",), connect_timeout=1.0)
    with pytest.raises(BackendUnavailable, match="mymaster"):
        queue_at(opened, options).count()


def test_a_cluster_met_without_saying_so(redis_cluster: RedisOptions, opened: ExitStack) -> None:
    prefix = next(str(n) for n in range(100) if key_slot(f"{n}booking:dlq:items".encode()) > SLOTS // 2)
    queue = queue_at(opened, replace(redis_cluster, cluster=False), prefix)
    with pytest.raises(BackendError) as raised:
        queue.count()
    assert "redis.cluster = true" in raised.value.hint


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), BackendUnavailable, "loading"),
        (exceptions.MasterDownError("Link with MASTER is down"), BackendUnavailable, "link with the master"),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), BackendUnavailable, "read-only"),
        (exceptions.ResponseError("BUSY Redis is busy running a script"), BackendUnavailable, "busy"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), BackendUnavailable, "replicas"),
        (exceptions.ResponseError("UNKILLABLE Sorry the script already executed"), BackendUnavailable, "script"),
        (exceptions.ClusterDownError("The cluster is down"), BackendUnavailable, "cluster is down"),
        (exceptions.TimeoutError("Timeout reading from socket"), BackendUnavailable, "Timeout"),
        (exceptions.ConnectionError("Connection reset by peer"), BackendUnavailable, "reset"),
        (exceptions.AuthenticationError("invalid username-password pair"), DeniedError, "denied"),
        (exceptions.NoPermissionError("this user has no permissions"), DeniedError, "denied"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), BackendFull, "save its data"),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), BackendFull, "memory"),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), SchemaError, "another type"),
        (exceptions.ResponseError("ERR syntax error"), BackendError, "refused a command"),
        (exceptions.MovedError("3999 127.0.0.1:6381"), BackendError, "is a cluster"),
        (exceptions.DataError("Invalid input of type"), BackendError, "refused a command"),
    ],
)
def test_every_answer_has_its_meaning(error: exceptions.RedisError, kind: type[TicketOpsError], text: str) -> None:
    found = from_driver(error)
    assert type(found) is kind
    assert text in f"{found.what} {found.why}"


def test_tls_and_users_are_told_to_the_driver() -> None:
    tls = RedisTlsOptions(ca_file="/ca.pem", certificate_file="/me.pem", key_file="/me.key")
    with closing(connect(RedisOptions(url="rediss://ops:pass@cache.example:6380/2", tls=tls))) as client:
        assert isinstance(client, Redis)
        told = client.connection_pool.connection_kwargs
    assert (told["username"], told["password"], told["db"], told["port"]) == ("ops", "pass", 2, 6380)
    assert (told["ssl_ca_certs"], told["ssl_certfile"], told["ssl_keyfile"]) == ("/ca.pem", "/me.pem", "/me.key")
    assert told["ssl_cert_reqs"] == "required"
    with closing(connect(RedisOptions(url="rediss://cache.example", tls=RedisTlsOptions(verify=False)))) as client:
        assert isinstance(client, Redis)
        assert client.connection_pool.connection_kwargs["ssl_cert_reqs"] == "none"
