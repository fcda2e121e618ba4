"""The three engines for a developer: in the background, in one folder, until they are stopped."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ticketops.embedded.engine import Engine, EngineState, end, read_state
from ticketops.embedded.engines import KINDS, Engines
from ticketops.embedded.folders import alone, engine_account, is_open_to_all
from ticketops.embedded.jars import Progress, no_progress
from ticketops.errors import RefusedError

DATABASE: Final = "booking"
_PARTITIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the three are; with passwords."""

    postgres: str
    redis: str
    kafka: str


@dataclass(frozen=True, slots=True)
class Background:
    """The engines of one folder, running or not."""

    folder: Path

    def start(self, *, topics: list[str], progress: Progress = no_progress) -> Addresses:
        """Start those that do not run yet, and create the database and the topics that are missing."""
        with alone("dev"):
            engines = self._engines(progress)
            with _ended_on_failure(idle := [engine for engine in engines.all() if not _runs(engine)]):
                with ThreadPoolExecutor(len(KINDS)) as threads:
                    list(threads.map(lambda engine: engine.start(), idle))
                engines.postgres.create_database(DATABASE)
                engines.kafka.create_topics(topics, partitions=_PARTITIONS)
        return Addresses(
            postgres=engines.postgres.url_of(DATABASE),
            redis=engines.valkey.address,
            kafka=engines.kafka.address,
        )

    def states(self) -> dict[str, EngineState | None]:
        """What is known of each engine; None: it was never started here."""
        return {kind: read_state(self.folder / kind) for kind in KINDS}

    def stop(self) -> list[str]:
        """End those that run, cleanly; the kinds that did."""
        running = {kind: state for kind, state in self.states().items() if state and state.is_running}
        with ThreadPoolExecutor(len(KINDS)) as threads:
            list(threads.map(end, running.values()))
        return list(running)

    def purge(self) -> None:
        """Remove the data of stopped engines; RefusedError while one runs."""
        for kind, state in self.states().items():
            if state and state.is_running:
                raise RefusedError(f"{kind} still runs", why=f"process {state.process.pid} has its data")
            shutil.rmtree(self.folder / kind, ignore_errors=True)

    def _engines(self, progress: Progress) -> Engines:
        self.folder.mkdir(parents=True, exist_ok=True)
        if engine_account() and not is_open_to_all(self.folder):
            raise RefusedError(
                f"PostgreSQL cannot enter {self.folder}",
                why="started by root it runs as another user",
                hint="choose a folder that all may enter, with --dir",
            )
        return Engines.make(self.folder.resolve(), owner=None, progress=progress)


def _runs(engine: Engine) -> bool:
    state = read_state(engine.home)
    return state is not None and state.is_running


@contextmanager
def _ended_on_failure(engines: list[Engine]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for engine in engines:
            engine.close()
        raise
