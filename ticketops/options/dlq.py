"""Dead letters: the queues there are, and what guards changes to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta

from ticketops.domain.queue_kinds import QueueKind
from ticketops.options.types import Natural

KIND: Final = "kind"
"""The field that says which of the others a queue has."""
ONLY: Final = "only"
"""In a field's metadata: the one kind that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """One dead-letter queue; a key that its kind does not have is refused."""

    kind: QueueKind
    """`redis`, `outbox`, `kafka` or `compensations`."""
    prefix: str = field(default="", metadata={ONLY: QueueKind.REDIS})
    """Put before every key of the worker; one like `{eu}:` keeps all of them in one slot of a Redis Cluster."""
    topic: str = field(default="", metadata={ONLY: QueueKind.KAFKA})
    """The dead-letter topic."""
    table: str = field(default="", metadata={ONLY: QueueKind.COMPENSATIONS})
    """The table, in `postgres.schema`; empty: `state.compensations_table`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqOptions:
    """Dead letters: where they are kept, and what guards changes to them."""

    store: Literal["postgres", "local"] = "postgres"
    """Operations, audit, holds and archive: `postgres.own_schema`, or a `local` file for users without PostgreSQL."""
    store_file: str = ""
    """The local file; empty: in the user's own state folder."""
    requeue_cap: Natural = 3
    """Requeues after which an item is skipped unless --force is given."""
    retention_days: Annotated[float, Meta(ge=0)] = 30.0
    """Days after which `cleanup` drops dead letters and archived ones; 0 keeps them for ever."""
    queues: Mapping[str, QueueOptions] = field(
        default_factory=lambda: {
            "bookings": QueueOptions(kind=QueueKind.REDIS),
            "outbox": QueueOptions(kind=QueueKind.OUTBOX),
            "compensations": QueueOptions(kind=QueueKind.COMPENSATIONS),
            "payments": QueueOptions(kind=QueueKind.KAFKA, topic="payment-events.dlq"),
            "emails": QueueOptions(kind=QueueKind.KAFKA, topic="booking-events.dlq"),
        }
    )
    """The queues by name. A file that has any of its own has no others; contexts, variables and flags add to them."""
