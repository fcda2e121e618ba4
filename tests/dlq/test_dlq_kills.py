"""Requeues on real engines: killed, interrupted, cancelled, cut off, while a worker takes what comes back."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from support.booking_worker import BookingWorker
from support.forks import Fork
from support.incidents import Incident
from support.waiting import eventually
from ticketops.options import RedisOptions

pytestmark = pytest.mark.chaos
SHOWS = ("E1", "E2", "E3")


class Taker(threading.Thread):
    """The booking worker: takes what is in the shows' queues, for as long as it runs."""

    def __init__(self, options: RedisOptions, prefix: str) -> None:
        super().__init__(daemon=True)
        self.worker = BookingWorker(Redis.from_url(options.url), prefix)
        self.taken = Counter[str]()
        self.count = 0
        self.fail_again = 0
        self.stop = threading.Event()
        self.idle = 0
        """Rounds that found nothing: what earlier ones took is counted."""

    def run(self) -> None:
        while not self.stop.is_set():
            items = [item for show in SHOWS if (item := self.worker.take(show)) is not None]
            for item in items:
                self.taken[item.id] += 1
                self.count += 1
                if self.fail_again:
                    self.fail_again -= 1
                    self.worker.dead_letter(item)
            if not items:
                self.idle += 1
                self.stop.wait(0.005)


@pytest.fixture
def taker(redis: RedisOptions, incident: Incident) -> Iterator[Taker]:
    taker = Taker(redis, incident.worker.prefix)
    taker.start()
    yield taker
    taker.stop.set()
    taker.join()
    taker.worker.redis.close()


@pytest.fixture(params=["local", "postgres"])
def kept(request: pytest.FixtureRequest, incident: Incident) -> Incident:
    """With operations in a local file, and in PostgreSQL."""
    if request.param == "local":
        return incident
    return incident.with_postgres(request.getfixturevalue("database"))


def pile_up(incident: Incident, number: int) -> list[str]:
    ids = []
    for at in range(number):
        ids += incident.die(1, show=SHOWS[at % len(SHOWS)])
    return [id_.split(":")[1] for id_ in ids]


@contextmanager
def running(incident: Incident, *words: str) -> Iterator[Fork]:
    process = incident.cli.fork(*words)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def operation_of(incident: Incident) -> dict[str, object]:
    (operation,) = incident("ops", "list", "-o", "json").json["items"]
    return dict(operation)


def all_is_taken(incident: Incident, taker: Taker) -> None:
    """Wait until nothing waits, and the taker has nothing in hand."""
    eventually(lambda: not incident.waiting)
    idle = taker.idle
    eventually(lambda: taker.idle > idle)


def everything_is_there_once(incident: Incident, taker: Taker, items: list[str]) -> None:
    all_is_taken(incident, taker)
    assert set(taker.taken.values()) <= {1}, "twice"
    assert sorted(taker.taken) == sorted(items), "lost"
    assert incident.dead == []


def test_killed_at_any_moment_and_resumed_it_loses_and_doubles_nothing(kept: Incident, taker: Taker) -> None:
    items = pile_up(kept, 900)
    seed = random.SystemRandom().randrange(1 << 30)
    dice = random.Random(seed)  # noqa: S311 - moments, not secrets
    words: tuple[str, ...] = ("dlq", "requeue", "--all", "--yes", "--rate", "300/s")
    kills = 0
    while kills < 5:
        goal = taker.count + dice.choice((1, 40, 100, 250))
        with running(kept, *words) as process:
            eventually(lambda: taker.count >= goal or process.poll() is not None, 60, every=0.001)  # noqa: B023
            if process.poll() is not None:
                break
            process.kill()
            kills += 1
        words = ("ops", "resume", str(operation_of(kept)["id"]))
    assert kills, f"seed {seed}"
    if operation_of(kept)["state"] != "done":
        done = kept(*words)
        assert done.code == 0, done.err
    operation = operation_of(kept)
    assert (operation["state"], operation["counts"]) == ("done", {"done": 900}), f"seed {seed}"
    everything_is_there_once(kept, taker, items)


def test_two_operators_at_once_share_the_work(kept: Incident, taker: Taker) -> None:
    items = pile_up(kept, 800)
    words = ("dlq", "requeue", "--all", "--yes", "-o", "json")
    with running(kept, *words) as first, running(kept, *words) as second:
        assert first.wait(60) == second.wait(60) == 0
    listed = kept("ops", "list", "-o", "json").json["items"]
    together = Counter[str]()
    for operation in listed:
        together.update(operation["counts"])
    assert together["done"] == 800
    assert set(together) <= {"done", "already done"}
    everything_is_there_once(kept, taker, items)


def test_items_that_fail_again_meanwhile_are_not_chased(incident: Incident, taker: Taker) -> None:
    items = pile_up(incident, 400)
    taker.fail_again = 100
    done = incident("dlq", "requeue", "--all", "--yes", "--rate", "200/s", "-o", "json")
    assert done.code == 0, done.err
    assert (done.json["total"], done.json["done"]) == (400, 400)
    all_is_taken(incident, taker)
    assert (set(taker.taken.values()), sorted(taker.taken)) == ({1}, sorted(items))
    assert len(incident.dead) == 100
    assert done.json["returned"] == done.json["new"]
    assert 0 < done.json["new"] <= 100
    assert "new since the start" in done.err


def test_an_interrupt_prints_how_to_go_on(incident: Incident, taker: Taker) -> None:
    items = pile_up(incident, 1500)
    with running(incident, "dlq", "requeue", "--all", "--yes", "--rate", "50/s") as process:
        eventually(lambda: taker.count > 20, 60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    id_ = str(operation_of(incident)["id"])
    assert f"to go on: ticketops ops resume {id_}" in err
    assert operation_of(incident)["state"] == "stopped"
    assert "stopped" in incident("ops", "show", id_[:8]).out
    all_is_taken(incident, taker)
    assert len(incident.dead) + taker.count == 1500
    with running(incident, "ops", "resume", id_) as process:
        eventually(lambda: taker.count > 60, 60)
        cancelled = incident("ops", "cancel", id_, "--reason-text", "enough")
        assert cancelled.code == 0
        process.communicate(timeout=30)
        assert process.returncode == 3
    assert operation_of(incident)["state"] == "cancelled"
    all_is_taken(incident, taker)
    assert len(incident.dead) + taker.count == 1500
    assert incident("ops", "resume", id_).code == 6
    assert set(taker.taken) <= set(items)


def test_a_canary_that_comes_back_stops_it(incident: Incident, taker: Taker) -> None:
    pile_up(incident, 50)
    taker.fail_again = 50
    done = incident("dlq", "requeue", "--all", "--yes", "--canary", "5", "--canary-wait", "20s", "-o", "json")
    assert done.code == 3, done.err
    assert (done.json["done"], done.json["state"]) == (5, "stopped")
    assert "came back" in done.json["note"]


def test_a_destination_that_backs_up_stops_it(incident: Incident) -> None:
    incident.die(50)
    done = incident("dlq", "requeue", "--all", "--yes", "--max-backlog", "20", "-o", "json")
    assert (done.code, done.json["done"], done.json["left"]) == (3, 20, 30), done.err
    assert "--max-backlog is 20" in done.json["note"]
    assert len(incident.waiting) == 20
