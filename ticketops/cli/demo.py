"""`ticketops demo`: see the relay work on real engines, in a minute."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import invocation
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.demo.ground import Ground
    from ticketops.embedded.jars import Progress

_SCENE = 30.0
"""Seconds that a scene stays."""


def command(
    ctx: typer.Context,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the engines up, with a configuration file that points to them.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="With --keep: the folder of the data; else beside that of `dev up`.")
    ] = None,
    incident: Annotated[
        bool,
        typer.Option(
            "--incident", help="Break things in turn under the dashboard instead; without a terminal, as a test."
        ),
    ] = False,
    scene: Annotated[
        float | None,
        typer.Option("--scene", min=0.0, metavar="SECONDS", help="With --incident: how long each scene stays; 30."),
    ] = None,
) -> int:
    """Run a ticketing workload on real engines, kill a relay, prove that nothing was lost; exit 1 where it was.

    Two relays publish what a booking service writes to PostgreSQL. One of them is killed with SIGKILL. A consumer
    reads the topics, and every event and its order is compared with what was committed. Then a payment provider's
    outage leaves dead letters, and those of one cause are put back. Then bookings are paid for through Kafka, with
    hostile events among the payments and a worker that is killed. Afterwards all is gone.

    With --incident a healthy workload runs, and five things break in turn: the payment provider, a consumer, an event,
    Redis, bookings that are stuck. The dashboard shows it, with a caption of what to look for; in a pipe the same is
    played alone, and ends with 1 where `status` did not notice something, or it did not get well.
    """
    from ticketops.embedded import installed  # noqa: PLC0415 - an optional extra

    inv = invocation(ctx)
    installed.require()
    if folder and not keep:
        raise UsageError("--dir goes with --keep", why="without it the data is temporary", hint="give both, or neither")
    if incident and keep:
        raise UsageError(
            "--keep does not go with --incident", why="what is broken must not stay", hint="give one of them"
        )
    if scene is not None and not incident:
        raise UsageError("--scene goes with --incident", hint="give both, or neither")
    if incident:
        from ticketops.cli.demo_incident import play  # noqa: PLC0415 - `--help` must not pay for it

        return play(inv, seconds=_SCENE if scene is None else scene)
    from ticketops.cli.demo_summary import fields, summary  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.cli.demo_view import watch  # noqa: PLC0415
    from ticketops.demo.show import Show  # noqa: PLC0415

    with watch(sys.stderr, color=not inv.no_color) as view:
        report = Show(view).run(_ground(view.download, keep=keep, folder=folder))
    if inv.out.form.human:
        inv.out.text("demo", summary(report, color=inv.out.color))
    else:
        inv.out.record("demo", fields(report), name="proved")
    return ExitCode.DONE if report.holds else ExitCode.FAILED


def _ground(progress: "Progress", *, keep: bool, folder: Path | None) -> "AbstractContextManager[Ground]":
    from ticketops.demo import ground  # noqa: PLC0415

    if not keep:
        return ground.temporary(progress)
    return ground.lasting(folder.expanduser().absolute() if folder else ground.default_folder(), progress)
