"""The dashboard in a terminal: first paint, keys, processor time, memory, leaving; each beside a bare Textual app."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import socket
from typing import Final, LiteralString

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks import tables
from benchmarks.deaths import Deaths
from benchmarks.figures import Spread, percentile, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import TOPICS, Database, Stage
from benchmarks.terminal import Terminal
from ticketops.embedded.valkey import ValkeyServer

NAME = "dashboard"
TITLE = "`ticketops tui` in a terminal of 80 columns and 24 lines, with every backend there, moving, and hung"
SECONDS = 900
_ROOT: Final = Path(__file__).parents[1]
_LETTERS: Final = 1000
_GROUPS: Final = 30
_PARTITIONS: Final = 4
_MOVES: Final = 0.5
"""Seconds between two changes of everything."""
_SETTLED: Final = 8.0
"""Seconds after which a dashboard has read what earlier runs left, and its connections are open."""
_HOME: Final = b"q quit"
"""The end of home's last line."""
_INSERT: LiteralString = """
INSERT INTO booking.outbox_events (aggregate_type, aggregate_id, event_type, payload)
SELECT 'BOOKING', 'B-' || n, 'BOOKING_CREATED', '{}' FROM generate_series(1, 20) AS n"""

BARE: Final = "bare app"
WELL: Final = "dashboard"
HUNG_LATER: Final = "dashboard, every backend hangs after it has answered"
HUNG: Final = "dashboard, every backend hangs"


@dataclass(slots=True)
class Measured:
    """Of every round."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """(what, whose) = values."""

    def add(self, what: str, whose: str, value: float) -> None:
        """Note one."""
        self.values.setdefault((what, whose), []).append(value)

    def spread(self, what: str, whose: str) -> Spread:
        """All rounds'."""
        return spread(self.values[what, whose])


@dataclass(frozen=True, slots=True)
class Place:
    """Where the processes run."""

    database: Database
    letters: Deaths
    valkey: ValkeyServer
    addresses: Mapping[str, str]
    """Environment with the engines that answer."""
    silent: Mapping[str, str]
    """Environment with addresses that take connections and never answer."""

    def dashboard(self, *, silent: bool = False, every: int = 5) -> Terminal:
        """The real process."""
        words = self.database.command("tui", "--every", str(every), settings=self._settings())
        return Terminal(words, self.silent if silent else self.addresses, self.database.folder)

    def app(self, *words: str) -> Terminal:
        """One of the apps beside it."""
        command = [sys.executable, "-m", "benchmarks.dashboard_apps", *words]
        return Terminal(command, self.addresses, _ROOT)

    def _settings(self) -> dict[str, str]:
        return {"lag.history_file": str(self.database.folder / "looks.sqlite3")}


def run(stage: Stage, scale: Scale) -> Report:
    """Everything in turn."""
    found = Measured()
    with ExitStack() as stack:
        place = _place(stage, stack)
        for number in range(1 + scale.of(10, 2)):
            _start_and_end(place, found if number else Measured())
        for _ in range(scale.of(2, 1)):
            _keys(place, found, scale)
            _idle(place, found, scale.of(30, 5))
        _hang_later(stage, place, found, scale.of(3, 1))
    night = _night(scale.of(20_000, 1000))
    return _report(found, night, scale)


def _place(stage: Stage, stack: ExitStack) -> Place:
    folder = stage.folder / NAME
    folder.mkdir()
    database = replace(stage.database(), folder=folder)
    stack.callback(stage.drop, database)
    database.run(tables.SEED)
    database.upgrade("--all")
    valkey = stack.enter_context(ValkeyServer())
    letters = Deaths(valkey.url, folder)
    letters.fill(_LETTERS)
    silent = stack.enter_context(_silence())
    _commit(stage.kafka.address)
    addresses = {**database.environment, "TICKETOPS_REDIS_URL": letters.url}
    return Place(database, letters, valkey, addresses, {**addresses, **silent})


@contextmanager
def _silence() -> Iterator[Mapping[str, str]]:
    """Connections are taken by the kernel; nobody answers them."""
    with ExitStack() as stack:
        ports = []
        for _ in range(3):
            listener = stack.enter_context(socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(100)
            ports.append(listener.getsockname()[1])
        yield {
            "TICKETOPS_POSTGRES_URL": f"postgresql://nobody@127.0.0.1:{ports[0]}/none",
            "TICKETOPS_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports[1]}",
            "TICKETOPS_REDIS_URL": f"redis://127.0.0.1:{ports[2]}/0",
        }


def _commit(brokers: str) -> None:
    """Groups that have read nothing yet, so that what is produced is their lag."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    partitions = [TopicPartition(TOPICS[0], number, 0) for number in range(_PARTITIONS)]
    left, deadline = [f"dashboard-{number:02}" for number in range(_GROUPS)], time.monotonic() + 60
    while left:
        asked = {
            name: admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, partitions)])[name]
            for name in left
        }
        left = [name for name, future in asked.items() if isinstance(future.exception(60), KafkaException)]
        if left and time.monotonic() > deadline:
            raise RuntimeError(f"{len(left)} groups could not be made")
        time.sleep(0.5 if left else 0)  # the coordinator is loading


def _start_and_end(place: Place, found: Measured) -> None:
    """From the start to the first frame, and from `q` to the end."""
    with place.app("bare") as terminal:
        found.add("first paint", BARE, 1000 * terminal.await_text(b"bare app"))
        terminal.idle(1.0)
        found.add("leaving", BARE, terminal.leave())
    with place.dashboard() as terminal:
        found.add("first paint", WELL, 1000 * terminal.await_text(_HOME))
        found.add("first answers", WELL, 1000 * terminal.await_text(b"PG ok"))
        terminal.idle(1.0)
        found.add("leaving", WELL, terminal.leave())
    with place.dashboard(silent=True) as terminal:
        found.add("first paint", HUNG, 1000 * terminal.await_text(_HOME))
        terminal.idle(1.0)
        found.add("leaving", HUNG, terminal.leave())


def _keys(place: Place, found: Measured, scale: Scale) -> None:
    """From a key to the end of the frame."""
    for whose, words, marker in (
        (BARE, ("bare",), b"bare app"),
        (WELL, ("rows", "1000000"), b"letter-000000003"),
    ):
        with place.app(*words) as terminal:
            terminal.await_text(marker)
            terminal.idle(2.0)
            for _ in range(scale.of(500, 50)):
                found.add("key to frame", whose, terminal.press(b"j"))
            if whose == WELL:
                for _ in range(scale.of(100, 10)):
                    found.add("page to frame", whose, terminal.press(b"\x1b[6~"))


def _idle(place: Place, found: Measured, seconds: int) -> None:
    """Processor time and memory."""
    with place.app("bare") as terminal:
        terminal.await_text(b"bare app")
        terminal.idle(2.0)
        found.add("processor, idle", BARE, terminal.processor(seconds))
        found.add("memory", BARE, terminal.resident())
    with place.dashboard() as terminal:
        terminal.await_text(b"PG ok")
        terminal.idle(_SETTLED)
        found.add("processor, idle", WELL, terminal.processor(seconds))
        found.add("memory", WELL, terminal.resident())
    with _moving(place), place.dashboard(every=1) as terminal:
        terminal.await_text(b"PG ok")
        terminal.idle(_SETTLED)
        found.add("processor, moving", WELL, terminal.processor(seconds))


@contextmanager
def _moving(place: Place) -> Iterator[None]:
    """Outbox, dead letters and every group's lag change twice a second."""
    stop = threading.Event()
    mover = threading.Thread(target=_move, args=(place, stop), name="mover")
    mover.start()
    try:
        yield
    finally:
        stop.set()
        mover.join(60)


def _move(place: Place, stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": place.database.brokers, "log_level": 0})
    while not stop.wait(_MOVES):
        place.database.run(_INSERT)
        place.letters.fill(5)
        for number in range(20):
            producer.produce(TOPICS[0], b"{}", partition=number % _PARTITIONS)
        producer.flush(10)


def _hang_later(stage: Stage, place: Place, found: Measured, rounds: int) -> None:
    """Leaving, where engines that answered have stopped to."""
    for _ in range(rounds):
        with place.dashboard(every=1) as terminal:
            terminal.await_text(b"PG ok")
            for engine in (stage.postgres, stage.kafka, place.valkey):
                engine.suspend()
            try:
                terminal.await_text(b"REDIS LOST")
                found.add("leaving", HUNG_LATER, terminal.leave())
            finally:
                for engine in (stage.postgres, stage.kafka, place.valkey):
                    engine.resume()


def _night(count: int) -> Sequence[float]:
    """MB resident over so many snapshots."""
    words = [sys.executable, "-m", "benchmarks.dashboard_night", str(count)]
    done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    samples: list[float] = json.loads(done.stdout)
    return samples


def _report(found: Measured, night: Sequence[float], scale: Scale) -> Report:
    units = {"memory": "MB", "processor, idle": "% of a processor", "processor, moving": "% of a processor"}
    figures = [
        Figure(f"{what}: {whose}", found.spread(what, whose), units.get(what, "ms")) for what, whose in found.values
    ]
    late = night[len(night) // 2 :]
    verdicts = [
        Verdict(f"first paint: {WELL}", found.spread("first paint", WELL), "ms", _most(500)),
        Verdict(f"first paint: {HUNG}", found.spread("first paint", HUNG), "ms", _most(500)),
        *_last(found, "key to frame", BARE),
        *_last(found, "key to frame", WELL, _most(50)),
        *_last(found, "page to frame", WELL, _most(50)),
        Verdict("processor, idle", found.spread("processor, idle", WELL), "%", _most(1)),
        Verdict("processor, everything moving", found.spread("processor, moving", WELL), "%", _most(10)),
        Verdict(f"leaving: {WELL}", found.spread("leaving", WELL), "ms", _most(300)),
        Verdict(f"leaving: {HUNG}", found.spread("leaving", HUNG), "ms", _most(300)),
        Verdict(f"leaving: {HUNG_LATER}", found.spread("leaving", HUNG_LATER), "ms", _most(300)),
        Verdict("a night: growth over its second half", spread([late[-1] - late[0]]), "MB", _most(5)),
    ]  # fmt: skip
    notes = [
        "Asked every 5 s, and every second where everything moves: outbox, dead letters, 30 groups of 4 partitions.",
        f"Keys: a million rows; a night: {scale.of(20_000, 1000):,} snapshots with screens opened and closed.",
    ]
    details = {f"{what}: {whose}": values for (what, whose), values in found.values.items()}
    return Report(NAME, TITLE, figures, verdicts, notes, {**details, "night": list(night)})


def _most(bound: float) -> Goal:
    return Goal(bound, at_least=False)


def _last(found: Measured, what: str, whose: str, goal: Goal | None = None) -> Iterator[Verdict]:
    """The 99th percentile."""
    yield Verdict(f"{what}, p99: {whose}", spread([percentile(found.values[what, whose], 99)]), "ms", goal)
