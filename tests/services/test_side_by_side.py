"""Questions in threads: what hangs costs its own answer, one thread and no more."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.waiting import eventually
from ticketops.errors import BackendUnavailable, DeniedError, NotFoundError
from ticketops.services.side_by_side import Answer, Asking, ask


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that is set when the test has ended, so that threads which hang on it end too."""
    event = threading.Event()
    yield event
    event.set()


@contextmanager
def hanging(event: threading.Event, timeout: float = 0.05) -> Iterator[Asking[bool]]:
    """A question that was not answered in time and hangs until the event."""
    asking = Asking("hung", lambda _: event.wait())
    asking.begin(timeout)
    assert not asking.wait()
    yield asking


def test_each_answer_is_its_own(never: threading.Event) -> None:
    def refused(_: float) -> object:
        raise DeniedError("no right", hint="grant it")

    def gone(_: float) -> object:
        raise BackendUnavailable("Kafka", why="gone")

    def missing(_: float) -> object:
        raise NotFoundError("nothing here")

    def broken(_: float) -> object:
        raise ZeroDivisionError("oh")

    answers = ask(
        {
            "sum": lambda timeout: timeout,
            "a": refused,
            "b": gone,
            "c": missing,
            "d": broken,
            "e": lambda _: never.wait(),
        },
        2.0,
    )
    assert list(answers) == ["sum", "a", "b", "c", "d", "e"]
    assert (answers["sum"].value, answers["sum"].ok) == (2.0, True)
    assert (answers["a"].error, answers["a"].hint, answers["a"].denied) == ("no right", "grant it", True)
    assert answers["b"].unreachable
    assert (answers["c"].value, answers["c"].ok) == (None, True)
    assert (answers["d"].error, answers["d"].unreachable) == ("ZeroDivisionError: oh", False)
    assert (answers["e"].unreachable, answers["e"].error[:9]) == (True, "no answer")


def test_one_that_hangs_for_long_has_one_thread_and_is_not_waited_for_again(never: threading.Event) -> None:
    with hanging(never, 0.2) as asking:
        started = time.monotonic()
        for _ in range(1000):
            asking.begin(60.0)
            assert asking.answer().unreachable
        assert time.monotonic() - started < 60
        assert [thread.name for thread in threading.enumerate()].count("ask-hung") == 1


def test_one_that_hung_answers_again_when_it_can(never: threading.Event) -> None:
    with hanging(never) as asking:
        never.set()
        eventually(lambda: not asking.busy)
        assert asking.answer().value is True
        asking.begin(60.0)
        assert asking.answer().value is True


def test_what_is_told_is_told_before_anybody_can_see_it() -> None:
    told: list[Answer[float]] = []
    asking = Asking("quick", lambda timeout: timeout, told.append)
    for number in range(1, 300):
        asking.begin(60.0)
        answer = asking.answer()
        assert (len(told), told[-1]) == (number, answer)


def test_what_is_asked_is_given_up_once_and_never_under_a_question(never: threading.Event) -> None:
    closed: list[str] = []
    with hanging(never) as asking:
        asking.close(lambda: closed.append(threading.current_thread().name))
        assert not closed
        never.set()
        eventually(lambda: closed)
        assert closed == ["ask-hung"]
    idle = Asking("idle", lambda timeout: timeout)
    assert idle.answer().error == "it was never asked"
    idle.close(lambda: closed.append("at once"))
    assert closed[1:] == ["at once"]
