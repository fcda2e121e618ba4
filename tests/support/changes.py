"""A desk in memory: queues, a store, annotations, and a consumer that takes what was put back."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ticketops.backends.memory.annotations import MemoryAnnotations
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.backends.memory.operations import MemoryOperationStore
from ticketops.domain.admission import Admission
from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.fingerprint import group_of
from ticketops.domain.operations import Operation, Verb
from ticketops.domain.pacing import Pace
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk, Report, begin
from ticketops.services.dlq.planning import Plan, Planner
from ticketops.services.dlq.runner import Surroundings
from ticketops.services.dlq.running import Run
from ticketops.services.guard import Access


class AtOnce(Executor):
    """Runs what is handed in before it answers."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as every executor does
            future.set_exception(error)
        return future


@dataclass
class Clock:
    """Time that goes on when it is told to."""

    at: datetime = datetime(2026, 11, 23, 14, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def go(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Counts calls of ports, and ends the process at one of them."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash


class Fragile:
    """A port behind which the process can die before each call, and after it."""

    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port, self._fuse = port, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            answer = found(*args, **kwargs)
            self._fuse.burn()
            return answer

        return call


@dataclass
class World:
    """Everything that a change meets."""

    clock: Clock = field(default_factory=Clock)
    batch: int = 10
    read_only: bool = False

    def __post_init__(self) -> None:
        self.place = MemoryDeaths(clock=self.clock.now)
        self.store = MemoryOperationStore(self.clock.now)
        self.annotations = MemoryAnnotations(self.clock.now)
        self.queue: DeadLetterQueue = MemoryDeadLetterQueue(self.place, name="bookings", batch=self.batch)

    def light(self) -> Fuse:
        """Make every port fragile; the fuse that ends the process."""
        fuse = Fuse()
        self.queue, self.store, self.annotations = (  # type: ignore[assignment]
            Fragile(port, fuse) for port in (self.queue, self.store, self.annotations)
        )
        return fuse

    @property
    def queues(self) -> dict[str, DeadLetterQueue]:
        return {self.queue.name: self.queue}

    def desk(self, actor: str = "ada@here", executor: Callable[[], Executor] = AtOnce) -> Desk:
        return Desk(
            store=self.store,
            annotations=self.annotations,
            access=Access("default", self.read_only),
            actor=actor,
            executor=executor,
        )

    def die(self, number: int, *, key: str = "", reason: str = "timeout", message: str = "no answer") -> str:
        letter = DeadLetter(
            id=f"dead-{number}",
            queue="bookings",
            kind=QueueKind.REDIS,
            key=key or f"B-{number}",
            origin=f"item-{number}",
            reason=reason,
            error_message=message,
            attempts=3,
            failed_at=self.clock.now(),
            payload=f'{{"n":{number}}}'.encode(),
            destination="show-1",
        )
        self.place.add(letter)
        return letter.id

    def letters(self, ids: Sequence[str] | None = None) -> list[DeadLetter]:
        from ticketops.domain.deadletters import Narrowing  # noqa: PLC0415

        return list(self.queue.scan(Narrowing()) if ids is None else self.queue.get(ids))

    def plan(
        self, verb: Verb, ids: Sequence[str] | None = None, *, letters: Iterable[DeadLetter] | None = None, **more: Any
    ) -> Plan:
        planner = Planner(self.annotations, lambda letter: group_of(letter).label)
        return planner.plan(
            Admission(verb=verb, cap=3, **more),
            self.letters(ids) if letters is None else letters,
            selector={"all": True},
            cutoff=self.queue.now(),
            guarantees={"bookings": self.queue.guarantee},
        )

    def begin(self, plan: Plan, pace: Pace | None = None, *, actor: str = "ada@here", **settings: object) -> Operation:
        with plan:
            words = {**(pace or Pace()).words(), **settings}
            return begin(self.desk(actor), plan, reason="because", settings=words)

    def change(
        self,
        verb: Verb,
        ids: Sequence[str] | None = None,
        *,
        pace: Pace | None = None,
        around: Surroundings | None = None,
        **settings: object,
    ) -> Report:
        return self.run(self.begin(self.plan(verb, ids), pace, **settings), around).first()

    def run(self, operation: Operation, around: Surroundings | None = None, **more: Any) -> Run:
        chosen = around or Surroundings(observe=lambda _: self.clock.go(0.3), clock=self.clock.monotonic)
        return Run(self.desk(), operation, self.queues, chosen, **more)

    @property
    def delivered(self) -> list[str]:
        return [letter.origin for waiting in self.place.delivered.values() for letter in waiting]

    @property
    def there(self) -> list[str]:
        return sorted(self.place.letters)
