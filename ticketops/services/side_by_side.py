"""Questions asked side by side, each in a daemon thread with a hard time-out: one that hangs costs its own answer."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ticketops.errors import BackendUnavailable, DeniedError, NotFoundError, TicketOpsError

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


def ask(questions: Mapping[str, Question], timeout: float) -> dict[str, Answer[object]]:
    """All answers, at most the time-out in seconds and a tenth after the call, in the order of the questions."""
    asked = {name: _Asked(name, question) for name, question in questions.items()}
    started = time.monotonic()
    for one in asked.values():
        one.start(timeout)
    deadline = started + timeout * (1 + _PATIENCE)
    return {name: one.wait(deadline - time.monotonic(), time.monotonic() - started) for name, one in asked.items()}


class _Asked:
    """A question under way."""

    def __init__(self, name: str, question: Question) -> None:
        self._name = name
        self._question = question
        self._done = threading.Event()
        self._answer: Answer[object] | None = None

    def start(self, timeout: float) -> None:
        threading.Thread(target=self._run, args=(timeout,), name=f"ask-{self._name}", daemon=True).start()

    def wait(self, seconds: float, waited: float) -> Answer[object]:
        self._done.wait(max(seconds, 0.0))
        answer = self._answer
        if answer is not None:
            return answer
        total = waited + max(seconds, 0.0)
        return Answer(error=f"no answer for {total:.1f} s", unreachable=True, took=total)

    def _run(self, timeout: float) -> None:
        started = time.monotonic()
        answer: Answer[object]
        try:
            answer = Answer(value=self._question(timeout), took=time.monotonic() - started)
        except NotFoundError:
            answer = Answer(took=time.monotonic() - started)
        except TicketOpsError as error:
            answer = _failed(error, time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: what nobody expected is the question's answer
            answer = Answer(error=f"{type(error).__name__}: {error}", took=time.monotonic() - started)
        self._answer = answer
        self._done.set()


def _failed(error: TicketOpsError, took: float) -> Answer[object]:
    return Answer(
        error=str(error),
        hint=error.hint,
        unreachable=isinstance(error, BackendUnavailable),
        denied=isinstance(error, DeniedError),
        took=took,
    )
