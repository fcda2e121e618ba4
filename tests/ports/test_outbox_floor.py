"""OutboxSource.advance_floor: how far up nothing is pending, nor can become so by a commit."""

from contextlib import ExitStack, closing

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engines import MakePostgres
from support.outboxes import Box, MemoryBox, PostgresBox, PostgresWriter, add, event, own_all, request
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.database import UpgradeRequest
from ticketops.domain.outbox import Status
from ticketops.domain.relay import Lease, ReadRequest
from ticketops.errors import BackendUnavailable
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions
from ticketops.ports.relay import OutboxSource

CALLS = 4
"""More than it takes to move the floor where nothing stands in its way."""


def moved(source: OutboxSource, asked: ReadRequest) -> int | None:
    """The floor after some calls, as a lane makes them: each from where the one before came to."""
    floor = asked.floor
    for _ in range(CALLS):
        floor = source.advance_floor(request(asked.leases, floor=floor, paused_types=asked.paused_types))
    return floor


def publish_all(box: Box, ids: list[bytes]) -> None:
    for event_id in ids:
        box.change(event_id, Status.PUBLISHED)


def test_the_floor_rises_above_what_is_published(plain_box: Box) -> None:
    leases, source = own_all(plain_box), plain_box.source()
    ids = add(plain_box, *(event(f"B-{n}") for n in range(6)))
    seqs = {e.id: e.seq or 0 for e in source.read(request(leases))}
    publish_all(plain_box, ids[:4])
    floor = moved(source, request(leases))
    assert floor is not None
    assert seqs[ids[3]] <= floor < seqs[ids[4]]
    assert [e.id for e in source.read(request(leases, floor=floor))] != []
    publish_all(plain_box, ids[4:])
    assert (moved(source, request(leases, floor=floor)) or 0) >= seqs[ids[5]]


def test_the_floor_rises_again_after_it_was_given_up(plain_box: Box) -> None:
    leases, source = own_all(plain_box), plain_box.source()
    publish_all(plain_box, add(plain_box, event("B-1"), event("B-2")))
    source.read(request(leases))
    first = moved(source, request(leases))
    publish_all(plain_box, add(plain_box, *(event(f"B-{n}") for n in range(5))))
    add(plain_box, event("B-1"))
    source.read(request(leases[:2]))
    source.read(request(leases))
    again = moved(source, request(leases[:2]))
    assert again is not None
    assert again > (first or 0)


def test_the_floor_stays_below_an_open_transaction(seq_box: Box) -> None:
    leases, source = own_all(seq_box), seq_box.source()
    with seq_box.writing() as late:
        late.add(event("B-1"))
        add(seq_box, event("B-1"), event("B-2"))
        seen = source.read(request(leases))
        assert len(seen) == 2
        settle_by_hand(seq_box, [e.id for e in seen])
        floor = moved(source, request(leases))
    (found,) = source.read(request(leases, floor=floor))
    assert found.seq is not None
    assert found.seq > (floor or 0)


def settle_by_hand(box: Box, ids: list[bytes]) -> None:
    if box.has_status:
        publish_all(box, ids)
    elif isinstance(box, PostgresBox):
        for event_id in ids:
            box.sql(f"delete from {box.table} where id = %s", event_id.hex())


def test_paused_types_do_not_hold_the_floor(plain_box: Box) -> None:
    leases, source = own_all(plain_box), plain_box.source()
    add(plain_box, event("P-1", "PAYMENT"))
    publish_all(plain_box, add(plain_box, event("B-1")))
    (last,) = add(plain_box, event("B-2"))
    seqs = {e.id: e.seq or 0 for e in source.read(request(leases))}
    paused = frozenset({"PAYMENT"})
    assert moved(source, request(leases, paused_types=paused)) == seqs[last] - 1


def test_the_floor_never_falls(seq_box: Box) -> None:
    leases, source = own_all(seq_box), seq_box.source()
    add(seq_box, event("B-1"))
    source.read(request(leases))
    assert source.advance_floor(request(leases, floor=1_000_000)) == 1_000_000
    assert moved(source, request(leases, floor=1_000_000)) == 1_000_000


def test_a_table_without_a_seq_has_no_floor(make_box: object) -> None:
    box = make_box("postgres-no-seq")  # type: ignore[operator]
    leases, source = own_all(box), box.source()
    add(box, event("B-1"))
    source.read(request(leases))
    assert moved(source, request(leases)) is None


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "insert", "commit", "relay", "floor", "restart"]), st.integers(0, 3)),
    max_size=40,
)


class Relay:
    """Reads above its floor and publishes what it finds, as a lane does."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.leases: tuple[Lease, ...] = own_all(box)
        self.source = box.source()
        self.floor: int | None = None
        self.published: list[bytes] = []

    def work(self) -> None:
        for found in self.source.read(request(self.leases, floor=self.floor, limit=3)):
            self.published.append(found.id)
            self.box.change(found.id, Status.PUBLISHED)

    def move(self) -> None:
        floor = self.source.advance_floor(request(self.leases, floor=self.floor))
        assert floor is None or floor >= (self.floor or 0)
        self.floor = floor


def run(box: Box, steps: list[Step]) -> None:
    relay, written = Relay(box), 0
    with ExitStack() as stack:
        writers: dict[int, tuple[ExitStack, object]] = {}
        for what, number in steps:
            if what == "open" and number not in writers:
                inner = stack.enter_context(ExitStack())
                writers[number] = inner, inner.enter_context(box.writing())
            elif what == "insert" and number in writers:
                writers[number][1].add(event(f"B-{number}"))  # type: ignore[attr-defined]
                written += 1
            elif what == "commit" and number in writers:
                writers.pop(number)[0].close()
            elif what == "relay":
                relay.work()
            elif what == "floor":
                relay.move()
            elif what == "restart":
                relay.floor = None
    while before := len(relay.published) + 1:
        relay.work()
        if len(relay.published) < before:
            break
    assert len(relay.published) == written


@given(steps=STEPS)
@settings(max_examples=150)
def test_nothing_is_ever_below_the_floor_in_memory(steps: list[Step]) -> None:
    run(MemoryBox(), steps)


@given(steps=STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_nothing_is_ever_below_the_floor_in_postgres(shared_box: PostgresBox, steps: list[Step]) -> None:
    shared_box.empty()
    run(shared_box, steps)


def test_a_prepared_transaction_holds_the_floor_through_a_restart(make_postgres: MakePostgres) -> None:
    server = make_postgres(settings={"max_prepared_transactions": "4"})
    postgres = PostgresOptions(url=server.address)
    PostgresSchema(postgres, OutboxOptions(), RelayOptions()).apply(
        UpgradeRequest(), actor="tests", progress=lambda _: None
    )
    with closing(PostgresBox(postgres)) as box:
        leases, source = own_all(box), box.source()
        with psycopg.connect(postgres.url, autocommit=True) as late:
            late.execute("begin")
            PostgresWriter(box, late).add(event("B-1"))
            ids = add(box, event("B-2"), event("B-3"))
            assert len(source.read(request(leases))) == 2
            publish_all(box, ids)
            source.advance_floor(request(leases))
            late.execute("prepare transaction 'late'")
        server.restart()
        with pytest.raises(BackendUnavailable):
            source.advance_floor(request(leases))
        floor = moved(source, request(leases))
        with psycopg.connect(postgres.url, autocommit=True) as other:
            other.execute("commit prepared 'late'")
        assert len(source.read(request(leases, floor=floor))) == 1
