"""A command line like `ticketops`, whose verbs do what tests need: `python -m support.probe probe VERB`."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from ticketops import errors
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import invocation
from ticketops.cli.main import run
from ticketops.cli.nouns import Noun
from ticketops.cli.output import Column, Section, Show

app = typer.Typer()

HOSTILE = "\x1b[2Jboo\x07 [/v2/capture] [red]x[/red] \u202egnp.exe\r\n\ttail\x9b31m"
ID = UUID("018f0000-0000-7000-8000-0123456789ab")
SECRET = "Tr0ub4dor-and-3"  # noqa: S105 - the secret that must not be seen


@app.command("list")
def list_(ctx: typer.Context, count: int = 1) -> None:
    """Print a list of hostile rows."""
    columns = (
        Column("id", keep=True),
        Column("text"),
        Column("count", show=Show.COUNT),
        Column("age_seconds", title="AGE", show=Show.AGE),
        Column("created_at"),
        Column("missing"),
        Column("more", wide=True),
    )
    row = {
        "id": ID,
        "text": HOSTILE,
        "count": 1204,
        "age_seconds": 252.5,
        "created_at": datetime(2026, 11, 23, 10, 10, 54, 947711, tzinfo=UTC),
        "missing": None,
        "more": {"ключ": ["é", 1]},
        "hidden": True,
    }
    invocation(ctx).out.rows("probe", columns, (row for _ in range(count)))


@app.command()
def show(ctx: typer.Context) -> None:
    """Print one record."""
    invocation(ctx).out.record("probe", {"id": ID, "text": HOSTILE, "none": None, "age_seconds": 1.5})


@app.command()
def report(ctx: typer.Context) -> None:
    """Print a report of two tables."""
    sections = [
        Section("relays", ("name",), [{"name": "a"}]),
        Section("shards", ("slot", "owner"), [{"slot": 1, "owner": "a"}]),
    ]
    invocation(ctx).out.report("probe_report", {"relays": ["a"], "shards": 1}, sections)


@app.command()
def change(
    ctx: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    phrase: Annotated[str | None, typer.Option("--phrase")] = None,
) -> None:
    """Change something after confirmation."""
    inv = invocation(ctx)
    inv.confirm(["retry 12 events", f"reason: {HOSTILE}"], yes=yes, dry_run=dry_run, phrase=phrase)
    inv.out.record("changed", {"id": "changed"})


@app.command()
def fail(kind: str) -> None:
    """Raise one of our errors, with a secret in it."""
    why = f"could not reach postgresql://app:{SECRET}@db/booking {HOSTILE}"
    raise getattr(errors, kind)("it failed", why=why, hint="try again")


@app.command()
def crash(ctx: typer.Context) -> None:
    """Raise what nobody expected, with the configuration's secret in a local and in the message."""
    url = invocation(ctx).config.postgres.url
    raise KeyError(f"value {url.partition('://')[2]} password={SECRET}")


@app.command()
def partly() -> int:
    """End with an exit code of its own."""
    return ExitCode.PARTLY


@app.command()
def wait(ctx: typer.Context) -> None:
    """Say that it waits, then wait."""
    out = invocation(ctx).out
    out.note("waiting")
    while not out.closed:
        time.sleep(0.01)


@app.command()
def flags(ctx: typer.Context) -> None:
    """Print what the flags said."""
    inv = invocation(ctx)
    invocation(ctx).out.record(
        "flags",
        {
            "context": inv.context,
            "timeout": inv.timeout,
            "set": inv.assignments,
            "debug": inv.debug,
            "color": inv.out.color,
        },
    )


if __name__ == "__main__":
    sys.exit(
        run(
            sys.argv[1:],
            [Noun("probe", "support.probe", "What tests need."), Noun("gone", "support.gone", "Not there.")],
        )
    )
