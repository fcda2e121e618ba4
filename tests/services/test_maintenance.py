"""What one leader among the relays does now and then, on the memory backend."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from support.outboxes import MAX_ATTEMPTS, MemoryBox, add, event, relay
from ticketops.backends.memory.store import MemoryFailure
from ticketops.domain.outbox import Aggregate, FailureState, Status
from ticketops.errors import BackendUnavailable, StatementCancelled
from ticketops.options import OutboxOptions, RelayOptions
from ticketops.services.maintenance import Maintenance, Round

DAY = 86_400.0
OPTIONS = RelayOptions(max_attempts=MAX_ATTEMPTS, adopt_failed_after=90.0, cleanup_interval=300.0, lease_seconds=10.0)


@dataclass
class Candidate:
    """One relay's maintenance."""

    box: MemoryBox
    name: str = "relay-1"
    outbox: OutboxOptions = field(default_factory=OutboxOptions)
    stopping: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.maintenance = Maintenance(
            self.box.care(),
            self.box.leases(),
            relay(self.name),
            self.outbox,
            OPTIONS,
            clock=self.box.clock.monotonic,
            stopping=self.stopping,
        )

    def round(self) -> Round:
        return self.maintenance.run_once()


@pytest.fixture
def box() -> MemoryBox:
    return MemoryBox()


def published(box: MemoryBox, count: int, days: float) -> list[bytes]:
    ids = add(box, *(event(f"B-{n}") for n in range(count)))
    for event_id in ids:
        box.change(event_id, Status.PUBLISHED)
        box.age(event_id, days * DAY)
    return ids


def test_one_leads_and_another_takes_over_when_it_is_gone(box: MemoryBox) -> None:
    one, two = Candidate(box), Candidate(box, "relay-2")
    assert one.round().leads
    assert not two.round().leads
    box.clock.advance(9)
    assert one.round().leads
    box.clock.advance(9)
    assert not two.round().leads
    box.clock.advance(2)
    assert two.round().leads
    assert not one.round().leads


def test_a_round_is_repeated_every_two_seconds(box: MemoryBox) -> None:
    assert Candidate(box).maintenance.step() == 2.0


def test_old_rows_are_cleaned_up_now_and_then(box: MemoryBox) -> None:
    one = Candidate(box)
    published(box, 3, 8)
    young = published(box, 1, 6)
    assert one.round() == Round(leads=True, deleted=3)
    published(box, 2, 8)
    box.clock.advance(9)
    assert one.round().deleted == 0
    for _ in range(40):
        box.clock.advance(9)
        done = one.round()
        if done.deleted:
            break
    assert done.deleted == 2
    assert set(box.store.rows) == set(young)


def test_a_large_cleanup_goes_on_in_the_same_round(box: MemoryBox) -> None:
    published(box, 2500, 8)
    assert Candidate(box).round().deleted == 2500


def test_a_cleanup_gives_way_to_a_stop_and_goes_on_where_time_is_up(box: MemoryBox) -> None:
    published(box, 2500, 8)
    assert Candidate(box, stopping=lambda: True).round().deleted == 0
    one = Candidate(box)
    care = one.maintenance._care
    delete = care.delete_published

    def slowly(older_than: float, limit: int) -> int:
        box.clock.advance(1.5)
        return delete(older_than, limit)

    care.delete_published = slowly  # type: ignore[method-assign]
    assert one.round().deleted == 2000
    assert one.round().deleted == 500


def test_a_retention_of_zero_keeps_everything(box: MemoryBox) -> None:
    published(box, 3, 800)
    assert Candidate(box, outbox=OutboxOptions(retention_days=0)).round().deleted == 0


def test_rows_that_nobody_retries_are_adopted_at_the_second_look(box: MemoryBox) -> None:
    one = Candidate(box)
    stray, retried, done = add(box, *(event(f"B-{n}") for n in range(3)))
    box.change(stray, Status.FAILED, 1)
    box.change(retried, Status.FAILED, 1)
    box.change(done, Status.FAILED, MAX_ATTEMPTS)
    assert one.round().adopted == 0
    box.clock.advance(8)
    assert one.round().adopted == 0
    box.change(retried, Status.FAILED, 2)
    adopted = 0
    for _ in range(11):
        box.clock.advance(8)
        adopted += one.round().adopted
    assert adopted == 1
    assert [box.store.rows[i].status for i in (stray, retried, done)] == [
        Status.PENDING, Status.FAILED, Status.FAILED,
    ]  # fmt: skip


@pytest.mark.parametrize("error", [StatementCancelled("PostgreSQL"), BackendUnavailable("PostgreSQL")])
def test_a_look_that_takes_too_long_keeps_nothing_from_cleanup(box: MemoryBox, error: BackendUnavailable) -> None:
    one, looks = Candidate(box), []

    def slow(max_attempts: int, limit: int) -> dict[UUID, int]:
        looks.append((max_attempts, limit))
        box.clock.advance(4)
        raise error

    one.maintenance._care.failed = slow  # type: ignore[method-assign]
    published(box, 3, 8)
    with suppress(BackendUnavailable):
        one.round()
    assert box.store.rows == {}
    for _ in range(40):
        box.clock.advance(9)
        assert one.round().leads
    assert len(looks) == 1


def test_what_was_seen_is_forgotten_with_the_lead(box: MemoryBox) -> None:
    one, two = Candidate(box), Candidate(box, "relay-2")
    (stray,) = add(box, event("A"))
    box.change(stray, Status.FAILED, 1)
    one.round()
    box.clock.advance(100)
    assert two.round() == Round(leads=True)
    assert not one.round().leads
    box.clock.advance(100)
    assert one.round() == Round(leads=True)
    assert box.store.rows[stray].status is Status.FAILED


def test_failures_are_tidied(box: MemoryBox) -> None:
    first, second = add(box, event("A"), event("A"))
    aggregate = Aggregate("BOOKING", "A")
    failure = MemoryFailure(aggregate, FailureState.PARKED, 5, None, "no", box.clock.at)
    box.store.failures[first] = failure
    box.change(first, Status.FAILED, 5)
    assert Candidate(box).round() == Round(leads=True, tidied=1)
    assert box.store.failures[second].error == f"parked behind {UUID(bytes=first)}"
