"""Dead letters in tables: hands for what the services and the relay do to their rows."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg

from ticketops.backends.postgres.dead_compensations import CompensationDeadLetters
from ticketops.backends.postgres.dead_outbox import OutboxDeadLetters
from ticketops.backends.postgres.dead_rows import DeadRows
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.database import UpgradeRequest
from ticketops.options import OutboxColumns, OutboxOptions, PostgresOptions, RelayOptions

DEBEZIUM = OutboxOptions(
    table="outboxevent",
    columns=OutboxColumns(
        id="Event %Id", aggregate_type="aggregatetype", aggregate_id="aggregateid", event_type="type", status="",
        created_at="", published_at="", retry_count="", last_error="",
    ),
)  # fmt: skip
"""No status: a row that is there is pending, unless it is known to be dead; and a name that needs quotes."""


class Rows:
    """A connection for what services do."""

    def __init__(self, postgres: PostgresOptions) -> None:
        self.postgres = postgres
        self._connection = psycopg.connect(postgres.url, autocommit=True)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(text.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()


@dataclass
class OutboxDeaths:
    """An outbox whose relay has given events up."""

    postgres: PostgresOptions
    options: OutboxOptions = field(default_factory=OutboxOptions)
    traits: frozenset[Any] = frozenset()
    queues: list[DeadRows] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = Rows(self.postgres)
        self.table = f"booking.{self.options.table}"
        self.scope = self.table
        self.id = '"' + self.options.columns.id.replace("%", "%%") + '"'
        self.queue = self.another()

    def another(self) -> DeadRows:
        made = OutboxDeadLetters("outbox", self.postgres, self.options, RelayOptions())
        self.queues.append(made)
        return made

    def add(self, key: str, payload: str | None = None) -> UUID:
        item, names = uuid4(), self.options.columns
        columns = f"{self.id}, {names.aggregate_type}, {names.aggregate_id}, {names.event_type}, {names.payload}"
        text = json.dumps({"key": key}) if payload is None else payload
        query = f"insert into {self.table} ({columns}) values (%s, 'BOOKING', %s, 'BOOKING_CREATED', %s)"
        self.rows.sql(query, item, key, text)
        return item

    def fail(self, item: UUID, *, state: str = "dead", message: str = "no answer", age: float = 0.0) -> None:
        """As the relay gives an event up."""
        names = self.options.columns
        self.rows.sql(
            "insert into ticketops.outbox_failures (scope, event_id, aggregate_type, aggregate_id, state, attempts, "
            "error, first_failed_at, last_failed_at) "
            f"select %s, {self.id}, {names.aggregate_type}, {names.aggregate_id}, %s, 5, %s, now(), "
            f"clock_timestamp() - make_interval(secs => %s) from {self.table} where {self.id} = %s",
            self.scope, state, message, age, item,
        )  # fmt: skip
        if names.status:
            self.rows.sql(
                f"update {self.table} set status = 'FAILED', retry_count = 5, last_error = %s where id = %s",
                message, item,
            )  # fmt: skip

    def die(self, key: str, *, reason: str = "", message: str = "no answer", age: float = 0.0) -> str:  # noqa: ARG002 - the relay knows one
        item = self.add(key)
        self.fail(item, message=message, age=age)
        return str(item)

    def die_again(self, origin: str) -> str:
        self.fail(UUID(origin))
        return origin

    def delivered(self) -> list[str]:
        names = self.options.columns
        state = f"o.{names.status} = 'PENDING'" if names.status else "true"
        query = (
            f"select o.{self.id} from {self.table} o left join ticketops.outbox_failures f on f.scope = %s "
            f"and f.event_id = o.{self.id} where {state} and f.state is null order by o.seq"
        )
        return [str(row[0]) for row in self.rows.sql(query, self.scope)]

    def touch(self, id_: str) -> None:
        self.rows.sql("update ticketops.outbox_failures set error = error || '!' where event_id = %s", UUID(id_))

    def lose_body(self, id_: str) -> None:
        raise NotImplementedError

    def spoil(self, id_: str) -> None:
        raise NotImplementedError

    def payload(self, key: str) -> bytes:
        return json.dumps({"key": key, "edited": True}).encode()

    def generation(self) -> int:
        rows = self.rows.sql("select generation from ticketops.outbox_changes where scope = %s", self.scope)
        return rows[0][0] if rows else 0

    def close(self) -> None:
        for queue in self.queues:
            queue.close()
        self.rows.close()


def debezium_deaths(postgres: PostgresOptions) -> OutboxDeaths:
    """Over a table of Debezium's shape, in a database with nothing in it."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create schema booking")
        connection.execute("create table booking.others (id int)")
    schema = PostgresSchema(postgres, DEBEZIUM, RelayOptions())
    schema.apply(UpgradeRequest(create_outbox=True), actor="tests", progress=lambda _: None)
    return OutboxDeaths(postgres, DEBEZIUM)


@dataclass
class CompensationDeaths:
    """The table of the saga's failures."""

    postgres: PostgresOptions
    table: str = "failed_compensations"
    traits: frozenset[Any] = frozenset()
    queues: list[DeadRows] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = Rows(self.postgres)
        self.queue = self.another()

    def another(self) -> DeadRows:
        made = CompensationDeadLetters("compensations", self.postgres, self.table)
        self.queues.append(made)
        return made

    def die(self, key: str, *, reason: str = "FAILED", message: str = "no answer", age: float = 0.0) -> str:
        item = uuid4()
        state = "MANUAL" if reason == "MANUAL" else "FAILED"
        self.rows.sql(
            f"insert into booking.{self.table} (compensation_id, booking_id, booking_reference, compensation_type, "
            "status, reference_id, error_message, retry_count, next_retry_at, last_retry_at, payload, created_at, "
            "updated_at) values (%s, 7, %s, 'RELEASE_SEATS', %s, 'R-1', %s, 5, null, "
            "clock_timestamp() - make_interval(secs => %s), %s, now() - interval '1 day', now())",
            item, key, state, message, age, json.dumps({"key": key}),
        )  # fmt: skip
        return str(item)

    def die_again(self, origin: str) -> str:
        self.rows.sql(
            f"update booking.{self.table} set status = 'FAILED', retry_count = 5, last_retry_at = clock_timestamp(), "
            "next_retry_at = null where compensation_id = %s and status = 'PENDING'",
            UUID(origin),
        )
        return origin

    def delivered(self) -> list[str]:
        """As the booking service picks them."""
        query = (
            f"select compensation_id from booking.{self.table} where status = 'PENDING' and next_retry_at <= "
            "clock_timestamp() and retry_count < max_retries order by last_retry_at, id"
        )
        return [str(row[0]) for row in self.rows.sql(query)]

    def touch(self, id_: str) -> None:
        self.rows.sql(
            f"update booking.{self.table} set error_message = error_message || '!' where compensation_id = %s",
            UUID(id_),
        )

    def lose_body(self, id_: str) -> None:
        raise NotImplementedError

    def spoil(self, id_: str) -> None:
        raise NotImplementedError

    def payload(self, key: str) -> bytes:
        return json.dumps({"key": key, "edited": True}).encode()

    def close(self) -> None:
        for queue in self.queues:
            queue.close()
        self.rows.close()
