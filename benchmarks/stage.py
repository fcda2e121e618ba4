"""The engines of one run, and databases and topics on them; never shared with tests."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer

POSTGRES_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
}
"""A modest server; fsync and full_page_writes stay on."""
TOPICS = ("booking-events", "payment-events", "ticket-events")
PARTITIONS = 4
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Database:
    """A database of the run's server, with TicketOps' settings for it."""

    url: str
    brokers: str
    settings: Mapping[str, str]
    """Configuration by dotted key."""
    folder: Path
    """For what processes write."""

    def connect(self) -> Connection:
        """A connection in autocommit mode."""
        return psycopg.connect(self.url, autocommit=True, application_name="benchmark")

    def run(self, *statements: LiteralString) -> None:
        """Run statements, each in a transaction of its own."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def command(self, *words: str, settings: Mapping[str, str] | None = None) -> list[str]:
        """A command line of TicketOps."""
        chosen = {**self.settings, **(settings or {})}
        flags = [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]
        return [sys.executable, "-m", "ticketops", *words, *flags]

    @property
    def environment(self) -> dict[str, str]:
        """Where TicketOps finds the engines; the user's own configuration is left out."""
        return {
            "PATH": "",
            "HOME": str(self.folder),
            "TICKETOPS_POSTGRES_URL": self.url,
            "TICKETOPS_KAFKA_BOOTSTRAP_SERVERS": self.brokers,
        }

    def upgrade(self, *flags: str) -> None:
        """Run `ticketops db upgrade`."""
        done = subprocess.run(
            self.command("db", "upgrade", "--yes", *flags),
            env=self.environment,
            cwd=self.folder,
            check=False,
            timeout=240,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"db upgrade failed: {done.stderr}")


class Stage:
    """PostgreSQL and Kafka for one run of benchmarks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = PostgresServer(settings=POSTGRES_SETTINGS)
        self.kafka = KafkaServer(quick_start=False)
        self._databases = 0

    def start(self) -> None:
        """Start both and create the topics."""
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda engine: engine.start(), (self.postgres, self.kafka)))
        self.create_topics(TOPICS)

    def close(self) -> None:
        """End both; their data goes with them."""
        self.postgres.close()
        self.kafka.close()

    def restart_postgres(self, settings: Mapping[str, str]) -> None:
        """Restart the server with these settings."""
        self.postgres.settings = dict(settings)
        self.postgres.restart()

    def create_topics(self, names: Sequence[str]) -> None:
        """Create topics that are not there yet."""
        admin = AdminClient({"bootstrap.servers": self.kafka.address})
        there = admin.list_topics(timeout=10).topics
        missing = [NewTopic(name, PARTITIONS, 1) for name in names if name not in there]
        if missing:
            for future in admin.create_topics(missing).values():
                future.result(30)

    def database(self, settings: Mapping[str, str] | None = None) -> Database:
        """A new database."""
        self._databases += 1
        name = f"bench_{self._databases}"
        self.postgres.create_database(name)
        return Database(self.postgres.url_of(name), self.kafka.address, settings or {}, self.folder)

    def drop(self, database: Database) -> None:
        """Remove a database, by force."""
        name = database.url.rpartition("/")[2]
        with psycopg.connect(self.postgres.address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def describe(self) -> dict[str, Any]:
        """The engines, for the results."""
        return {
            "postgres": {"version": self.postgres.version, "settings": dict(POSTGRES_SETTINGS), "fsync": "on"},
            "kafka": {"version": self.kafka.version, "brokers": 1, "partitions_per_topic": PARTITIONS},
        }
