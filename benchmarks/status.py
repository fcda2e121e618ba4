"""How long `ticketops status` takes, from its start to its end: on an idle system, and with letters in every queue."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Producer

from benchmarks.deaths import Deaths
from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage
from ticketops.embedded.valkey import ValkeyServer

NAME = "status"
SECONDS = 300
_ENDED = {0, 8}
"""8: no relay runs, and letters are there."""
_LETTERS = 500
"""In each queue."""
TITLE = (
    f"`ticketops status`: a new process each time, every backend there; empty queues, then {_LETTERS} letters in each"
)
_TOPICS = ("payment-events.dlq", "booking-events.dlq")
_FULL = "ticketops status, letters in every queue"
_FILL = f"""
INSERT INTO booking.outbox_events (id, aggregate_type, aggregate_id, event_type, payload, status, retry_count,
  last_error)
SELECT gen_random_uuid(), 'BOOKING', n::text, 'BOOKING_CREATED', '{{}}', 'FAILED', 99, 'timed out after ' || n || ' ms'
FROM generate_series(1, {_LETTERS}) n;
INSERT INTO booking.failed_compensations (compensation_id, booking_id, booking_reference, compensation_type, status,
  reference_id, error_message, retry_count, payload, created_at, updated_at)
SELECT gen_random_uuid(), n, 'BK-' || n, 'RELEASE_SEATS', 'FAILED', 'R-' || n, 'no seat ' || n, 5, '{{}}', now(), now()
FROM generate_series(1, {_LETTERS}) n;
"""


def run(stage: Stage, scale: Scale) -> Report:
    """Start each command in turn."""
    database = stage.database()
    database.upgrade("--all")
    valkey = ValkeyServer()
    valkey.start()
    try:
        looks = {"lag.history_file": str(stage.folder / "looks.sqlite3")}
        environment = {**database.environment, "TICKETOPS_REDIS_URL": valkey.address}
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "ticketops --version": [sys.executable, "-m", "ticketops", "--version"],
            "ticketops status": database.command("status", "--timeout", "10", "-o", "json", settings=looks),
        }
        rounds = 1 + scale.of(15, 3)
        took = _rounds(commands, rounds, environment, database)
        _fill(stage, database, valkey)
        for words in (database.command("dlq", "stats", settings=looks), commands["ticketops status"]):
            _timed(words, environment, database)  # the ledger learns what is in its topics
        took |= _rounds({_FULL: commands["ticketops status"]}, rounds, environment, database)
    finally:
        valkey.close()
        stage.drop(database)
    return _report({name: values[1:] for name, values in took.items()})


def _rounds(
    commands: Mapping[str, Sequence[str]], rounds: int, environment: Mapping[str, str], database: Database
) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, words in commands.items():
            took[name].append(_timed(words, environment, database))
    return took


def _fill(stage: Stage, database: Database, valkey: ValkeyServer) -> None:
    """Put letters into every queue of the defaults."""
    database.run(_FILL)
    Deaths(valkey.address, database.folder).fill(_LETTERS)
    stage.create_topics(_TOPICS)
    producer = Producer({"bootstrap.servers": stage.kafka.address})
    for topic in _TOPICS:
        for number in range(_LETTERS):
            producer.produce(topic, b"{}", str(number).encode(), headers={"error": f"timed out after {number} ms"})
    producer.flush(60)


def _timed(words: Sequence[str], environment: Mapping[str, str], database: Database) -> float:
    """Milliseconds from the start to the end."""
    started = time.perf_counter()
    done = subprocess.run(
        words, env=environment, cwd=database.folder, capture_output=True, timeout=60, check=False, text=True
    )
    took = (time.perf_counter() - started) * 1000
    if done.returncode not in _ENDED:
        raise RuntimeError(f"{' '.join(words[:4])} ended with {done.returncode}: {done.stderr or done.stdout[-2000:]}")
    if "status" in words:
        _require_answers(json.loads(done.stdout)["snapshot"])
    return took


def _require_answers(snapshot: Mapping[str, Any]) -> None:
    """Every part, and the same number of letters in every queue."""
    readings = [reading for part in snapshot.values() for reading in _readings(part)]
    silent = [reading["error"] for reading in readings if reading["error"]]
    depths = {reading["value"]["depth"] for reading in snapshot["dead_letters"].values() if reading["value"]}
    if silent or len(depths) != 1:
        raise RuntimeError(f"a part did not answer: {silent}, {depths}")


def _readings(part: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - parsed JSON
    if isinstance(part, dict):
        yield from [part] if "asked_at" in part else part.values()


def _report(took: dict[str, list[float]]) -> Report:
    figures = [Figure(name, spread(values), "ms") for name, values in took.items()]
    bare = [all_ - python for all_, python in zip(took["ticketops status"], took["python -c pass"], strict=True)]
    verdicts = [
        Verdict("ticketops status", spread(took["ticketops status"]), "ms", Goal(500, at_least=False)),
        Verdict("of it beyond Python's own start", spread(bare), "ms"),
        Verdict(_FULL, spread(took[_FULL]), "ms", Goal(500, at_least=False)),
    ]
    return Report(NAME, TITLE, figures, verdicts, details=took)
