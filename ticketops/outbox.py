"""Write outbox events in the transaction of the change that they tell of.

```python
import ticketops.outbox as outbox

with psycopg.connect(url) as connection:
    connection.execute("select 1 from booking.bookings where booking_id = %s for update", [booking_id])
    connection.execute("update booking.bookings set status = 'CONFIRMED' where booking_id = %s", [booking_id])
    outbox.add(connection, outbox.OutboxEvent("BOOKING", str(booking_id), "BOOKING_CONFIRMED", {"bookingId": …}))
```
"""

from ticketops.domain.outbox import OutboxEvent
from ticketops.options import OutboxColumns, OutboxOptions

__all__ = ["OutboxColumns", "OutboxEvent", "OutboxOptions", "add"]


def add(
    connection: object, *events: OutboxEvent, schema: str = "booking", options: OutboxOptions | None = None
) -> None:
    """Insert events, in the order given, in the transaction that `connection` is in; never commits.

    `connection` is a psycopg Connection or Cursor, or a SQLAlchemy Connection or Session. `schema` and `options`
    are `postgres.schema` and `[outbox]` of the configuration. Lock the aggregate's row before the call, so that the
    order of its events is the order of the commits.

    Raises InvalidEvent (two events of one id), UsageError (autocommit outside a transaction, or no connection),
    SchemaError (no such table), DataError (an id that is there already); errors of the driver pass as they are.
    """
    from ticketops.backends.postgres.write import write  # noqa: PLC0415 - importing this module loads no driver

    chosen = options or OutboxOptions()
    write(connection, events, schema, chosen.table, chosen.columns)
