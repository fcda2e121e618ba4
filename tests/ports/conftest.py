"""The outboxes that every conformance suite of the relay's ports runs over."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from support.engines import Postgres
from support.outboxes import DEBEZIUM, Box, MemoryBox, PostgresBox, Shape
from ticketops.options import OutboxColumns, PostgresOptions

SHAPES = {
    "postgres": Shape(),
    "postgres-no-index": Shape(index=False),
    "postgres-no-seq": Shape(seq=False),
    "postgres-no-seq-no-index": Shape(seq=False, index=False),
    "postgres-bytea": Shape(payload="bytea"),
    "postgres-json": Shape(payload="json", columns=OutboxColumns(trace_parent="trace")),
    "debezium": DEBEZIUM,
    "debezium-no-index": replace(DEBEZIUM, index=False),
}

MakeBox = Callable[[str | Shape], Box]


@pytest.fixture(scope="session")
def boxes(postgres: Postgres, database_template: str) -> Iterator[PostgresOptions]:
    """One database for the boxes of all tests: each has a table of its own."""
    name = f"boxes_{database_template}"
    postgres.create_database(name, database_template)
    yield PostgresOptions(url=postgres.url_of(name))
    postgres.drop_database(name)


@pytest.fixture
def make_box(request: pytest.FixtureRequest) -> Iterator[MakeBox]:
    with ExitStack() as stack:

        def make(shape: str | Shape) -> Box:
            if shape == "memory":
                return MemoryBox()
            found = shape if isinstance(shape, Shape) else SHAPES[shape]
            return stack.enter_context(closing(PostgresBox(request.getfixturevalue("boxes"), found)))

        yield make


@pytest.fixture(params=["memory", *SHAPES])
def box(request: pytest.FixtureRequest, make_box: MakeBox) -> Box:
    """An outbox of every kind."""
    return make_box(request.param)


@pytest.fixture(params=["memory", "postgres", "postgres-no-index", "debezium"])
def seq_box(request: pytest.FixtureRequest, make_box: MakeBox) -> Box:
    """An outbox whose table has a seq."""
    return make_box(request.param)


@pytest.fixture(params=["memory", "postgres"])
def plain_box(request: pytest.FixtureRequest, make_box: MakeBox) -> Box:
    """An outbox as the booking service has it."""
    return make_box(request.param)


@pytest.fixture
def pg_box(boxes: PostgresOptions) -> Iterator[PostgresBox]:
    """An outbox in PostgreSQL."""
    with closing(PostgresBox(boxes)) as box:
        yield box


@pytest.fixture
def lone_box(database: PostgresOptions) -> Iterator[PostgresBox]:
    """An outbox in a database of its own."""
    with closing(PostgresBox(database)) as box:
        yield box


@pytest.fixture(scope="session")
def shared_box(boxes: PostgresOptions) -> Iterator[PostgresBox]:
    """One outbox in PostgreSQL for property tests, which empty it before every example."""
    with closing(PostgresBox(boxes)) as box:
        yield box
