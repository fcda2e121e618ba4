"""Two units at a time, interleaved in any way: one wins, no event has two effects, every history keeps to the table."""

from contextlib import AbstractContextManager, suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from support.machines import booking
from ticketops.backends.memory.states import MemoryStateView
from ticketops.backends.memory.transitions import MemoryMachineRows, MemoryTransitions
from ticketops.domain.bookings import BOOKING
from ticketops.domain.machine import Refusal
from ticketops.errors import LockTimeout
from ticketops.ports.transitions import Unit
from ticketops.services.transitions.verifying import Verifier

slots = st.sampled_from([0, 1])


class Interleaved(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rows = MemoryMachineRows()
        self.store = MemoryTransitions(BOOKING, self.rows, lock_timeout=0.0)
        with self.store.unit() as unit:
            self.keys = [unit.create(booking(), triggered_by="t").key for _ in range(2)]
        self.open: dict[int, tuple[AbstractContextManager[Unit], Unit]] = {}
        self.doing: dict[int, list[str]] = {}
        self.done: list[str] = []
        """Events whose effect was committed."""

    @rule(slot=slots)
    def begin(self, slot: int) -> None:
        if slot not in self.open:
            context = self.store.unit()
            self.open[slot], self.doing[slot] = (context, context.__enter__()), []

    @precondition(lambda self: self.open)
    @rule(slot=slots, key=st.integers(0, 1), event=st.sampled_from(BOOKING.events), event_id=st.integers(0, 9))
    def fire(self, slot: int, key: int, event: str, event_id: int) -> None:
        if slot not in self.open:
            return
        unit = self.open[slot][1]
        try:
            fresh = unit.unseen("t", [str(event_id)])
            found = unit.lock([self.keys[key]])
        except LockTimeout as error:
            self._end(slot, error)
            return
        draft = unit.draft(found[self.keys[key]], triggered_by="t")
        if fresh and not isinstance(draft.fire(event), Refusal):
            unit.save([draft.change()])
            self.doing[slot].append(str(event_id))

    @rule(slot=slots)
    def commit(self, slot: int) -> None:
        if slot in self.open:
            self.done += self.doing[slot]
            self._end(slot, None)

    def _end(self, slot: int, error: LockTimeout | None) -> None:
        context, _ = self.open.pop(slot)
        with suppress(LockTimeout):
            context.__exit__(type(error) if error else None, error, None)

    def teardown(self) -> None:
        for slot in list(self.open):
            self.commit(slot)
        assert len(self.done) == len(set(self.done)), "an event had two effects"
        assert len([row for row in self.rows.history if row.event != BOOKING.creation]) == len(self.done)
        assert not list(Verifier(BOOKING, MemoryStateView(BOOKING, self.rows), history_days=0, grace=-1.0).run())


TestInterleaved = Interleaved.TestCase
