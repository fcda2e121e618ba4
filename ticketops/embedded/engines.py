"""All three engines together."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ticketops.embedded.engine import Engine
from ticketops.embedded.jars import Progress, no_progress
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer
from ticketops.embedded.valkey import ValkeyServer

KINDS: Final = (PostgresServer.kind, ValkeyServer.kind, KafkaServer.kind)
"""Also the names of their folders."""


@dataclass(frozen=True, slots=True)
class Engines:
    """PostgreSQL, Valkey and Kafka, started and ended as one."""

    postgres: PostgresServer
    valkey: ValkeyServer
    kafka: KafkaServer

    @classmethod
    def make(cls, folder: Path | None = None, *, owner: int | None = 0, progress: Progress = no_progress) -> Self:
        """Make the three, not started yet; `folder` keeps their data, None takes temporary folders."""
        homes = {kind: folder and folder / kind for kind in KINDS}
        return cls(
            PostgresServer(home=homes["postgres"], owner=owner),
            ValkeyServer(home=homes["valkey"], owner=owner),
            KafkaServer(home=homes["kafka"], owner=owner, progress=progress),
        )

    def all(self) -> tuple[Engine, ...]:
        """Return the three."""
        return (self.postgres, self.valkey, self.kafka)

    def start(self) -> Self:
        """Start them at the same time; if one fails, the others are ended."""
        try:
            with ThreadPoolExecutor(3) as threads:
                list(threads.map(lambda engine: engine.start(), self.all()))
        except BaseException:
            self.close()
            raise
        return self

    def stop(self) -> None:
        """End them cleanly; the data stays."""
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda engine: engine.stop(), self.all()))

    def close(self) -> None:
        """End them quickly; temporary data is removed."""
        for engine in self.all():
            engine.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
