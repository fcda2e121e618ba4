"""ShardLeases: who owns which shard, in memory and in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.outboxes import TTL, Box, MemoryBox, PostgresBox, add, event, own_all, relay, request
from ticketops.backends.postgres.relay_leases import PostgresShardLeases
from ticketops.domain.outbox import FailureState
from ticketops.domain.relay import Failed, Identity, Lease, PauseScope, Report, Settlement
from ticketops.errors import RelayIdTaken, ShardCountMismatch
from ticketops.options import OutboxOptions, PostgresOptions
from ticketops.ports.relay import ShardLeases


def test_a_relay_joins_and_takes_every_shard(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    leases.prepare(4)
    leases.prepare(4)
    leases.join(me, TTL)
    taken = leases.acquire(me, 10, TTL)
    assert sorted(t.lease for t in taken) == [Lease(shard, 1) for shard in range(4)]
    assert all(t.unfinished is None for t in taken)
    membership = leases.heartbeat(me, Report(), TTL)
    assert membership.held == frozenset(t.lease for t in taken)
    assert (membership.live, membership.free, membership.pauses) == (("relay-1",), 0, ())
    assert (membership.failures, membership.generation) == (False, 0)


def test_only_so_many_are_acquired_as_are_asked_for(plain_box: Box) -> None:
    leases, me, other = plain_box.leases(), relay(), relay("relay-2")
    leases.prepare(4)
    for identity in (me, other):
        leases.join(identity, TTL)
    first = leases.acquire(me, 3, TTL)
    second = leases.acquire(other, 3, TTL)
    assert (len(first), len(second)) == (3, 1)
    assert not {t.lease.shard for t in first} & {t.lease.shard for t in second}
    assert leases.heartbeat(other, Report(), TTL).live == ("relay-1", "relay-2")


def test_an_id_in_use_is_refused(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    leases.prepare(4)
    leases.join(me, TTL)
    with pytest.raises(RelayIdTaken, match="relay-1"):
        leases.join(relay(), TTL)
    leases.join(me, TTL)
    plain_box.expire()
    heir = relay()
    leases.join(heir, TTL)
    with pytest.raises(RelayIdTaken):
        leases.heartbeat(me, Report(), TTL)
    leases.leave(me)
    assert leases.heartbeat(heir, Report(), TTL).live == ("relay-1",)


def test_a_new_instance_finds_the_shards_of_the_old_one_free(plain_box: Box) -> None:
    leases, me, heir = plain_box.leases(), relay(), relay()
    leases.prepare(4)
    leases.join(me, TTL)
    leases.acquire(me, 4, TTL)
    plain_box.expire()
    leases.join(heir, TTL)
    assert leases.heartbeat(heir, Report(), TTL).held == frozenset()
    assert [t.lease.epoch for t in leases.acquire(heir, 4, TTL)] == [2] * 4


def test_a_heartbeat_extends_membership_and_leases(plain_box: Box) -> None:
    leases, me, other = plain_box.leases(), relay(), relay("relay-2")
    leases.prepare(4)
    for identity in (me, other):
        leases.join(identity, TTL)
    taken = {t.lease for t in leases.acquire(me, 4, TTL)}
    plain_box.expire()
    assert leases.heartbeat(other, Report(), TTL).free == 4
    assert leases.heartbeat(me, Report(), TTL).held == taken
    assert leases.heartbeat(other, Report(), TTL).free == 0
    assert leases.acquire(other, 4, TTL) == ()


def test_a_lease_taken_over_is_not_in_the_answer(plain_box: Box) -> None:
    leases, me, other = plain_box.leases(), relay(), relay("relay-2")
    leases.prepare(4)
    for identity in (me, other):
        leases.join(identity, TTL)
    leases.acquire(me, 4, TTL)
    plain_box.expire()
    gone = leases.acquire(other, 1, TTL)[0].lease
    held = leases.heartbeat(me, Report(), TTL).held
    assert gone.epoch == 2
    assert held == {Lease(shard, 1) for shard in range(4)} - {Lease(gone.shard, 1)}


def test_a_takeover_tells_what_was_in_flight(plain_box: Box) -> None:
    held = own_all(plain_box)
    ids = add(plain_box, *(event(f"B-{n}") for n in range(8)))
    source = plain_box.source()
    events, batch = source.read(request(held)), uuid4()
    source.begin(batch, frozenset(held), events)
    plain_box.expire()
    leases, other = plain_box.leases(), relay("relay-2")
    leases.join(other, TTL)
    taken = leases.acquire(other, 4, TTL)
    left = {t.lease.shard: t.unfinished for t in taken}
    shards = {e.shard for e in events}
    assert {shard for shard, unfinished in left.items() if unfinished} == shards
    assert sorted(i for u in left.values() if u for i in u.event_ids) == sorted(ids)
    for unfinished in left.values():
        if unfinished:
            assert unfinished.batch_id == batch
            assert unfinished.survived <= 0


def test_a_takeover_tells_how_long_the_owner_lived() -> None:
    box, me = MemoryBox(), relay()
    held = own_all(box, me)
    add(box, event("B-1"))
    source = box.source()
    source.begin(uuid4(), frozenset(held), source.read(request(held)))
    box.clock.advance(3)
    box.leases().heartbeat(me, Report(), TTL)
    box.clock.advance(TTL + 1)
    taken = box.leases().acquire(relay("relay-2"), 4, TTL)
    assert [t.unfinished.survived for t in taken if t.unfinished] == [3.0]


def test_release_gives_back_what_is_ours(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    held = own_all(plain_box, me)
    leases.release(held[:2])
    leases.release(())
    assert leases.heartbeat(me, Report(), TTL).held == frozenset(held[2:])
    again = leases.acquire(me, 4, TTL)
    assert sorted(t.lease for t in again) == sorted(Lease(lease.shard, 2) for lease in held[:2])
    leases.release(held[:2])
    assert len(leases.heartbeat(me, Report(), TTL).held) == 4


def test_leaving_frees_everything_and_may_be_repeated(plain_box: Box) -> None:
    leases, me, other = plain_box.leases(), relay(), relay("relay-2")
    own_all(plain_box, me)
    assert leases.lead("sweep", me, TTL)
    leases.leave(me)
    leases.leave(me)
    leases.join(other, TTL)
    membership = leases.heartbeat(other, Report(), TTL)
    assert (membership.live, membership.free) == (("relay-2",), 4)
    assert leases.lead("sweep", other, TTL)
    with pytest.raises(RelayIdTaken):
        leases.heartbeat(me, Report(), TTL)


def test_one_relay_leads_a_task(plain_box: Box) -> None:
    leases, me, other = plain_box.leases(), relay(), relay("relay-2")
    leases.prepare(4)
    assert leases.lead("sweep", me, TTL)
    assert leases.lead("sweep", me, TTL)
    assert not leases.lead("sweep", other, TTL)
    assert leases.lead("count", other, TTL)
    plain_box.expire()
    assert leases.lead("sweep", other, TTL)
    assert not leases.lead("sweep", me, TTL)


def test_another_number_of_shards_needs_idle_ones(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    held = own_all(plain_box, me)
    with pytest.raises(ShardCountMismatch, match="4 shards, not 8"):
        leases.prepare(8)
    add(plain_box, event("B-1"))
    source = plain_box.source()
    source.begin(uuid4(), frozenset(held), source.read(request(held)))
    leases.release(held)
    with pytest.raises(ShardCountMismatch):
        leases.prepare(8)
    source.settle(Settlement(frozenset(held), ()))
    leases.prepare(8)
    taken = leases.acquire(me, 10, TTL)
    assert [t.lease.shard for t in sorted(taken, key=lambda t: t.lease)] == list(range(8))


def test_owners_from_before_a_change_of_shards_are_locked_out(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    old = own_all(plain_box, me)
    leases.release(old)
    leases.prepare(2)
    leases.prepare(4)
    new = {t.lease for t in leases.acquire(me, 4, TTL)}
    assert not new & set(old)


def test_pauses_are_told_and_ended(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    own_all(plain_box, me)
    leases.pause(PauseScope.TOPIC, "booking-events", "ann@here", "broker upgrade")
    pause = leases.pause(PauseScope.TOPIC, "booking-events", "bob@here", "still")
    leases.pause(PauseScope.ALL, "", "ann@here", "all")
    assert (pause.scope, pause.value, pause.by, pause.reason) == (
        PauseScope.TOPIC, "booking-events", "bob@here", "still",
    )  # fmt: skip
    told = leases.heartbeat(me, Report(), TTL).pauses
    assert {(p.scope, p.value, p.by) for p in told} == {
        (PauseScope.ALL, "", "ann@here"),
        (PauseScope.TOPIC, "booking-events", "bob@here"),
    }
    assert leases.status().pauses == told
    assert leases.resume(PauseScope.TOPIC, "booking-events", "bob@here", "done")
    assert not leases.resume(PauseScope.TOPIC, "booking-events", "bob@here", "done")
    assert [p.scope for p in leases.status().pauses] == [PauseScope.ALL]


def test_failures_and_changes_are_told(plain_box: Box) -> None:
    leases, me = plain_box.leases(), relay()
    held = own_all(plain_box, me)
    add(plain_box, event("B-1"), event("B-2"))
    source = plain_box.source()
    dead, blocked = source.read(request(held))
    settled = frozenset(lease for lease in held if lease.shard in {dead.shard, blocked.shard})
    source.settle(Settlement(settled, (), failed=(Failed(dead, FailureState.DEAD, 5, None, "no"),)))
    assert not leases.heartbeat(me, Report(), TTL).failures
    source.settle(Settlement(settled, (), failed=(Failed(blocked, FailureState.BLOCKED, 5, None, "no"),)))
    assert leases.heartbeat(me, Report(), TTL).failures
    plain_box.tell_change()
    plain_box.tell_change()
    assert leases.heartbeat(me, Report(), TTL).generation == 2


def test_status_shows_members_and_shards(plain_box: Box) -> None:
    leases, me = plain_box.leases(), Identity("relay-1", uuid4(), "host-1", 42, "9.9")
    held = own_all(plain_box, me)
    report = Report(7, 2, 1.5, "Kafka", "boom\n\x1b[31m", datetime(2026, 11, 23, tzinfo=UTC))
    leases.heartbeat(me, report, TTL)
    leases.release(held[:1])
    add(plain_box, *(event(f"B-{n}") for n in range(20)))
    source = plain_box.source()
    events = source.read(request(held[1:2]))
    source.begin(uuid4(), frozenset(held), events)
    status = leases.status()
    (member,) = status.members
    assert (member.relay_id, member.host, member.pid, member.version) == ("relay-1", "host-1", 42, "9.9")
    assert (member.live, member.shards, member.report) == (True, 3, report)
    assert 0 <= member.seen_seconds < 30
    free, busy = status.shards[held[0].shard], status.shards[held[1].shard]
    assert (free.owner, free.expires_in, free.inflight, free.inflight_seconds) == (None, None, 0, None)
    assert (busy.owner, busy.epoch, busy.inflight) == ("relay-1", 1, len(events))
    assert 0 < (busy.expires_in or 0) <= TTL
    assert (busy.inflight_seconds or 0) >= 0
    plain_box.expire()
    status = leases.status()
    assert not status.members[0].live
    assert (status.shards[held[1].shard].expires_in or 0) < 0


def test_closing_may_be_repeated(plain_box: Box) -> None:
    leases = plain_box.leases()
    leases.prepare(4)
    leases.close()
    leases.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "beat", "acquire", "release", "leave", "expire", "send"]),
        st.integers(0, 2),
        st.integers(1, 4),
    ),
    max_size=50,
)


class World:
    """Three relays; checks that nobody ever gets what another has, and that stale ones are locked out."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.leases = [box.leases() for _ in range(3)]
        self.sources = [box.source() for _ in range(3)]
        self.relays = [relay(f"relay-{number}") for number in range(3)]
        self.leases[0].prepare(box.shards)
        self.given: set[Lease] = set()
        self.current: dict[int, Lease] = {}
        self.held: list[set[Lease]] = [set(), set(), set()]
        self.keys = [event(f"B-{n}") for n in range(12)]
        add(box, *self.keys)

    def step(self, what: str, who: int, limit: int) -> None:
        me, leases = self.relays[who], self.leases[who]
        if what == "join":
            leases.join(me, TTL)
        elif what == "expire":
            self.box.expire()
        elif what == "leave":
            leases.leave(me)
        elif what == "release":
            leases.release(tuple(self.held[who])[:limit])
        elif what == "beat":
            self.beat(who)
        elif what == "acquire":
            self.acquire(who, limit)
        else:
            self.send(who)

    def beat(self, who: int) -> None:
        try:
            membership = self.leases[who].heartbeat(self.relays[who], Report(), TTL)
        except RelayIdTaken:
            return
        assert membership.held <= self.held[who]
        assert membership.held <= set(self.current.values())

    def acquire(self, who: int, limit: int) -> None:
        for takeover in self.leases[who].acquire(self.relays[who], limit, TTL):
            lease = takeover.lease
            assert lease not in self.given
            assert all(lease.epoch > given.epoch for given in self.given if given.shard == lease.shard)
            self.given.add(lease)
            self.current[lease.shard] = lease
            self.held[who].add(lease)

    def send(self, who: int) -> None:
        for lease in sorted(self.held[who]):
            events = self.sources[who].read(request((lease,)))
            if events:
                lost = None
                try:
                    self.sources[who].begin(uuid4(), frozenset({lease}), events)
                except Exception as error:  # noqa: BLE001 - judged below
                    lost = type(error).__name__
                assert lost == (None if self.current[lease.shard] == lease else "LeaseLost")


@given(steps=STEPS)
@settings(max_examples=150)
def test_no_shard_is_held_twice_at_one_epoch_in_memory(steps: list[tuple[str, int, int]]) -> None:
    world = World(MemoryBox())
    for step in steps:
        world.step(*step)


@given(steps=STEPS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_no_shard_is_held_twice_at_one_epoch_in_postgres(
    shared_box: PostgresBox, steps: list[tuple[str, int, int]]
) -> None:
    shared_box.empty()
    world = World(shared_box)
    for step in steps:
        world.step(*step)


def test_a_relay_with_another_number_of_shards_is_told_and_gets_none(plain_box: Box) -> None:
    old, new, me = plain_box.leases(), plain_box.leases(), relay()
    old.prepare(4)
    old.join(me, TTL)
    assert len(old.acquire(me, 1, TTL)) == 1
    plain_box.expire()
    new.prepare(2)
    assert old.acquire(me, 4, TTL) == ()
    with pytest.raises(ShardCountMismatch, match="2 shards, not 4"):
        old.heartbeat(me, Report(), TTL)
    assert len(new.acquire(me, 4, TTL)) == 2


def test_relays_that_acquire_at_once_never_get_the_same(make_box: Any) -> None:
    box = make_box("postgres")
    box.leases().prepare(box.shards)
    relays = [(relay(f"relay-{n}"), box.leases()) for n in range(4)]
    given: list[Lease] = []
    for _ in range(5):
        start = Barrier(len(relays))

        def acquire(me: Identity, leases: ShardLeases, start: Barrier = start) -> list[Lease]:
            start.wait(10)
            return [takeover.lease for takeover in leases.acquire(me, 2, TTL)]

        with ThreadPoolExecutor(len(relays)) as pool:
            taken = [lease for leases in pool.map(lambda pair: acquire(*pair), relays) for lease in leases]
        assert sorted(lease.shard for lease in taken) == sorted({lease.shard for lease in taken})
        given += taken
        box.expire()
    assert len(given) == len(set(given))
    assert {lease.shard for lease in given} == set(range(box.shards))


def test_leaving_one_outbox_leaves_the_tasks_of_another(boxes: PostgresOptions) -> None:
    one, other = (PostgresShardLeases(boxes, OutboxOptions(table=name), "tests") for name in ("task_s", "taskxs"))
    with closing(one), closing(other):
        me, rival = relay(), relay("relay-2")
        for leases in (one, other):
            leases.join(me, TTL)
            assert leases.lead("sweep", me, TTL)
        one.leave(me)
        assert not other.lead("sweep", rival, TTL)
        assert one.lead("sweep", rival, TTL)
