"""`ticketops metrics`: an exporter of everything that `status` knows."""

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation

if TYPE_CHECKING:
    from ticketops.services.overview.exporter import SnapshotExporter
    from ticketops.services.overview.status import Overview

_STALE = 3
"""Rounds without a snapshot after which the exporter is not ready."""
_STOP_TIMEOUT = 2.0


def command(
    ctx: typer.Context,
    *,
    every: Annotated[
        float, typer.Option("--every", min=1, metavar="SECONDS", help="Time between two snapshots.")
    ] = 15.0,
    once: Annotated[bool, typer.Option("--once", help="Print the metrics of one snapshot and end.")] = False,
) -> int:
    """Serve /metrics, /livez and /readyz from a snapshot that is made again and again; a scrape asks no backend."""
    from ticketops.services.overview.exporter import SnapshotExporter  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.overview import open_overview  # noqa: PLC0415

    inv = invocation(ctx)
    exporter = SnapshotExporter(inv.config.status, now=lambda: datetime.now(UTC), stale_after=every * _STALE)
    timeout = inv.seconds or inv.config.status.timeout
    with closing(
        open_overview(inv.config, timeout=timeout, remember=False, counters=True, secrets=inv.settings.secrets)
    ) as overview:
        if not once:
            return _serve(inv, overview, exporter, every)
        exporter.show(overview.look().snapshot)
        inv.out.text("metrics", exporter.exposition().decode())
    return ExitCode.DONE


def _serve(inv: Invocation, overview: "Overview", exporter: "SnapshotExporter", every: float) -> int:
    from ticketops.cli.daemons import run_loop, take_signals  # noqa: PLC0415
    from ticketops.cli.process import configure_logs  # noqa: PLC0415
    from ticketops.services.exposition import Exposition, Health, Probes  # noqa: PLC0415
    from ticketops.services.loop import Loop  # noqa: PLC0415

    config, failures = inv.config, list[BaseException]()

    def look() -> float:
        exporter.show(overview.look().snapshot)
        return every

    configure_logs(config.log, inv.settings.secrets)
    stopping = take_signals(config.log)
    live = Health(ok=True, reason="alive")
    server = Exposition(config.http, Probes(lambda: live, exporter.ready, exporter.exposition))
    server.start()
    inv.out.note(f"answers http://{server.address}/metrics, /livez and /readyz")
    try:
        run_loop(Loop("snapshot", look, on_fatal=failures.append), failures, stopping, _STOP_TIMEOUT)
    finally:
        server.stop()
    return ExitCode.DONE
