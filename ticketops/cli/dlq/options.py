"""The options that changes to dead letters share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketops.cli.parameters import taking

if TYPE_CHECKING:
    from ticketops.domain.speed import Speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the command line said of asking."""

    dry_run: bool = False
    yes: bool = False
    reason_text: str = ""


def _consent(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason_text: Annotated[
        str, typer.Option("--reason-text", metavar="TEXT", help="Why; kept with the operation and in the audit log.")
    ] = "",
) -> None:
    """The template of the options about asking."""


def _speed(
    *,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/s", help="Most items per second; as fast as it goes otherwise.")
    ] = None,
    canary: Annotated[
        int, typer.Option("--canary", min=0, metavar="N", help="Do N, wait, and go on only if none of them comes back.")
    ] = 0,
    canary_wait: Annotated[
        str, typer.Option("--canary-wait", metavar="SPAN", help="How long to wait for them.")
    ] = "60s",
    max_failures: Annotated[
        int | None, typer.Option("--max-failures", min=1, metavar="N", help="Stop when so many items failed.")
    ] = None,
    max_backlog: Annotated[
        int | None,
        typer.Option("--max-backlog", min=1, metavar="N", help="Stop when so many items wait at a destination."),
    ] = None,
) -> None:
    """The template of the options about speed."""


def _spoken(**said: Any) -> "Speed":  # noqa: ANN401 - Typer passes what it parsed
    from ticketops.domain.speed import Speed  # noqa: PLC0415 - `--help` must not pay for it

    return Speed(**said)


consenting = taking(_consent, Consent, name="consent")
"""Gives a command the options about asking, as its argument `consent`."""
pacing = taking(_speed, _spoken, name="speed")
"""Gives a command the options about speed, as its argument `speed`."""
