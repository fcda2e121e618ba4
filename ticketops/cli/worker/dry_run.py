"""What a worker would do with what is there, printed."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation
from ticketops.cli.output import Column
from ticketops.errors import ServiceError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.domain.consuming import Record
    from ticketops.ports.consumers import RecordHandler
    from ticketops.wiring.workers import Choice

_COLUMNS = (
    Column("record", keep=True),
    Column("key"),
    Column("decision", keep=True),
    Column("reason"),
    Column("detail"),
    Column("at", wide=True),
    Column("bytes", wide=True),
)


def show(inv: Invocation, config: "Config", choice: "Choice", limit: int | None) -> int:
    """Print a line for each record, as it is decided."""
    from ticketops.domain.consuming import in_rollout  # noqa: PLC0415
    from ticketops.wiring.workers import open_dry_run  # noqa: PLC0415

    records, handler = open_dry_run(config, choice, timeout=max(inv.timeout, 5.0))
    try:
        handler.check()
        ours = (record for record in records.read() if in_rollout(record, config.worker.percentage))
        inv.out.rows("worker_decisions", _COLUMNS, _decided(islice(ours, limit), handler), name="record")
    finally:
        records.close()
        handler.close()
    inv.out.note("nothing was changed, and no offset committed")
    return ExitCode.DONE


def _decided(records: "Iterator[Record]", handler: "RecordHandler") -> Iterator[dict[str, Any]]:
    from ticketops.domain.record_headers.values import moment  # noqa: PLC0415

    for record in records:
        decision, reason, detail = _told(record, handler)
        yield {
            "record": str(record.position),
            "key": None if record.key is None else record.key.decode(errors="replace"),
            "decision": decision,
            "reason": reason,
            "detail": detail,
            "at": moment(record.timestamp or None),
            "bytes": record.size,
        }


def _told(record: "Record", handler: "RecordHandler") -> tuple[str, str, str]:
    from ticketops.domain.consuming import Handled, reason_at_once  # noqa: PLC0415

    try:
        outcome = handler.decide(record)
    except ServiceError as error:
        return "retry", type(error).__name__, str(error)
    if isinstance(outcome, Handled):
        return outcome.what, "", outcome.detail
    reason = reason_at_once(outcome.kind)
    return ("retry" if reason is None else "dead letter"), reason or outcome.kind.value, outcome.message
