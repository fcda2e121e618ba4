"""The indexes that the state machine of bookings needs on tables that are the services' own."""

from collections.abc import Iterator
from dataclasses import dataclass

from ticketops.backends.postgres.naming import literal, quoted, with_suffix
from ticketops.backends.postgres.snapshot import Names, Snapshot
from ticketops.domain.bookings import BOOKING
from ticketops.domain.database import Finding, Step, UpgradeRequest, Verdict


@dataclass(frozen=True, slots=True)
class StateIndex:
    """One index."""

    table: str
    name: str
    keys: str
    where: str
    cost: str
    """What it costs that it is missing."""

    def create(self, schema: str, *, concurrently: bool) -> str:
        """The statement that builds it."""
        how = "CONCURRENTLY " if concurrently else ""
        where = f" WHERE {self.where}" if self.where else ""
        return f"CREATE INDEX {how}{quoted(self.name)} ON {quoted(schema, self.table)} ({self.keys}){where}"


def indexes(names: Names) -> Iterator[StateIndex]:
    """Every one of them, as far as the tables are configured to have the columns."""
    places = names.state.places
    columns = places.columns
    resting = ", ".join(literal(state) for state in sorted(BOOKING.resting))
    times = [columns.expires_at] if columns.expires_at else []
    yield StateIndex(
        places.table,
        with_suffix(places.table, "_ticketops_open"),
        ", ".join(quoted(name) for name in (columns.state, *times)),
        f"{quoted(columns.state)} NOT IN ({resting})",
        "`state stuck` and `state expire` read all bookings",
    )
    if columns.payment_reference:
        name = quoted(columns.payment_reference)
        yield StateIndex(
            places.table,
            with_suffix(places.table, "_ticketops_payment"),
            name,
            f"{name} IS NOT NULL",
            "a search by payment id reads all bookings",
        )
    if places.seats_table and columns.id:
        yield StateIndex(
            places.seats_table,
            with_suffix(places.seats_table, "_ticketops_booking"),
            quoted("booking_id"),
            "",
            "every transition reads all seats",
        )


def steps(snapshot: Snapshot, request: UpgradeRequest, names: Names) -> Iterator[Step]:
    """What is missing of them, where it was asked for; a table that is not there gets none."""
    if not request.add_state_indexes:
        return
    schema = names.postgres.schema
    for index in indexes(names):
        if index.table in snapshot.tables and not snapshot.service_indexes.get(index.name):
            there = index.name in snapshot.service_indexes
            drop = (f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema, index.name)}",) if there else ()
            yield Step(
                name=f"add-{index.name}",
                title=f"index {index.name} on {schema}.{index.table}",
                statements=(*drop, index.create(schema, concurrently=True)),
                lock=f"SHARE UPDATE EXCLUSIVE on {schema}.{index.table}: reads and writes go on",
                cost="two reads of the table; waits for transactions older than it",
                transactional=False,
                waits_for_locks=True,
            )


def fresh(names: Names, tables: frozenset[str]) -> Iterator[str]:
    """What tables that TicketOps makes itself have from the start."""
    for index in indexes(names):
        if index.table in tables:
            yield index.create(names.postgres.schema, concurrently=False)


def findings(snapshot: Snapshot, names: Names) -> Iterator[Finding]:
    """How each of them stands."""
    for index in indexes(names):
        if index.table not in snapshot.tables:
            continue
        valid = snapshot.service_indexes.get(index.name)
        found = {True: "is there", False: "invalid: its build was interrupted", None: "none"}[valid]
        yield Finding(
            item=f"index {index.name}",
            verdict={True: Verdict.OK, False: Verdict.WRONG, None: Verdict.MISSING}[valid],
            found=found,
            cost="" if valid else index.cost,
            next="" if valid else "ticketops db upgrade --add-state-indexes",
            required=False,
        )
