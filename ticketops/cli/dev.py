"""`ticketops dev`: PostgreSQL, Valkey and Kafka on this machine, for developers."""

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column
from ticketops.errors import RefusedError

if TYPE_CHECKING:
    from ticketops.embedded.background import Background
    from ticketops.embedded.jars import Progress

app = typer.Typer(no_args_is_help=True)

_MARK: Final = "# Written by `ticketops dev up`, which overwrites this file as long as this line stands here.\n"
_COLUMNS: Final = (
    Column("engine", keep=True),
    Column("state", keep=True),
    Column("pid"),
    Column("port", keep=True),
    Column("uptime_seconds", title="UPTIME", show=Show.AGE),
    Column("version"),
    Column("folder"),
)

Folder = Annotated[
    Path | None, typer.Option("--dir", help="The folder of the data; the user's state folder if not given.")
]


@app.command()
def up(
    ctx: typer.Context,
    *,
    folder: Folder = None,
    file: Annotated[Path, typer.Option("--file", help="The configuration file to write.")] = Path("ticketops.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that `dev up` did not write.")] = False,
) -> None:
    """Start the three in the background, prepare them, and write a configuration file that points to them."""
    inv = invocation(ctx)
    _refuse_foreign(file, force=force)
    engines = _engines(folder)
    from ticketops.demo.ground import TOPICS, upgrade, write_configuration  # noqa: PLC0415 - needs the engines

    with _progress() as progress:
        addresses = engines.start(topics=TOPICS, progress=progress)
    write_configuration(file, addresses, _MARK)
    upgrade(file, inv.out.note)
    inv.out.note(f"wrote {file}; next: ticketops outbox stats, ticketops relay run; ticketops dev down ends it")
    _show(inv, engines)


@app.command()
def status(ctx: typer.Context, *, folder: Folder = None) -> int:
    """Say what runs where; exit 7 where one of the three does not run."""
    engines = _engines(folder)
    _show(invocation(ctx), engines)
    running = [state for state in engines.states().values() if state and state.is_running]
    return ExitCode.DONE if len(running) == len(engines.states()) else ExitCode.UNREACHABLE


@app.command()
def down(
    ctx: typer.Context,
    *,
    folder: Folder = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete their data too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would end, and end nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --purge.")] = False,
) -> None:
    """Stop the three; their data stays unless --purge is given."""
    inv = invocation(ctx)
    engines = _engines(folder)
    if purge or dry_run:
        inv.confirm(_plan(engines, purge=purge), yes=yes, dry_run=dry_run)
    stopped = engines.stop()
    inv.out.note(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    if purge:
        from ticketops.demo.ground import remove_files  # noqa: PLC0415 - needs the engines

        engines.purge()
        remove_files(engines.folder)
        inv.out.note(f"deleted the data in {engines.folder}")


def _plan(engines: "Background", *, purge: bool) -> list[str]:
    stops = [f"stop {kind}" for kind, state in engines.states().items() if state and state.is_running]
    return [*stops, f"delete the data of all three in {engines.folder}"] if purge else stops


def _engines(folder: Path | None) -> "Background":
    from ticketops.embedded import installed  # noqa: PLC0415 - an optional extra

    installed.require()
    from ticketops.embedded.background import Background  # noqa: PLC0415
    from ticketops.embedded.folders import dev_folder  # noqa: PLC0415

    return Background(folder.expanduser().absolute() if folder else dev_folder())


def _show(inv: Invocation, engines: "Background") -> None:
    inv.out.rows("dev_engine", _COLUMNS, _rows(engines), name="engine")


def _rows(engines: "Background") -> Iterator[dict[str, object]]:
    for kind, state in engines.states().items():
        process = state.process if state and state.is_running else None
        yield {
            "engine": kind,
            "state": "running" if process else "stopped",
            "pid": process and process.pid,
            "port": state and state.port,
            "uptime_seconds": process and round(time.time() - process.started, 1),
            "started_at": process and datetime.fromtimestamp(process.started, UTC),
            "version": state and state.version,
            "folder": engines.folder / kind,
        }


def _refuse_foreign(file: Path, *, force: bool) -> None:
    if file.exists() and not force and not file.read_text(errors="replace").startswith(_MARK):
        raise RefusedError(
            f"{file} is there already", why="it was not written by `ticketops dev up`", hint="give --force or --file"
        )


@contextlib.contextmanager
def _progress() -> Iterator["Progress"]:
    """Show the first download as a bar on a terminal, and nothing where there is none."""
    from ticketops.embedded.jars import no_progress  # noqa: PLC0415

    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console  # noqa: PLC0415 - only for people
    from rich.progress import Progress as Bar  # noqa: PLC0415

    from ticketops.cli.progress import show_download  # noqa: PLC0415

    with Bar(console=Console(stderr=True), transient=True) as bar:
        yield show_download(bar)
