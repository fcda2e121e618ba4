"""How long `ticketops status` takes, from its start to its end, on an idle system that is well."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from benchmarks import tables
from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage
from ticketops.embedded.valkey import ValkeyServer

NAME = "status"
TITLE = "`ticketops status`: a new process each time, every backend there"
SECONDS = 300
_ENDED = {0, 7, 8}
"""7: the benchmark's database has no email jobs."""


def run(stage: Stage, scale: Scale) -> Report:
    """Start each command in turn."""
    database = stage.database()
    database.run(tables.SEED)
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
        took: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(1 + scale.of(15, 3)):
            for name, words in commands.items():
                took[name].append(_timed(words, environment, database))
    finally:
        valkey.close()
        stage.drop(database)
    return _report({name: values[1:] for name, values in took.items()})


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
        _require_answers(done.stdout)
    return took


def _require_answers(printed: str) -> None:
    backends = json.loads(printed)["snapshot"]["backends"]
    silent = {name: reading["error"] for name, reading in backends.items() if reading["error"]}
    if silent:
        raise RuntimeError(f"a backend did not answer: {silent}")


def _report(took: dict[str, list[float]]) -> Report:
    figures = [Figure(name, spread(values), "ms") for name, values in took.items()]
    bare = [all_ - python for all_, python in zip(took["ticketops status"], took["python -c pass"], strict=True)]
    verdicts = [
        Verdict("ticketops status", spread(took["ticketops status"]), "ms", Goal(500, at_least=False)),
        Verdict("of it beyond Python's own start", spread(bare), "ms"),
    ]
    return Report(NAME, TITLE, figures, verdicts, details=took)
