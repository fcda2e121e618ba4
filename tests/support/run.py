"""The engines that all workers of one test run share.

The process that the user started (with xdist: the controller) owns them, so that they end with it; the
first worker that needs one starts it, under a file lock.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketops.embedded.engine import Engine, EngineState, end, read_state

_FOLDER = "TICKETOPS_TEST_RUN_FOLDER"
_OWNER = "TICKETOPS_TEST_RUN_OWNER"


def begin() -> None:
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="ticketops-test-run-")
    os.environ[_OWNER] = str(os.getpid())


def finish() -> None:
    folder = Path(os.environ.pop(_FOLDER))
    for note in folder.glob("*.home"):
        home = Path(note.read_text())
        state = read_state(home)
        if state:
            end(state, grace=5.0)
        shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def shared_engine(kind: str, make: Callable[[int], Engine]) -> EngineState:
    """Return the run's engine of that kind, started by the first caller."""
    folder = Path(os.environ[_FOLDER])
    note = folder / f"{kind}.home"
    with _locked(folder / f"{kind}.lock"):
        if not note.exists():
            note.write_text(str(make(int(os.environ[_OWNER])).start().home))
    state = read_state(Path(note.read_text()))
    assert state is not None, f"{kind} was started, but left no state"
    return state


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
