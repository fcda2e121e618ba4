"""The dashboard in a real terminal, with engines that stop answering under it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.engines import QUICK
from support.terminals import TMUX, Terminal
from support.waiting import eventually
from ticketops.embedded.engine import Engine
from ticketops.embedded.engines import Engines
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer
from ticketops.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed: there is no real terminal to draw in")
LEFT = 20.0
"""Seconds: it is 0.2 where nobody else uses the machine, and what hangs would take longer."""
SIZE = (160, 24)
"""With room for how each of three backends is."""
MARKS = ("PG", "REDIS", "KAFKA")
"""In the order of `Engines.all`."""
NOWHERE = {"PG": "postgresql://nobody@127.0.0.1:1/none", "REDIS": "redis://127.0.0.1:1/0", "KAFKA": "127.0.0.1:1"}
Open = Callable[[dict[str, str]], Terminal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the dashboard on engines at these addresses, by their marks."""
    terminal = Terminal(tmp_path, *SIZE)
    config = tmp_path / "ticketops.toml"

    def run(addresses: dict[str, str]) -> Terminal:
        config.write_text(
            f'[redis]\nurl = "{addresses["REDIS"]}"\n'
            f'[postgres]\nurl = "{addresses["PG"]}"\n'
            f'[kafka]\nbootstrap_servers = "{addresses["KAFKA"]}"\n'
            f'[status]\ntimeout = 1.0\n[lag]\nhistory_file = "{tmp_path / "ring.sqlite3"}"\n'
        )
        command = f"{Path(sys.executable).parent / 'ticketops'} --config {config} tui --every 1"
        terminal.run(command, {"TERM": "xterm-256color"})
        return terminal

    yield run
    terminal.close()


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Engine]]:
    """Of this module alone, by their marks; each test leaves them running."""
    kafka = KafkaServer(properties=QUICK)
    with Engines(PostgresServer(durable=False), ValkeyServer(), kafka) as made:
        yield dict(zip(MARKS, made.all(), strict=True))


def addresses(engines: dict[str, Engine]) -> dict[str, str]:
    return {mark: engine.address for mark, engine in engines.items()}


def awaited(terminal: Terminal, **states: str) -> None:
    """Wait until the first line has these marks, and home is under it."""
    wanted = [f"{mark} {state}" for mark, state in states.items()]

    def there() -> bool:
        text = terminal.text()
        return "VERDICTS" in text and all(mark in text.splitlines()[0] for mark in wanted)

    eventually(there)


def left(terminal: Terminal) -> None:
    """Leave, and wait for nobody."""
    started = time.monotonic()
    terminal.press("j", "q")
    assert terminal.ended() == "0"
    assert time.monotonic() - started < LEFT


@contextmanager
def hung(*engines: Engine) -> Iterator[None]:
    for engine in engines:
        engine.suspend()
    try:
        yield
    finally:
        for engine in engines:
            engine.resume()


def test_engines_stop_and_die_under_an_open_dashboard(opened: Open, engines: dict[str, Engine]) -> None:
    states = dict.fromkeys(MARKS, "ok")
    terminal = opened(addresses(engines))
    awaited(terminal, **states)
    for mark, engine in engines.items():
        with hung(engine):
            awaited(terminal, **{**states, mark: "LOST"})
        awaited(terminal, **states)
    try:
        for mark, engine in engines.items():
            engine.kill()
            states[mark] = "LOST"
            awaited(terminal, **states)
        terminal.resize(40, 10)
        eventually(lambda: "LOST" in terminal.text() and len(terminal.text().splitlines()) <= 10)
        terminal.resize(*SIZE)
        awaited(terminal, **states)
        left(terminal)
    finally:
        for engine in engines.values():
            engine.restart()


def test_engines_that_hang_keep_neither_the_screen_nor_the_exit(opened: Open, engines: dict[str, Engine]) -> None:
    terminal = opened(addresses(engines))
    awaited(terminal, **dict.fromkeys(MARKS, "ok"))
    with hung(*engines.values()):
        awaited(terminal, **dict.fromkeys(MARKS, "LOST"))
        terminal.press(":")
        terminal.press("dlq bookings", "Enter")
        eventually(lambda: "dead letters of bookings" in terminal.text())
        left(terminal)


@pytest.mark.parametrize("mark", MARKS)
def test_one_that_hangs_before_the_start_is_the_only_one_lost(
    opened: Open, engines: dict[str, Engine], mark: str
) -> None:
    states = dict.fromkeys(MARKS, "ok")
    with hung(engines[mark]):
        terminal = opened(addresses(engines))
        awaited(terminal, **{**states, mark: "LOST"})
    awaited(terminal, **states)
    left(terminal)


def test_without_any_engine_there_is_a_dashboard_that_says_so(opened: Open) -> None:
    terminal = opened(NOWHERE)
    awaited(terminal, **dict.fromkeys(MARKS, "LOST"))
    left(terminal)
