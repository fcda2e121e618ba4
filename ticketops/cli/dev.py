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
from ticketops.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.embedded.background import Addresses, Background
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
    from ticketops.config import Config  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    _refuse_foreign(file, force=force)
    engines = _engines(folder)
    with _progress() as progress:
        addresses = engines.start(topics=sorted(set(Config().outbox.topics.values())), progress=progress)
    _write(file, addresses)
    _upgrade(inv, file)
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
        engines.purge()
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


def _write(file: Path, addresses: "Addresses") -> None:
    """Readable by its owner alone, since passwords stand in it."""
    from ticketops.config.example import toml_value  # noqa: PLC0415 - `--help` must not pay for it

    text = (
        f"{_MARK}\n[postgres]\nurl = {toml_value(addresses.postgres)}\n\n"
        f"[kafka]\nbootstrap_servers = {toml_value(addresses.kafka)}\n\n[redis]\nurl = {toml_value(addresses.redis)}\n"
    )
    try:
        file.unlink(missing_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written", why=error.strerror or type(error).__name__) from None


def _upgrade(inv: Invocation, file: Path) -> None:
    """What `db upgrade` does, with this file alone: a variable must not lead to another database."""
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.config import load  # noqa: PLC0415
    from ticketops.domain.database import UpgradeRequest  # noqa: PLC0415
    from ticketops.services import database  # noqa: PLC0415
    from ticketops.services.guard import Access  # noqa: PLC0415

    config: Config = load(file=file, environ={}).config
    keeper, access = wiring.open_schema(config), Access(config.context, config.read_only)
    database.upgrade(keeper, access, UpgradeRequest(), actor=wiring.actor(), progress=inv.out.note)


@contextlib.contextmanager
def _progress() -> Iterator["Progress"]:
    """Show the first download as a bar on a terminal, and nothing where there is none."""
    from ticketops.embedded.jars import no_progress  # noqa: PLC0415

    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console  # noqa: PLC0415 - only for people
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(stderr=True), transient=True) as bar:
        download = bar.add_task("downloading Kafka, once", total=None, visible=False)
        yield lambda done: bar.update(download, completed=done.done, total=done.total, visible=True)
