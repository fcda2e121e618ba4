"""`ticketops.deadletters`, the library, on Valkey with a local store."""

from collections.abc import Iterator

import pytest

from support.incidents import Incident
from ticketops.deadletters import DeadLetters, DeadLetterSelector, Outcome, Pace, PayloadEdit, Verb
from ticketops.errors import DeniedError, NotFoundError, RefusedError
from ticketops.options import RedisOptions

ALL = DeadLetterSelector(everything=True)


@pytest.fixture
def dead(incident: Incident, redis: RedisOptions) -> Iterator[DeadLetters]:
    file = incident.cli.folder / "ticketops.toml"
    with DeadLetters.load(file=file, settings={"redis.url": redis.url}, actor="tests@here") as opened:
        yield opened


def test_what_is_found_can_be_put_back(dead: DeadLetters, incident: Incident) -> None:
    incident.die(3, reason="timeout")
    incident.die(2, reason="invalid_data")
    assert (dead.queues, dead.depth("bookings")) == (("bookings",), 5)
    assert dead.stats("bookings").reasons == {"timeout": 3, "invalid_data": 2}
    timeouts = DeadLetterSelector(reason="timeout")
    assert len(list(dead.find(timeouts))) == 3
    with dead.plan(Verb.REQUEUE, timeouts) as plan:
        assert plan.lines[0] == "requeue 3 items in bookings 3"
    report = dead.requeue(timeouts, why="the provider is back", pace=Pace(rate=1000))
    assert (report.done, report.operation.actor, report.operation.reason) == (3, "tests@here", "the provider is back")
    assert len(incident.waiting) == 3
    assert [item.outcome for item in dead.items(dead.operation(str(report.operation.id)))] == [Outcome.DONE] * 3


def test_guards_hold_here_too(dead: DeadLetters, incident: Incident, redis: RedisOptions) -> None:
    (id_,) = incident.die(1)
    with pytest.raises(RefusedError):
        dead.requeue(DeadLetterSelector())
    with pytest.raises(NotFoundError):
        dead.requeue(DeadLetterSelector(ids=("dlq:no:1",)))
    dead.hold(ALL, note="mine")
    assert dead.discard(ALL).skipped == {Outcome.HELD: 1}
    settings = {"redis.url": redis.url, "read_only": "true"}
    with (
        DeadLetters.load(file=incident.cli.folder / "ticketops.toml", settings=settings) as locked,
        pytest.raises(DeniedError),
    ):
        locked.requeue(ALL)
    assert incident.dead == [id_]


def test_everything_else_a_command_can_do(dead: DeadLetters, incident: Incident) -> None:
    first, second = incident.die(2)
    assert dead.edit(DeadLetterSelector(ids=(first,)), PayloadEdit(sets=("Currency=EUR",))).done == 1
    assert dead.discard(ALL).done == 2
    assert incident.dead == []
    assert dead.restore(DeadLetterSelector(ids=(first,))).done == 1
    with dead.plan(Verb.PURGE, ALL) as gone, dead.plan(Verb.RESTORE, ALL) as back, dead.plan(Verb.REQUEUE, ALL) as live:
        assert [[item.id for item in plan.items] for plan in (gone, back, live)] == [[second], [second], [first]]
    assert dead.purge(ALL).done == 1
    (letter,) = dead.find(ALL)
    assert letter.id == first != second
    assert [entry.action for entry in dead.history(letter)] == ["dlq edit", "dlq discard", "dlq restore"]
    stopped = dead.requeue(ALL, pace=Pace(canary=1, canary_wait=0.0))
    assert stopped.done == 1
    with pytest.raises(RefusedError):
        dead.resume(stopped.operation)
    with pytest.raises(RefusedError):
        dead.cancel(stopped.operation)
