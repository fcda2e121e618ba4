"""Every change, its process ended before and after every call of a port; then it is resumed."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from support.changes import Crash, World
from ticketops.domain.deadletters import DeadLetter, Outcome
from ticketops.domain.operations import Operation, OperationState, Verb

ITEMS = 5


def prepared(verb: Verb) -> tuple[World, Operation, dict[str, Any]]:
    """A world with a stored operation, and what its runs are given."""
    world = World(batch=2)
    for number in range(ITEMS):
        world.die(number)
    letters = world.letters()
    more: dict[str, Any] = {}
    if verb in {Verb.RESTORE, Verb.IMPORT}:
        world.change(Verb.DISCARD if verb is Verb.RESTORE else Verb.PURGE)
    if verb is Verb.IMPORT:
        chosen = {letter.id: letter for letter in letters}
        more = {"pick": lambda items: {one.item.id: chosen[one.item.id] for one in items}}
    if verb is Verb.RELEASE:
        world.change(Verb.HOLD)
    world.clock.go(1)
    settings = {"edit": {"set": ["edited=true"]}} if verb is Verb.EDIT else {}
    return world, world.begin(world.plan(verb, letters=letters), **settings), more


def seen(world: World) -> dict[str, Any]:
    """Where everything is."""
    return {
        "queue": {letter.id: letter.payload for letter in world.letters()},
        "consumer": sorted(letter.id for letter in world.place.delivered["show-1"]),
        "archive": {
            letter.id: (letter.stored, archived.settled) for archived, letter in world.annotations.archived("bookings")
        },
        "held": sorted(world.annotations.held("bookings")),
        "edits": sorted(world.annotations.edits("bookings", [f"dead-{n}" for n in range(ITEMS)])),
    }


def cut_off(verb: Verb, at: int) -> tuple[World, Operation, dict[str, Any]] | None:
    """A run that died at that call; None where it ended before."""
    world, operation, more = prepared(verb)
    fuse = world.light()
    fuse.left = at
    try:
        world.run(operation, **more).first()
    except Crash:
        fuse.left = None
        world.clock.go(11)
        return world, operation, more
    return None


def every_cut(verb: Verb, check: Callable[[World, Operation, dict[str, Any]], None]) -> int:
    at = 0
    while (found := cut_off(verb, at)) is not None:
        check(*found)
        at += 1
    return at


def resumed(world: World, operation: Operation, more: dict[str, Any]) -> Operation:
    """Resumed to its end, unless it came so far."""
    if world.store.find(str(operation.id)).state is not OperationState.DONE:
        world.run(operation, **more).resume()
    found = world.store.find(str(operation.id))
    assert found.state is OperationState.DONE
    return found


CHANGES = [Verb.REQUEUE, Verb.DISCARD, Verb.RESTORE, Verb.PURGE, Verb.EDIT, Verb.HOLD, Verb.RELEASE, Verb.IMPORT]


@pytest.mark.parametrize("verb", CHANGES)
def test_a_resumed_change_ends_as_one_that_was_never_cut_off(verb: Verb) -> None:
    world, operation, more = prepared(verb)
    world.run(operation, **more).first()
    expected = seen(world)

    def check(world: World, operation: Operation, more: dict[str, Any]) -> None:
        assert resumed(world, operation, more).counts == {Outcome.DONE: ITEMS}
        assert seen(world) == expected

    assert every_cut(verb, check) >= 14


def back(world: World) -> None:
    """Everything that was discarded comes back."""
    letters: list[DeadLetter] = [letter for _, letter in world.annotations.archived("bookings")]
    if letters:
        world.run(world.begin(world.plan(Verb.RESTORE, letters=letters))).first()


MEANWHILE: dict[str, Callable[[World], object]] = {
    "requeued": lambda world: world.change(Verb.REQUEUE),
    "discarded": lambda world: world.change(Verb.DISCARD),
    "restored": back,
    "discarded and restored": lambda world: (world.change(Verb.DISCARD), back(world)),
    "restored and requeued": lambda world: (back(world), world.change(Verb.REQUEUE)),
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("verb", [Verb.REQUEUE, Verb.DISCARD, Verb.RESTORE, Verb.IMPORT, Verb.EDIT])
def test_what_others_do_before_the_resume_is_not_undone_or_doubled(verb: Verb, meanwhile: str) -> None:
    def check(world: World, operation: Operation, more: dict[str, Any]) -> None:
        world.clock.go(1)
        MEANWHILE[meanwhile](world)
        world.clock.go(1)
        resumed(world, operation, more)
        found = seen(world)
        delivered = Counter(found["consumer"])
        assert set(delivered.values()) <= {1}, "twice"
        for id_ in (f"dead-{n}" for n in range(ITEMS)):
            places = (id_ in found["queue"]) + delivered[id_]
            assert places <= 1, f"{id_} is in the queue, and was put back"
            assert places or id_ in found["archive"], f"{id_} is lost"
            assert not (delivered[id_] and id_ in found["archive"]), f"{id_} was put back, and can be restored"

    assert every_cut(verb, check) >= 14
