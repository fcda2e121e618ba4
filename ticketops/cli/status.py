"""`ticketops status`: what is wrong, worst first, with the command to run next."""

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from ticketops.cli.cells import Graded, Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Format
from ticketops.cli.watching import Watch, repeated
from ticketops.domain.spans import age

if TYPE_CHECKING:
    from ticketops.domain.overview.check import Check
    from ticketops.services.overview.status import Overview, Status

_COLUMNS = (
    Column("word", title="", show=Show.VERDICT, keep=True),
    Column("what", keep=True),
    Column("shown_value", title="VALUE", keep=True),
    Column("shown_threshold", title="LIMIT", wide=True),
    Column("age_seconds", title="OLDEST", show=Show.AGE),
    Column("shown_trend", title="TREND"),
    Column("next"),
    Column("note", wide=True),
)


def command(ctx: typer.Context, *, watch: Watch = None) -> int:
    """Say what is wrong in PostgreSQL, Kafka and Redis, worst first; ends with 8 over a limit, 7 without a backend."""
    from ticketops.wiring.overview import open_overview  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    timeout = inv.seconds or inv.config.status.timeout
    with closing(open_overview(inv.config, timeout=timeout, remember=True, secrets=inv.settings.secrets)) as overview:
        return repeated(inv, watch, lambda: _look(inv, overview))


def _look(inv: Invocation, overview: "Overview") -> int:
    status = overview.look()
    _show(inv, status)
    return _code(status)


def _show(inv: Invocation, status: "Status") -> None:
    rows = [_row(line) for line in status.lines]
    if inv.out.form in {Format.JSON, Format.YAML}:
        inv.out.record("status", record_of(status), name="context")
    else:
        short = inv.out.terminal and inv.out.form is Format.TABLE
        shown = [row for row in rows if row["grade"] != "ok"] if short else rows
        inv.out.rows("check", _COLUMNS, shown or rows, name="what")
        if short and shown and len(shown) < len(rows):
            inv.out.note(f". ok: {len(rows) - len(shown)} more; -o wide shows them, with limits and notes")
    if status.trouble:
        inv.out.note(f"trends are not told: {status.trouble}")


def record_of(status: "Status") -> dict[str, object]:
    """All of it, as JSON has it."""
    return {
        "at": status.snapshot.at,
        "context": status.snapshot.context,
        "trend_seconds": status.trend_seconds,
        "checks": [_row(line) for line in status.lines],
        "snapshot": asdict(status.snapshot),
    }


def _code(status: "Status") -> int:
    from ticketops.domain.overview.checks import breached, unreachable  # noqa: PLC0415

    if unreachable(status.lines):
        return ExitCode.UNREACHABLE
    return ExitCode.BREACHED if breached(status.lines) else ExitCode.DONE


def _row(line: "Check") -> dict[str, object]:
    fields = asdict(line)
    return {
        **fields,
        "word": Graded(line.word, line.grade.value),
        "what": f"{line.area} {line.subject}",
        "shown_value": _shown(line.value, line.unit),
        "shown_threshold": _shown(line.threshold, line.threshold_unit),
        "shown_trend": _trend(line),
        "note": _note(line),
    }


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "seconds":
        return f"{value * 1000:.0f}ms" if value < 1 else age(value)
    return f"{value:,.0f}".replace(",", " ")


def _trend(line: "Check") -> str:
    """Change per second, or per minute where it is slow; empty where it is not known."""
    if line.trend is None or line.unit != "count":
        return ""
    if not line.trend:
        return "="
    per, unit = (line.trend, "s") if abs(line.trend) >= 1 else (line.trend * 60, "m")
    return f"{per:+.0f}/{unit}" if abs(per) >= 1 else f"{line.trend * 3600:+.1f}/h"


def _note(line: "Check") -> str:
    stale = "" if line.stale_seconds is None else f"last good {age(line.stale_seconds)} ago"
    return "; ".join(part for part in (line.note, stale) if part)
