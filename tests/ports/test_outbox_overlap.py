"""A batch that is settled while the next one is already recorded."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from support.outboxes import Box, add, event, own_all, request
from ticketops.domain.outbox import PendingEvent
from ticketops.domain.relay import Lease, Settlement
from ticketops.errors import BackendUnavailable, LeaseLost
from ticketops.ports.relay import OutboxSource
from ticketops.services.relay.settler import Conclusion, Settler


def settlement_of(held: tuple[Lease, ...], events: list[PendingEvent]) -> Settlement:
    shards = {one.shard for one in events}
    return Settlement(frozenset(lease for lease in held if lease.shard in shards), tuple(e.id for e in events))


def test_settling_a_batch_leaves_the_record_of_a_later_one(box: Box) -> None:
    held, source = own_all(box), box.source()
    add(box, event("A"), event("A"))
    first, second = (source.read(request(held))[n : n + 1] for n in (0, 1))
    earlier, later = uuid4(), uuid4()
    leases = settlement_of(held, first).leases
    source.begin(earlier, leases, first)
    source.begin(later, leases, second)
    source.settle(Settlement(leases, (first[0].id,), batch_id=earlier))
    assert box.batches() == {first[0].shard: (second[0].id,)}
    source.settle(Settlement(leases, (second[0].id,), batch_id=later))
    assert box.batches() == {}
    assert source.read(request(held)) == []


class Moody:
    """A source whose settling fails as long as it is told to."""

    def __init__(self, source: OutboxSource) -> None:
        self.source = source
        self.mood: Exception | None = None
        self.written: list[Settlement] = []

    def settle(self, settlement: Settlement) -> frozenset[bytes]:
        if self.mood is not None:
            raise self.mood
        self.written.append(settlement)
        return self.source.settle(settlement)

    def close(self) -> None:
        self.source.close()


@pytest.fixture
def moody(make_box: Callable[[str], Box]) -> tuple[Moody, Settlement, Settlement]:
    box = make_box("memory")
    held = own_all(box)
    add(box, event("A"), event("B"))
    first, second = ([one] for one in box.source().read(request(held)))
    return Moody(box.source()), settlement_of(held, first), settlement_of(held, second)


def test_what_could_not_be_written_is_kept_and_written_first(moody: tuple[Moody, Settlement, Settlement]) -> None:
    source, first, second = moody
    settler = Settler(source)  # type: ignore[arg-type]  # it settles and closes, which is all that a settler asks for
    source.mood = BackendUnavailable("PostgreSQL")
    assert list(settler.begin(Conclusion(first))) == []
    with pytest.raises(BackendUnavailable):
        list(settler.begin(Conclusion(second)))
    assert settler.stuck
    assert settler.ids == (*first.published, *second.published)
    source.mood = None
    assert [one.conclusion.settlement for one in settler.finish()] == [first, second]
    assert source.written == [first, second]
    assert (settler.ids, settler.stuck) == ((), False)
    settler.close()


def test_what_belongs_to_another_relay_is_dropped(moody: tuple[Moody, Settlement, Settlement]) -> None:
    source, first, _ = moody
    settler = Settler(source)  # type: ignore[arg-type]  # as above
    source.mood = LeaseLost("gone")
    list(settler.begin(Conclusion(first)))
    with pytest.raises(LeaseLost):
        list(settler.finish())
    settler.drop()
    assert list(settler.finish()) == []
    settler.close()
