"""The user's own programs in a real terminal: the pager, and the clipboard around it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.terminals import TMUX, Terminal
from support.waiting import eventually

pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed: there is no real terminal to draw in")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, 90, 24)
    yield made
    made.close()


def start(terminal: Terminal, folder: Path, pager: str) -> None:
    config = folder / "own.toml"
    config.write_text(
        '[postgres]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'
        '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n'
        '[redis]\nurl = "redis://127.0.0.1:1/0"\n'
        f'[status]\ntimeout = 1.0\n[lag]\nhistory_file = "{folder / "ring.sqlite3"}"\n'
        f'[tui]\nsnapshots = "{folder}"\nkeys = {{pager = "f6"}}\n'
    )
    command = f"{Path(sys.executable).parent / 'ticketops'} --config {config} tui"
    terminal.run(command, {"TERM": "xterm-256color", "PAGER": pager, "LESS": ""})
    eventually(lambda: "LOST" in terminal.text(), 60)


def back(terminal: Terminal) -> None:
    """What was read within half a second is waited for."""
    eventually(lambda: "VERDICTS" in terminal.text() or "Enter goes back" in terminal.text(), 60)
    if "Enter goes back" in terminal.text():
        terminal.press("Enter")
    eventually(lambda: "VERDICTS" in terminal.text(), 60)


def test_a_row_is_read_in_less_and_a_snapshot_is_saved(terminal: Terminal, tmp_path: Path) -> None:
    start(terminal, tmp_path, "less")
    terminal.press("F6")
    eventually(lambda: "VERDICTS" not in terminal.text() and "(END)" in terminal.text(), 60)
    assert "is unreachable" in terminal.text()
    terminal.press("q")
    back(terminal)
    eventually(lambda: _saved(terminal), every=0.5)
    assert list(tmp_path.glob("ticketops-default-*.json"))
    terminal.press("q")
    assert terminal.ended() == "0"


def _saved(terminal: Terminal) -> bool:
    """Save what is shown; a key that comes while the terminal is handed back is nobody's."""
    terminal.press("w")
    return "saved:" in terminal.text()


PAGER = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
print(sys.stdin.read(), "ready", flush=True)
open("/dev/tty").readline()
"""


def test_ctrl_c_is_the_pagers_own(terminal: Terminal, tmp_path: Path) -> None:
    script = tmp_path / "pager.py"
    script.write_text(PAGER)
    start(terminal, tmp_path, f"{sys.executable} {script}")
    terminal.press("F6")
    eventually(lambda: "ready" in terminal.text(), 60)
    terminal.press("C-c")
    eventually(lambda: "interrupted" in terminal.text(), 60)
    terminal.press("Enter")
    back(terminal)


def test_who_only_prints_is_waited_for(terminal: Terminal, tmp_path: Path) -> None:
    start(terminal, tmp_path, "cat")
    terminal.press("F6")
    eventually(lambda: "-- Enter goes back --" in terminal.text(), 60)
    terminal.press("Enter")
    eventually(lambda: "VERDICTS" in terminal.text(), 60)


def test_a_pager_that_is_not_there_is_told_and_the_dashboard_goes_on(terminal: Terminal, tmp_path: Path) -> None:
    start(terminal, tmp_path, "no-such-pager")
    terminal.press("F6")
    eventually(lambda: "no-such-pager" in terminal.text() and "VERDICTS" in terminal.text(), 60)
    eventually(lambda: _moved(terminal), every=0.5)


def _moved(terminal: Terminal) -> bool:
    """Go to the second line; a key that comes while the terminal is handed back is nobody's."""
    terminal.press("g", "j")
    return "2 WHY  backend kafka" in terminal.text()


def test_what_is_copied_reaches_the_clipboard_of_tmux(terminal: Terminal, tmp_path: Path) -> None:
    start(terminal, tmp_path, "less")
    terminal.option("set-clipboard", "on")
    terminal.press("Y")
    eventually(lambda: terminal.clipboard().startswith("ticketops "), 60)
