"""Redis behind TLS: trusted, not trusted, another name, and with a certificate of the client's own."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from support.bookings import Bookings
from support.deadletters import RedisBox, order
from support.tls import Papers, TlsProxy, papers
from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.domain.deadletters import Mark, Narrowing, Outcome
from ticketops.embedded.valkey import ValkeyServer
from ticketops.errors import TicketOpsError
from ticketops.options import RedisOptions, RedisTlsOptions

PREFIX = "t:"


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def queue_at(server: ValkeyServer, proxy: TlsProxy, tls: RedisTlsOptions) -> RedisDeadLetterQueue:
    url = server.url.replace("redis://", "rediss://").replace(f":{server.port}", f":{proxy.port}")
    return RedisDeadLetterQueue(RedisOptions(url=url, tls=tls), "bookings", PREFIX)


def test_a_requeue_goes_through_tls(own_valkey: ValkeyServer, issued: Papers, opened: ExitStack) -> None:
    box = RedisBox(RedisOptions(url=own_valkey.url), PREFIX)
    opened.callback(box.leave)
    worker = Bookings(box, PREFIX).worker
    worker.dead_letter(worker.item("E1"), age=100)
    proxy = opened.enter_context(TlsProxy(own_valkey.port, issued.authority))
    tls = RedisTlsOptions(ca_file=str(issued.ca_file))
    queue = opened.enter_context(closing(queue_at(own_valkey, proxy, tls)))
    (letter,) = queue.scan(Narrowing())
    (result,) = queue.requeue(order(), [Mark(letter.id, letter.digest)])
    assert (result.outcome, queue.count()) == (Outcome.DONE, 0)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    own_valkey: ValkeyServer, issued: Papers, opened: ExitStack
) -> None:
    proxy = opened.enter_context(TlsProxy(own_valkey.port, issued.authority))
    tls = RedisTlsOptions(ca_file=str(issued.stranger_file))
    queue = opened.enter_context(closing(queue_at(own_valkey, proxy, tls)))
    with pytest.raises(TicketOpsError, match="certificate") as refused:
        queue.count()
    assert "rediss" not in str(refused.value)


def test_a_certificate_of_another_host_is_refused(own_valkey: ValkeyServer, issued: Papers, opened: ExitStack) -> None:
    proxy = opened.enter_context(TlsProxy(own_valkey.port, issued.authority, name="elsewhere.example.org"))
    strict = RedisTlsOptions(ca_file=str(issued.ca_file))
    with closing(queue_at(own_valkey, proxy, strict)) as queue, pytest.raises(TicketOpsError, match="certificate"):
        queue.count()
    with closing(queue_at(own_valkey, proxy, RedisTlsOptions(verify=False))) as queue:
        assert queue.count() == 0


def test_a_server_that_asks_for_a_certificate_gets_the_clients(
    own_valkey: ValkeyServer, issued: Papers, opened: ExitStack
) -> None:
    proxy = opened.enter_context(TlsProxy(own_valkey.port, issued.authority, clients=True))
    own = RedisTlsOptions(
        ca_file=str(issued.ca_file),
        certificate_file=str(issued.certificate_file),
        key_file=str(issued.key_file),
    )
    with closing(queue_at(own_valkey, proxy, own)) as queue:
        assert queue.count() == 0
    bare = RedisTlsOptions(ca_file=str(issued.ca_file))
    with closing(queue_at(own_valkey, proxy, bare)) as queue, pytest.raises(TicketOpsError):
        queue.count()
