"""The options that changes to dead letters share."""

from dataclasses import dataclass
from typing import Annotated

import typer

from ticketops.cli.parameters import taking
from ticketops.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the command line said of asking."""

    dry_run: bool = False
    yes: bool = False
    reason_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What the command line said of speed, and of reasons to stop."""

    rate: str | None = None
    canary: int = 0
    canary_wait: str = "60s"
    max_failures: int | None = None
    max_backlog: int | None = None

    def settings(self) -> dict[str, object]:
        """The same for the operation; UsageError where it makes no sense."""
        from ticketops.domain.pacing import Pace  # noqa: PLC0415 - `--help` must not pay for it
        from ticketops.domain.selectors import parse_span  # noqa: PLC0415

        pace = Pace(
            rate=None if self.rate is None else per_second(self.rate),
            canary=self.canary,
            canary_wait=parse_span(self.canary_wait).total_seconds(),
            max_failures=self.max_failures,
            max_backlog=self.max_backlog,
        )
        return pace.words()


_SPANS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def per_second(text: str) -> float:
    """Items a second from `50/s`, `600/m`, `50`. UsageError."""
    number, _, unit = text.strip().partition("/")
    try:
        rate = float(number) / _SPANS[unit or "s"]
    except (ValueError, KeyError):
        rate = 0.0
    if not 0.0 < rate < float("inf"):
        raise UsageError(f"--rate {text} is no rate", hint="write items per second, as in 50/s, or 600/m")
    return rate


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


consenting = taking(_consent, Consent, name="consent")
"""Gives a command the options about asking, as its argument `consent`."""
pacing = taking(_speed, Speed, name="speed")
"""Gives a command the options about speed, as its argument `speed`."""
