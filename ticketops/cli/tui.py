"""`ticketops tui`: the dashboard."""

import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import invocation
from ticketops.errors import UsageError


def command(
    ctx: typer.Context,
    *,
    every: Annotated[
        float, typer.Option("--every", min=1.0, metavar="SECONDS", help="Time after which a source is asked again.")
    ] = 5.0,
) -> None:
    """Look at everything on one screen, live: what is wrong, why, and what to run next. Changes nothing."""
    inv = invocation(ctx)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal", hint="`ticketops status --watch 5` works in a pipe")
    from ticketops.tui.app import Dashboard  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.tui.feed import Feed  # noqa: PLC0415
    from ticketops.tui.sources import Letters  # noqa: PLC0415
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415
    from ticketops.wiring.overview import open_overview  # noqa: PLC0415

    config = inv.config
    timeout = inv.seconds or config.status.timeout
    overview = open_overview(config, timeout=timeout, remember=True, every=every)
    letters = Letters(lambda name: open_queue(config, name, timeout=timeout), lambda: datetime.now(UTC))
    dashboard = Dashboard(
        lambda told, failed: Feed(overview, told, failed),
        letters,
        context=config.context,
        read_only=config.read_only,
        utf8=(sys.stdout.encoding or "").lower().startswith("utf"),
    )
    code = dashboard.run() or ExitCode.DONE
    sys.stdout.flush()
    os._exit(code)  # drivers that wait for a backend which hangs would keep the user waiting too
