"""The relay as a process: started from a configuration of its own, watched through its log and its HTTP port."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from support.cli import Cli, Result, full_device
from support.engines import MakeTopic
from support.forks import Fork, can_fork, forks
from support.waiting import eventually
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.database import UpgradeRequest
from ticketops.options import KafkaOptions, OutboxOptions, PostgresOptions, RelayOptions

SHARDS = 16
"""The default; the index in the databases of tests is made for it."""
_ENDS = 60.0
"""Seconds that a process has to say something, or to end."""

Settings = Mapping[str, Mapping[str, Any]]


def toml(settings: Settings) -> str:
    """Write sections of plain values and of tables; JSON's literals are TOML's."""
    return "\n".join(line for section, values in settings.items() for line in _section(section, values)) + "\n"


def _section(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    yield from (f"{json.dumps(k)} = {json.dumps(v)}" for k, v in values.items() if not isinstance(v, Mapping))
    for key, table in values.items():
        if isinstance(table, Mapping):
            yield from _section(f"{name}.{json.dumps(key)}", table)


def merged(first: Settings, second: Settings) -> dict[str, dict[str, Any]]:
    """Lay `second` over `first`, section by section."""
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in [*first, *second]}


@dataclass(frozen=True, slots=True)
class Site:
    """One outbox and where it goes: what every relay and every command of a test is told."""

    cli: Cli
    settings: Settings

    @property
    def url(self) -> str:
        return str(self.settings["postgres"]["url"])

    @property
    def brokers(self) -> str:
        return str(self.settings["kafka"]["bootstrap_servers"])

    @property
    def topics(self) -> list[str]:
        return list(dict.fromkeys(self.settings["outbox"]["topics"].values()))

    def with_(self, **sections: Mapping[str, Any]) -> "Site":
        return replace(self, settings=merged(self.settings, sections))

    def write(self, name: str) -> Path:
        path = self.cli.folder / f"{name}.toml"
        path.write_text(toml(self.settings))
        return path

    def run(self, *words: object, env: Mapping[str, str] | None = None, full_disk: bool = False) -> Result:
        """Run a command against this outbox to its end; with `full_disk`, stdout has no room."""
        return self.cli("--config", self.write("commands"), *words, env=env, full_disk=full_disk)

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.url, autocommit=True)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *values: Any) -> Any:
        return self.rows(query, *values)[0][0]


@dataclass(slots=True)
class RelayProcess:
    """`ticketops relay run` as a process of its own; a test may kill, suspend and restart it."""

    site: Site
    name: str
    words: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    launcher: Sequence[str] = ("-m", "ticketops")
    """What Python runs; wrappers of tests behave like `-m ticketops`."""
    full_disk: bool = False
    """Its log goes to a disk that has no room."""
    verb: Sequence[str] = ("relay", "run")
    started: str = "relay started"
    """The line of the log that says that it has joined."""
    starts: int = 0
    _process: "subprocess.Popen[bytes] | Fork | None" = None

    def start(self, *, ready: bool = True) -> Self:
        """Start it; `ready` waits until it has joined."""
        self.starts += 1
        config = self.site.write(self.name)
        words = [*self.launcher, "--config", str(config), *self.verb, *self.words]
        variables, folder = self.site.cli.environment(self.env), self.site.cli.folder
        with self.log_file.open("ab") as log, full_device(self.full_disk) as full, Path(os.devnull).open("r+b") as null:
            streams = (null, null, full or log)
            if can_fork(variables):
                self._process = forks().start(words, variables, folder, streams)
            else:
                stdin, stdout, stderr = streams
                self._process = subprocess.Popen(
                    [sys.executable, *words], env=variables, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr
                )
        if ready:
            self.wait_for(self.started)
        return self

    @property
    def log_file(self) -> Path:
        """The log of the latest start."""
        return self.site.cli.folder / f"{self.name}.{self.starts}.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The complete lines of the log that are JSON."""
        lines = self.log.rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == event and fields.items() <= e.items()]

    def wait_for(self, event: str, timeout: float = _ENDS, **fields: Any) -> dict[str, Any]:
        """Wait for a line of the log; fails at once where the process has ended without it."""

        def look() -> dict[str, Any] | None:
            ended = not self.is_running
            found = self.said(event, **fields)
            if not found and ended:
                raise AssertionError(f"{self.name} ended without saying {event!r}:\n{self.log}")
            return found[0] if found else None

        try:
            found = eventually(look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None
        assert found is not None
        return found

    @property
    def process(self) -> "subprocess.Popen[bytes] | Fork":
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def suspend(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    @property
    def is_suspended(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def wait(self, timeout: float = _ENDS) -> int:
        """Wait for its end; the exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended after {timeout} s:\n{self.log[-4000:]}") from None

    def stop(self, timeout: float = _ENDS) -> int:
        """Ask for a graceful end; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def run(self, timeout: float = _ENDS) -> int:
        """Start, and wait for its own end."""
        self.start(ready=False)
        return self.wait(timeout)

    def close(self) -> None:
        if self.is_running:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def http(self, path: str) -> tuple[int, str]:
        """Ask its HTTP port; the status and the body, (0, "") where nobody answers at this moment.

        A process that was suspended, or is overloaded, breaks a connection off now and then.
        """
        address = self.wait_for("answers /livez, /readyz and /metrics")["address"]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=30.0) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, HTTPException):
            return 0, ""

    def metric(self, sample: str) -> float:
        """The value of a sample, named as it is exposed, labels included; 0 where nobody answers at this moment."""
        lines = [line for line in self.http("/metrics")[1].splitlines() if line.startswith(f"{sample} ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


MakeRelay = Callable[..., RelayProcess]


@pytest.fixture
def site(cli: Cli, database: PostgresOptions, kafka: KafkaOptions, make_topic: MakeTopic) -> Site:
    """A database of the test's own on the shared server, and topics of its own on the shared Kafka."""
    topics = {"BOOKING": make_topic("booking-events"), "PAYMENT": make_topic("payment-events")}
    return make_site(cli, database.url, kafka.bootstrap_servers, topics)


def make_site(cli: Cli, url: str, brokers: str, topics: Mapping[str, str]) -> Site:
    """The settings that the tests of the relay share: short leases, a free port, a log to be read."""
    return Site(
        cli,
        {
            "postgres": {"url": url},
            "kafka": {"bootstrap_servers": brokers},
            "outbox": {"topics": dict(topics)},
            "relay": {"lease_seconds": 1.0, "stop_timeout": 10.0, "retry_base": 0.1, "batch_size": 200},
            "http": {"port": 0},
            "log": {"format": "json"},
        },
    )


def upgraded(url: str) -> str:
    """The same URL, once everything that `ticketops db upgrade` makes is there."""
    schema = PostgresSchema(PostgresOptions(url=url), OutboxOptions(), RelayOptions())
    schema.apply(UpgradeRequest(), actor="tests", progress=lambda _: None)
    return url


@pytest.fixture
def make_relay(site: Site) -> Iterator[MakeRelay]:
    """Make relay processes, not started yet: `make_relay("a", "--drain", relay={"lanes": 1})`."""
    with ExitStack() as stack:

        def make(
            name: str = "relay", *words: str, at: Site | None = None, **sections: Mapping[str, Any]
        ) -> RelayProcess:
            settings = {"relay": {"id": name}}
            options = {key: sections.pop(key) for key in ("env", "launcher", "full_disk") if key in sections}
            relay = RelayProcess((at or site).with_(**merged(settings, sections)), name, words, **options)  # type: ignore[arg-type]
            stack.callback(relay.close)
            return relay

        yield make


def add(site: Site, key: str, *payloads: str, aggregate_type: str = "BOOKING") -> list[str]:
    """Write events in one transaction, in order; their ids."""
    with site.connect() as connection, connection.transaction():
        return [
            str(
                connection.execute(
                    "insert into booking.outbox_events (aggregate_type, aggregate_id, event_type, payload)"
                    " values (%s, %s, 'TESTED', %s) returning id",
                    (aggregate_type, key, payload),
                ).fetchone()[0]  # type: ignore[index]
            )
            for payload in payloads
        ]


def pending(site: Site) -> int:
    return int(site.one("select count(*) from booking.outbox_events where status = 'PENDING'"))


def wait_until_published(site: Site, timeout: float = 30.0) -> None:
    eventually(lambda: pending(site) == 0, timeout)
