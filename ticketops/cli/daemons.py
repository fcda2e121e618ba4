"""Running a daemon in this process: its signals, its HTTP port, what systemd is told, and its end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Protocol

import structlog

from ticketops.cli.exits import ExitCode
from ticketops.cli.process import Signals, Systemd, hand_over_quickly, host, logs_json
from ticketops.config import Config
from ticketops.options import HttpOptions, LogOptions
from ticketops.services.exposition import Exposition, Health, Probes
from ticketops.services.loop import Loop
from ticketops.services.start import try_until


class Daemon(Protocol):
    """What a relay and a worker are to their process."""

    failure: BaseException | None
    """What ended it; None where nothing did."""

    def wait(self, timeout: float) -> bool:
        """Whether it has ended by itself, within so many seconds."""

    def live(self) -> Health:
        """The answer of /livez."""

    def stop(self, timeout: float) -> bool:
        """Finish what is in hand; False where that took longer than so many seconds."""


def run(config: Config, daemon: Daemon, start: Callable[[Event], bool], probes: Probes, stop_timeout: float) -> int:
    """Run a daemon until it ends or a signal asks for it; the exit code. What ended it is raised.

    `start` is given the event that a signal sets, and answers False where that was set first.
    """
    hand_over_quickly()
    stopping = take_signals(config.log)
    with exposed(config.http, probes):
        if not start(stopping):
            return ExitCode.DONE
        host(daemon.wait, lambda: daemon.live().ok, stopping, Systemd())
        clean = daemon.stop(stop_timeout)
    if daemon.failure is not None:
        raise daemon.failure
    return ExitCode.DONE if clean else ExitCode.PARTLY


class Worker(Daemon, Protocol):
    """What the workers have in common beside that."""

    def start(self) -> None:
        """Begin; errors that pass by themselves are transient."""

    def ready(self) -> Health:
        """The answer of /readyz."""


def run_worker(config: Config, worker: Worker, metrics: Callable[[], bytes], *, drain: bool) -> int:
    """Run a worker as `run` does; with `drain`, nobody who is down is waited for at the start."""

    def start(stopping: Event) -> bool:
        return try_until(worker.start, stopping, lambda error: error.transient and not drain, part="worker")

    probes = Probes(worker.live, worker.ready, metrics)
    return run(config, worker, start, probes, config.worker.stop_timeout)


def run_loop(loop: Loop, failures: Sequence[BaseException], stopping: Event, stop_timeout: float) -> int:
    """Run a loop until a signal asks for the end or it failed, which is then raised; the exit code.

    `failures` is where its `on_fatal` puts what ended it.
    """
    loop.start()
    host(lambda tick: bool(stopping.wait(tick) or failures), lambda: not failures, stopping, Systemd())
    loop.stop()
    clean = loop.join(stop_timeout)
    if failures:
        raise failures[0]
    return ExitCode.DONE if clean else ExitCode.PARTLY


def take_signals(log: LogOptions) -> Event:
    """Take over SIGTERM and SIGINT; the event that the first of them sets."""
    signals = Signals(as_json=logs_json(log))
    signals.install()
    return signals.stopping


@contextmanager
def exposed(options: HttpOptions, probes: Probes) -> Iterator[None]:
    """Answer over HTTP meanwhile, where that is configured. BackendError where the port cannot be had."""
    if not options.enabled:
        yield
        return
    server = Exposition(options, probes)
    server.start()
    structlog.get_logger("ticketops").info("answers /livez, /readyz and /metrics", part="http", address=server.address)
    try:
        yield
    finally:
        server.stop()
