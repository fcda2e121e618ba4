"""Questions asked side by side, each in a daemon thread with a hard time-out: one that hangs costs its own answer."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

from ticketops.errors import BackendUnavailable, DeniedError, NotFoundError, TicketOpsError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Question = Callable[[float], object]
"""Asks within so many seconds; errors of TicketOps are its answer. Runs in a thread of its own."""
_PATIENCE: Final = 0.1
"""Part of the time-out that is added to it for questions that keep their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T_co]):
    """What came of one question."""

    value: T_co | None = None
    error: str = ""
    """Why there is no value; empty where there is one."""
    hint: str = ""
    unreachable: bool = False
    """Nobody answered, or not in time."""
    denied: bool = False
    """A right is missing."""
    took: float = 0.0
    """Seconds."""

    @property
    def ok(self) -> bool:
        """True where the question was answered."""
        return not self.error


class Asking(Generic[T]):
    """One question, put again and again by one thread; never while the last one is under way: threads do not pile up.

    Daemon threads: nothing that hangs keeps the process alive.
    """

    def __init__(
        self, name: str, question: Callable[[float], T], told: Callable[[Answer[T]], None] = lambda _: None
    ) -> None:
        """`told` gets each answer, in the thread that asked, before anybody else."""
        self._name = name
        self._question = question
        self._told = told
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._answer: Answer[T] = Answer(error="it was never asked")
        self._begun: float | None = None
        self._timeout = 0.0
        self._close: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """True while a question is under way."""
        return not self._done.is_set()

    @property
    def waited(self) -> float | None:
        """Seconds since the last question; None before the first."""
        return None if self._begun is None else time.monotonic() - self._begun

    def begin(self, timeout: float) -> None:
        """Ask, with `timeout` seconds to answer; nothing while the last question is under way."""
        if self.busy:
            return
        self._begun, self._timeout = time.monotonic(), timeout
        self._done.clear()
        threading.Thread(target=self._run, args=(timeout,), name=f"ask-{self._name}", daemon=True).start()

    def wait(self, most: float | None = None) -> bool:
        """Whether it is answered: waits until the time-out and a tenth after the question, at most `most` seconds."""
        left = self._timeout * (1 + _PATIENCE) - (self.waited or 0.0)
        return self._done.wait(max(left if most is None else min(left, most), 0.0))

    def answer(self) -> Answer[T]:
        """What it said; waits no longer than the time-out and a tenth after the question."""
        return self._answer if self.wait() else self.silence()

    def silence(self) -> Answer[T]:
        """The answer of one that does not answer."""
        waited = self.waited or 0.0
        return Answer(error=f"no answer for {waited:.1f} s", unreachable=True, took=waited)

    def close(self, close: Callable[[], None]) -> None:
        """Give up what is asked: at once, or in the thread of the question under way when that has ended."""
        with self._lock:
            if self.busy:
                self._close = close
                return
        close()

    def _run(self, timeout: float) -> None:
        self._answer = _answered(self._question, timeout)
        self._told(self._answer)
        with self._lock:
            self._done.set()
            close = self._close
        if close is not None:
            close()


def ask(questions: Mapping[str, Question], timeout: float) -> dict[str, Answer[object]]:
    """All answers, at most the time-out in seconds and a tenth after the call, in the order of the questions.

    What is not found is an answer without a value.
    """
    asked = {name: Asking(name, partial(_found, question)) for name, question in questions.items()}
    for one in asked.values():
        one.begin(timeout)
    return {name: one.answer() for name, one in asked.items()}


def _found(question: Question, timeout: float) -> object:
    try:
        return question(timeout)
    except NotFoundError:
        return None


def _answered(question: Callable[[float], T], timeout: float) -> Answer[T]:
    started = time.monotonic()
    try:
        return Answer(value=question(timeout), took=time.monotonic() - started)
    except TicketOpsError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the thread's outermost guard: what nobody expected is the question's answer
        failure = TicketOpsError(type(error).__name__, why=str(error))
    return Answer(
        error=str(failure),
        hint=failure.hint,
        unreachable=isinstance(failure, BackendUnavailable),
        denied=isinstance(failure, DeniedError),
        took=time.monotonic() - started,
    )
