"""A thread of a player: it works until it is stopped, and keeps what ended it."""

import threading
from collections.abc import Callable
from typing import Final

from ticketops.errors import BackendError

_STOP_SECONDS: Final = 20.0


class Work:
    """Runs `work(stopping)` in a thread of its own."""

    def __init__(self, name: str, work: Callable[[threading.Event], None]) -> None:
        self._name = name
        self._work = work
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """True where it has nothing left to do, or failed."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Let it finish what it is at; idempotent."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def check(self) -> None:
        """Raise what ended it."""
        if self._failure is not None:
            raise BackendError(f"the demo's {self._name} failed", why=str(self._failure).strip()) from self._failure

    def _run(self) -> None:
        try:
            self._work(self._stopping)
        except BaseException as error:  # noqa: BLE001 - the outermost guard of a thread: kept for `check`
            self._failure = error
