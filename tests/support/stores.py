"""Operation stores and annotations of every kind, with clocks that tests can move."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from ticketops.backends.memory.annotations import MemoryAnnotations
from ticketops.backends.memory.operations import MemoryOperationStore
from ticketops.backends.postgres import session
from ticketops.backends.store.annotations import SqlAnnotations
from ticketops.backends.store.operations import SqlOperationStore
from ticketops.backends.store.place import Place
from ticketops.backends.store.postgres import Driver, PostgresPlace
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.domain.deadletters import Outcome, Result
from ticketops.domain.operations import FrozenItem, Operation, Verb
from ticketops.options import PostgresOptions
from ticketops.ports.operations import Annotations, OperationStore

BEGUN = datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
UPGRADE = "run `ticketops db upgrade`"
HOSTILE = "a\0b\ud800\\0\\\x1b[31m\"'\n\t%s{x}é🎫\udcff"
"""NUL, lone surrogates, backslashes, an escape sequence, quotes."""


def postgres_place(options: PostgresOptions) -> PostgresPlace:
    driver = Driver(
        engine=partial(session.engine, options, application="tests", missing=UPGRADE),
        translated=partial(session.translated, missing=UPGRADE),
        bounded=partial(session.bounded, seconds=options.answer_timeout),
    )
    return PostgresPlace(driver, options.own_schema)


class Shelf:
    """One place; each store and annotations over it is as another process would have it."""

    def __init__(self, store: Callable[[], OperationStore], annotations: Callable[[], Annotations]) -> None:
        self._store, self._annotations = store, annotations
        self._stack = ExitStack()

    def store(self) -> OperationStore:
        made = self._store()
        self._stack.callback(made.close)
        return made

    def annotations(self) -> Annotations:
        made = self._annotations()
        self._stack.callback(made.close)
        return made

    def close(self) -> None:
        self._stack.close()


def memory_shelf() -> Shelf:
    store, annotations = MemoryOperationStore(), MemoryAnnotations()
    return Shelf(lambda: store, lambda: annotations)


def place_shelf(make: Callable[[], Place]) -> Shelf:
    return Shelf(lambda: SqlOperationStore(make()), lambda: SqlAnnotations(make()))


def sqlite_shelf(path: Path) -> Shelf:
    return place_shelf(lambda: SqlitePlace(path))


def postgres_shelf(options: PostgresOptions) -> Shelf:
    return place_shelf(lambda: postgres_place(options))


def operation(**changes: Any) -> Operation:
    plain = Operation(
        id=uuid4(),
        verb=Verb.REQUEUE,
        queues=("bookings",),
        actor="tester@here",
        reason="because",
        selector={"reason": "timeout"},
        cutoff=BEGUN,
        created_at=BEGUN,
    )
    return replace(plain, **changes)


def frozen(number: int, queue: str = "bookings", **changes: Any) -> FrozenItem:
    plain = FrozenItem(queue=queue, id=f"dlq:item-{number}:1", digest=f"d{number}", origin=f"item-{number}", key="E1")
    return replace(plain, **changes)


def done(*numbers: int, outcome: Outcome = Outcome.DONE, detail: str = "") -> dict[int, Result]:
    return {number: Result(f"dlq:item-{number}:1", outcome, detail) for number in numbers}
