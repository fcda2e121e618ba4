"""Questions that several parts ask: one answer for all who ask at about that time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from ticketops.errors import BackendUnavailable, TicketOpsError
from ticketops.services.overview import parts
from ticketops.services.overview.parts import Drawn, Once, Question


@dataclass
class Asked:
    """Counts how often it was asked, and answers when it is let go."""

    times: int = 0
    fails: bool = False
    go: threading.Event = field(default_factory=threading.Event)
    closed: int = 0

    def ask(self) -> int:
        self.times += 1
        assert self.go.wait(60)
        if self.fails:
            raise BackendUnavailable("Redis", why="gone")
        return self.times

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def once(asked: Asked) -> Once[int]:
    return Once(Question(("queues",), lambda _: asked, lambda one, _: one.ask()))


def test_who_asks_meanwhile_and_soon_after_gets_the_same_answer(asked: Asked, once: Once[int]) -> None:
    drawn = Drawn(("queues",), once, lambda number: number * 10)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(once.read, 60), pool.submit(drawn.read, 60), pool.submit(once.read, 60)]
        asked.go.set()
        assert sorted(answer.result(60) for answer in answers) == [1, 1, 10]  # type: ignore[type-var]
    assert asked.times == 1
    drawn.close()
    once.close()
    assert asked.closed == 1


def test_a_later_question_is_asked_anew(asked: Asked, once: Once[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_SAME", 0.0)
    asked.go.set()
    assert [once.read(60), once.read(60)] == [1, 2]


def test_an_error_is_everybodys(asked: Asked, once: Once[int]) -> None:
    asked.fails = True
    asked.go.set()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="gone"):
            once.read(60)
    assert asked.times == 1


def test_who_waits_too_long_for_the_same_question_is_told(asked: Asked, once: Once[int]) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(once.read, 60)
        while not asked.times:
            pass
        with pytest.raises(TicketOpsError, match="under way"):
            once.read(0.01)
        asked.go.set()
        assert first.result(60) == 1
