"""What stands in a database, as far as `db status` and `db upgrade` ask; pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ticketops.options import OutboxOptions, PostgresOptions, StateOptions


@dataclass(frozen=True, slots=True)
class Names:
    """Which names to look for."""

    postgres: PostgresOptions
    outbox: OutboxOptions
    shards: int
    max_attempts: int
    state: StateOptions = field(default_factory=StateOptions)

    @property
    def scope(self) -> str:
        """The outbox's name in TicketOps' own tables."""
        return f"{self.postgres.schema}.{self.outbox.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server and our session on it."""

    version: int
    """server_version_num, e.g. 180006."""
    version_text: str
    database: str
    user: str
    encoding: str
    in_recovery: bool
    read_only: bool
    wal_level: str
    superuser: bool
    can_create: bool
    """May create schemas in this database."""
    oldest_transaction_seconds: float | None
    """Age of the oldest transaction that is visible to us; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the outbox."""

    type: str
    nullable: bool
    default: str | None
    identity: bool
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index of the outbox."""

    valid: bool
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """The outbox table."""

    kind: str
    """relkind: r table, p partitioned, v view, …"""
    owner: str
    owned: bool
    """We are a member of its owner."""
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    indexes: Mapping[str, Index]
    triggers: Mapping[str, str]
    """Name = definition."""
    options: Mapping[str, str]
    """Storage parameters, autovacuum's among them."""
    rights: frozenset[str]
    """SELECT, INSERT, UPDATE and DELETE, as far as we have them."""
    writers: tuple[str, ...]
    """Roles with the right to insert, the owner apart; `PUBLIC` stands for everybody."""
    live_rows: int
    dead_rows: int
    seq_cache: int | None
    """CACHE of the sequence behind seq; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that was looked at, at one moment."""

    server: Server
    schema_exists: bool
    tables: frozenset[str]
    """Every table and view of the services' schema."""
    service_indexes: Mapping[str, bool]
    """The indexes of the services' schema that are TicketOps' by their names, and whether they are usable."""
    outbox: Outbox | None
    own_schema_exists: bool
    own_usage: bool
    """We may use our own schema."""
    own_revision: str | None
    own_missing_rights: tuple[str, ...] = ()
    """`RIGHT on TABLE`, for our own tables."""
    shards: int | None = None
    """The number of shards that relays work with; None before the first relay."""
