"""The real relay as a process, watched from outside."""

import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.figures import Sample
from benchmarks.stage import Database
from ticketops.embedded.engine import free_port

_START = 30.0
_STOP = 30.0


class RelayProcess:
    """`ticketops relay run`, or another daemon, ended with the block."""

    def __init__(
        self,
        database: Database,
        *flags: str,
        settings: Mapping[str, str] | None = None,
        words: Sequence[str] = ("relay", "run"),
    ) -> None:
        self._port = free_port()
        chosen = {"http.port": str(self._port), "log.format": "json", **(settings or {})}
        self._command = database.command(*words, *flags, settings=chosen)
        self._database = database
        self.log: Path = database.folder / f"relay-{self._port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._database.environment, cwd=self._database.folder, stdout=log, stderr=log
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running.poll() is None:
            self._running.send_signal(signal.SIGTERM)
            try:
                self._running.wait(_STOP)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait()

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("the relay was not started")
        return self._process

    @property
    def process(self) -> psutil.Process:
        """The process, to be measured."""
        return psutil.Process(self._running.pid)

    @property
    def has_ended(self) -> bool:
        """True once it has ended by itself."""
        return self._running.poll() is not None

    def wait_until_owner(self, shards: int = 16) -> None:
        """Wait until it holds all shards."""
        deadline = time.monotonic() + _START
        while self.metric("ticketops_relay_shards") < shards:
            self._check(deadline)
            time.sleep(0.05)

    def watch(
        self, total: int, *, every: float = 0.2, limit: float = 90.0, counter: str = "ticketops_outbox_published_total"
    ) -> list[Sample]:
        """How many events it has published, or another counter, over time, until there are `total`."""
        deadline = time.monotonic() + limit
        samples: list[Sample] = []
        while not samples or samples[-1].value < total:
            self._check(deadline)
            if (count := self.metric(counter)) > 0:
                samples.append(Sample(time.perf_counter(), count))
            time.sleep(every)
        return samples

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 while there is no answer."""
        return sum(_values(self._scrape(), name))

    def _scrape(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                text: bytes = answer.read()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return ""
        return text.decode()

    def _check(self, deadline: float) -> None:
        if self.has_ended or time.monotonic() > deadline:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the relay {'ended' if self.has_ended else 'took too long'}: {tail}")


def _values(text: str, name: str) -> Sequence[float]:
    named = (line.rpartition(" ") for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{")))
    return [float(value) for _, _, value in named]
