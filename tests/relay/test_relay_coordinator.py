"""What the coordinator and a lane hand to one another, in the turns that threads may take."""

from uuid import uuid4

from ticketops.backends.memory.leases import MemoryShardLeases
from ticketops.backends.memory.store import MemoryStore
from ticketops.domain.relay import Identity
from ticketops.options import RelayOptions
from ticketops.services.relay.coordinator import Coordinator
from ticketops.services.relay.state import Assignment, RelayState

_OPTIONS = RelayOptions(shards=4, lanes=1)


def _coordinator(store: MemoryStore, name: str) -> tuple[Coordinator, Assignment]:
    assignment = Assignment()
    identity = Identity(name, uuid4(), "host", 1, "test")
    coordinator = Coordinator(MemoryShardLeases(store), identity, _OPTIONS, RelayState(), [assignment])
    coordinator.start()
    return coordinator, assignment


def test_a_lane_that_lets_go_of_all_also_lets_go_of_what_was_asked_back() -> None:
    store = MemoryStore()
    first, lane = _coordinator(store, "first")
    first.step()
    lane.take()
    second, _ = _coordinator(store, "second")
    second.step()
    first.step()
    lane.forget(lane.held)
    first.step()
    lane.take()
    second.step()
    rest = [first.step(), first.step()]
    assert first.settled
    assert rest[-1] > 0.1
