"""Outbox tables and what fills them."""

from benchmarks.stage import Database

PAYLOAD_BYTES = 350

SEED = """
CREATE SCHEMA booking;
CREATE TABLE booking.outbox_events (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  aggregate_type varchar(50) NOT NULL,
  aggregate_id varchar(100) NOT NULL,
  event_type varchar(50) NOT NULL,
  payload jsonb NOT NULL,
  status varchar(20) NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'PUBLISHED', 'FAILED')),
  created_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  retry_count int NOT NULL DEFAULT 0,
  last_error text
);
CREATE INDEX idx_outbox_pending ON booking.outbox_events (status, created_at) WHERE status = 'PENDING';
CREATE INDEX idx_outbox_published ON booking.outbox_events (status, published_at) WHERE status = 'PUBLISHED';
CREATE INDEX idx_outbox_aggregate ON booking.outbox_events (aggregate_type, aggregate_id);
"""
"""The booking service's table as it is today."""

LEAN = """
CREATE SCHEMA booking;
CREATE TABLE booking.outbox_events (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  aggregate_type varchar(50) NOT NULL,
  aggregate_id varchar(100) NOT NULL,
  event_type varchar(50) NOT NULL,
  payload jsonb NOT NULL
);
"""
"""What the relay needs and nothing else; `db upgrade` adds seq and the relay's index."""

LEAN_SETTINGS = {
    "outbox.on_published": "delete",
    "outbox.columns.status": "",
    "outbox.columns.created_at": "",
    "outbox.columns.published_at": "",
    "outbox.columns.retry_count": "",
    "outbox.columns.last_error": "",
}

_EVENTS = """
SELECT CASE WHEN n %% 10 < 7 THEN 'BOOKING' WHEN n %% 10 < 9 THEN 'PAYMENT' ELSE 'TICKET' END AS aggregate_type,
       'B-' || (n * 7919 %% 20000)::text AS aggregate_id,
       CASE WHEN n %% 2 = 0 THEN 'BOOKING_CONFIRMED' ELSE 'BOOKING_CREATED' END AS event_type,
       jsonb_build_object('bookingId', 'B-' || (n * 7919 %% 20000)::text, 'status', 'CONFIRMED', 'n', 100000000 + n,
           'note', left(md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || md5((n + 3)::text)
                        || md5((n + 4)::text) || md5((n + 5)::text) || md5((n + 6)::text) || md5((n + 7)::text)
                        || repeat('x', 100), %(note)s - length((n * 7919 %% 20000)::text))) AS payload,
       now() + n * interval '1 microsecond' AS created_at
FROM generate_series(1::bigint, %(count)s) AS n
"""
_CHECKPOINT = "CHECKPOINT"
"""Before rows are written, not after: the pages that a measurement changes are in the log in full by then,
as most have in a server that has worked for a while."""
_SEED_COLUMNS = "aggregate_type, aggregate_id, event_type, payload, created_at"
_FIXED_BYTES = 77
"""Bytes of a payload beside its note and the digits of its booking id."""


def fill_seed(database: Database, count: int) -> None:
    """Empty the seed table and fill it with pending events, 20,000 aggregates, then settle the server."""
    _fill(database, _SEED_COLUMNS, "*", count)


def fill_lean(database: Database, count: int) -> None:
    """The same for the lean table."""
    columns = "aggregate_type, aggregate_id, event_type, payload"
    _fill(database, columns, columns, count)


def add_pending(database: Database, count: int) -> None:
    """Add pending events to the rows of the seed table."""
    database.run(_CHECKPOINT)
    _insert(database, _SEED_COLUMNS, "*", count)
    settle(database)


def _fill(database: Database, columns: str, chosen: str, count: int) -> None:
    database.run("TRUNCATE booking.outbox_events", _CHECKPOINT)
    _insert(database, columns, chosen, count)
    settle(database)


def _insert(database: Database, columns: str, chosen: str, count: int) -> None:
    insert = f"INSERT INTO booking.outbox_events ({columns}) SELECT {chosen} FROM ({_EVENTS}) AS e"
    with database.connect() as connection:
        connection.execute(insert.encode(), {"count": count, "note": PAYLOAD_BYTES - _FIXED_BYTES})


_PUBLISHED = """
INSERT INTO booking.outbox_events
    (aggregate_type, aggregate_id, event_type, payload, status, created_at, published_at)
SELECT 'BOOKING', 'B-' || n % 1000000, 'BOOKING_CONFIRMED',
       jsonb_build_object('bookingId', 'B-1', 'note', repeat('x', 300)), 'PUBLISHED', at.t, at.t
FROM generate_series(1, {count}) AS n, LATERAL (SELECT now() - interval '5 days' + n * interval '40 ms') AS at (t)
"""


def fill_published(database: Database, count: int) -> None:
    """Fill the table with rows published within the last days; indexes are built afterwards, which is faster."""
    with database.connect() as connection:
        names = "SELECT format('%I.%I', schemaname, indexname), indexdef FROM pg_indexes"
        found = connection.execute(f"{names} WHERE tablename = 'outbox_events' AND indexname !~ 'pkey'").fetchall()
        connection.execute("ALTER TABLE booking.outbox_events DROP CONSTRAINT outbox_events_pkey")
        for name, _ in found:
            connection.execute(f"DROP INDEX {name}".encode())
        connection.execute(_PUBLISHED.replace("{count}", str(count)).encode())
        for _, definition in found:
            connection.execute(definition.encode())
        connection.execute("ALTER TABLE booking.outbox_events ADD PRIMARY KEY (id)")
    settle(database)


def settle(database: Database) -> None:
    """Vacuum, so that autovacuum has nothing to do while something is measured."""
    database.run("VACUUM (ANALYZE) booking.outbox_events")
