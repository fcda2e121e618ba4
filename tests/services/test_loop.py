"""A daemon's part: steps, errors, stopping."""

import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest

from support.waiting import eventually
from ticketops.errors import BackendError, BackendUnavailable, LeaseLost, TicketOpsError
from ticketops.services.loop import Loop

LOST = BackendUnavailable("PostgreSQL", why="gone")


class Script:
    """A step that does what it was given, one thing after the other, and then nothing."""

    def __init__(self, *steps: float | BaseException) -> None:
        self.steps = list(steps)
        self.calls = 0
        self.done = threading.Event()

    def __call__(self) -> float:
        self.calls += 1
        if not self.steps:
            self.done.set()
            return 3600.0
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step


@pytest.fixture
def run() -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def start(script: Callable[[], float], **callbacks: Any) -> Loop:
        loop = Loop("part", script, **callbacks)
        loops.append(loop)
        loop.start()
        return loop

    yield start
    for loop in loops:
        loop.stop()
        assert loop.join(10)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketops.services.loop._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("ticketops.services.loop._LONGEST_PAUSE", 0.004)


def test_steps_follow_each_other_until_the_end(run: Callable[..., Loop]) -> None:
    script, ended = Script(0.0, 0.0, 0.001), threading.Event()
    loop = run(script, at_end=ended.set)
    assert script.done.wait(10)
    assert script.calls == 4
    assert not loop.stopping
    loop.stop()
    loop.stop()
    assert loop.join(10)
    assert loop.stopping
    assert ended.is_set()


def test_a_wake_ends_the_wait(run: Callable[..., Loop]) -> None:
    script = Script(3600.0, 3600.0)
    loop = run(script)
    for calls in (1, 2):
        eventually(lambda calls=calls: script.calls == calls)
        loop.wake()
    assert script.done.wait(10)


def test_trouble_is_told_once_and_its_end_too(
    run: Callable[..., Loop], log_lines: list[MutableMapping[str, Any]]
) -> None:
    told: list[TicketOpsError | None] = []
    lease_lost = LeaseLost("another relay has it")
    script = Script(LOST, LOST, LOST, lease_lost, LOST, 0.0, LOST)
    run(script, on_error=told.append)
    assert script.done.wait(10)
    eventually(lambda: len(told) == 6)
    assert told == [LOST, lease_lost, LOST, None, LOST, None]
    assert script.calls == 8
    assert [line["log_level"] for line in log_lines] == ["warning", "warning", "warning", "info", "warning", "info"]


@pytest.mark.parametrize("error", [BackendError("no table"), ZeroDivisionError("a defect"), SystemExit(3)])
def test_what_cannot_be_gone_on_from_ends_the_loop(run: Callable[..., Loop], error: BaseException) -> None:
    fatal: list[BaseException] = []
    ended = threading.Event()
    loop = run(Script(0.0, error, 0.0), on_fatal=fatal.append, at_end=ended.set)
    assert loop.join(10)
    assert fatal == [error]
    assert ended.is_set()


def test_an_end_that_fails_is_a_line_of_the_log(
    run: Callable[..., Loop], log_lines: list[MutableMapping[str, Any]]
) -> None:
    def fail() -> None:
        raise LOST

    loop = run(Script(0.0), at_end=fail)
    loop.stop()
    assert loop.join(10)
    assert [(line["log_level"], line["why"]) for line in log_lines] == [("warning", str(LOST))]


def test_joining_what_never_started_returns() -> None:
    assert Loop("part", Script()).join(0.1)


def test_starting_and_stopping_in_any_order_ends(run: Callable[..., Loop]) -> None:
    for _ in range(50):
        loop = run(Script(0.0))
        stopper = threading.Thread(target=loop.stop)
        stopper.start()
        loop.wake()
        stopper.join()
        assert loop.join(10)
