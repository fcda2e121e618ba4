"""Random changes, runners that die between any two calls, operators who meet: nothing is lost or happens twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.changes import Crash, World
from ticketops.domain.deadletters import DeadLetter, Outcome
from ticketops.domain.operations import ENDED, Operation, OperationItem, Verb
from ticketops.errors import RefusedError
from ticketops.services.dlq.runner import Progress, Surroundings

LEASE = 11


OF_THE_QUEUE = [Verb.REQUEUE, Verb.DISCARD, Verb.DISCARD, Verb.HOLD, Verb.RELEASE, Verb.EDIT, Verb.PURGE]
CHOSEN = st.just(-1) | st.integers(1, 255)
"""A bit for each item."""
CRASH = st.none() | st.integers(0, 32) | st.integers(8, 24)
"""Calls until the process dies; each counts twice, before and after."""


def picked(letters: list[DeadLetter], bits: int) -> list[DeadLetter]:
    return [letter for number, letter in enumerate(letters) if bits >> number & 1]


class Incident(RuleBasedStateMachine):
    @initialize(batch=st.integers(1, 4), number=st.integers(1, 5))
    def begin(self, batch: int, number: int) -> None:
        self.world = World(batch=batch)
        self.fuse = self.world.light()
        self.number = 0
        self.kept: dict[str, DeadLetter] = {}
        self.may_be_purged: set[str] = set()
        self.open: list[Operation] = []
        self.imports: dict[Any, dict[str, DeadLetter]] = {}
        for _ in range(number):
            self.die()

    @rule()
    def die(self) -> None:
        self.number += 1
        id_ = self.world.die(self.number)
        self.kept[id_] = self.world.place.letters[id_]

    @rule()
    def fail_again(self) -> None:
        for letter in self.world.place.delivered["show-1"]:
            self.number += 1
            new = replace(letter, id=f"dead-{self.number}", failed_at=self.world.clock.now(), stored=b"", digest="")
            self.world.place.add(new)
            self.kept[new.id] = self.world.place.letters[new.id]
            return

    @rule(verb=st.sampled_from(OF_THE_QUEUE), chosen=CHOSEN, crash=CRASH)
    def change_the_queue(self, verb: Verb, chosen: int, crash: int | None) -> None:
        letters = picked(self.world.letters(), chosen)
        if verb is Verb.PURGE:
            self.may_be_purged |= {letter.id for letter in letters}
        more: dict[str, object] = {"edit": {"set": ["edited=true"]}} if verb is Verb.EDIT else {}
        self.until(crash, self.store(verb, letters, **more))

    @precondition(lambda self: self.archive())
    @rule(verb=st.sampled_from([Verb.RESTORE, Verb.RESTORE, Verb.RESTORE, Verb.PURGE]), chosen=CHOSEN, crash=CRASH)
    def change_the_archive(self, verb: Verb, chosen: int, crash: int | None) -> None:
        letters = picked(self.archive(), chosen)
        if verb is Verb.RESTORE:
            self.until(crash, self.store(verb, letters))
        else:
            self.may_be_purged |= {letter.id for letter in letters}
            self.until(crash, self.store(verb, letters, archive=True, past_holds=True))

    def archive(self) -> list[DeadLetter]:
        return [letter for _, letter in self.world.annotations.archived("bookings")]

    @rule()
    def bring_back_what_was_purged(self) -> None:
        gone = [id_ for id_ in sorted(self.may_be_purged) if not self.places(id_) and not self.being_brought_back(id_)]
        if gone:
            letters = {id_: self.kept[id_] for id_ in gone}
            self.imports[self.store(Verb.IMPORT, list(letters.values())).id] = letters

    def being_brought_back(self, id_: str) -> bool:
        return any(id_ in self.imports.get(operation.id, ()) for operation in self.open) or any(
            operation.verb is Verb.PURGE and id_ in {one.item.id for one in self.world.store.items(operation.id)}
            for operation in self.open
        )

    def store(self, verb: Verb, letters: Sequence[DeadLetter], **more: object) -> Operation:
        self.world.clock.go(1)
        operation = self.world.begin(self.world.plan(verb, letters=letters), **more)
        self.open.append(operation)
        return operation

    @precondition(lambda self: self.open)
    @rule(
        which=st.integers(0, 20),
        crash=CRASH,
        meets=st.none() | st.tuples(st.integers(0, 20), st.integers(1, 4)),
    )
    def work(self, which: int, crash: int | None, meets: tuple[int, int] | None) -> None:
        """Run or resume an operation; another may be run in the middle of it, and its process may die."""
        operation = self.open[which % len(self.open)]
        others = [other for other in self.open if other.id != operation.id]

        def meet(progress: Progress) -> None:
            self.world.clock.go(0.3)
            if meets and others and progress.done >= meets[1]:
                other = others.pop(meets[0] % len(others))
                others.clear()
                before, self.fuse.left = self.fuse.left, None
                self.attempt(other)
                self.fuse.left = before

        self.until(crash, operation, meet)

    def until(self, crash: int | None, operation: Operation, observe: Any = None) -> None:
        self.fuse.left = crash
        try:
            self.attempt(operation, observe)
        except Crash:
            self.world.clock.go(LEASE)
        finally:
            self.fuse.left = None

    def attempt(self, operation: Operation, observe: Any = None) -> None:
        letters = self.imports.get(operation.id, {})

        def pick(items: Sequence[OperationItem]) -> dict[str, DeadLetter]:
            return {one.item.id: letters[one.item.id] for one in items}

        self.world.clock.go(1)
        watched = observe or (lambda _: self.world.clock.go(0.3))
        around = Surroundings(observe=watched, clock=self.world.clock.monotonic)
        run = self.world.run(operation, around, pick=pick)
        try:
            run.resume()
        except RefusedError:
            pass
        finally:
            self.open = [one for one in self.open if self.state(one) not in ENDED]

    def state(self, operation: Operation) -> Any:
        before, self.fuse.left = self.fuse.left, None
        found = self.world.store.find(str(operation.id)).state
        self.fuse.left = before
        return found

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        operation = self.open[which % len(self.open)]
        self.world.store.cancel(operation.id, "bob@there", "")
        self.open = [one for one in self.open if self.state(one) not in ENDED]

    def places(self, id_: str) -> list[str]:
        """Where one death is now; twice in a place is two."""
        archive = {letter.id for _, letter in self.world.annotations._port.archived("bookings")}
        found = ["queue"] * (id_ in self.world.place.letters)
        found += ["consumer"] * Counter(one.id for one in self.world.place.delivered["show-1"])[id_]
        return found or ["archive"] * (id_ in archive)

    @invariant()
    def nothing_is_lost_or_twice(self) -> None:
        if not hasattr(self, "kept"):
            return
        for id_ in self.kept:
            found = self.places(id_)
            assert len(found) <= 1, f"{id_} is in {found}"
            assert found or id_ in self.may_be_purged, f"{id_} is lost"

    def teardown(self) -> None:
        """What was cut off is resumed to its end; then the books are right."""
        if not hasattr(self, "world"):
            return
        self.fuse.left = None
        for _ in range(len(self.open)):
            if self.open:
                self.attempt(self.open[0])
        self.nothing_is_lost_or_twice()
        assert not self.open
        self.the_books_are_right()

    def the_books_are_right(self) -> None:
        done = Counter[str]()
        cancelled = False
        for operation in self.world.store.recent(limit=1000):
            items = list(self.world.store.items(operation.id))
            assert Counter(one.outcome for one in items if one.outcome) == Counter(operation.counts)
            cancelled |= operation.state.value == "cancelled"
            assert operation.left == 0 or operation.state.value == "cancelled"
            if operation.verb is Verb.REQUEUE:
                done.update(one.item.id for one in items if one.outcome is Outcome.DONE)
        delivered = Counter(one.id for one in self.world.place.delivered["show-1"])
        assert delivered >= done
        assert cancelled or delivered == done


TestIncident = Incident.TestCase
TestIncident.settings = settings(max_examples=150, stateful_step_count=30, suppress_health_check=list(HealthCheck))
