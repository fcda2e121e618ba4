"""`ticketops config`: where every setting comes from, whether it fits, and a file to begin with."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column
from ticketops.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    from ticketops.config import Settings
    from ticketops.config.problems import Problem

app = typer.Typer(no_args_is_help=True)

_VALUES = (Column("key", keep=True), Column("value"), Column("origin", keep=True))
_FINDINGS = (Column("contexts"), Column("problem", keep=True), Column("why"), Column("hint"))


@app.command()
def show(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys or sections; all where none is named.")
    ] = None,
) -> None:
    """Show every value and where it came from: default, file and line, variable or flag; secrets are hidden."""
    inv = invocation(ctx)
    settings = inv.load(strict=False, read_secrets=False)
    inv.out.note(f"context {settings.config.context}, file {settings.file or 'none'}")
    inv.out.rows("config_value", _VALUES, list(_values(settings, keys or [])), name="key")
    for problem in settings.problems:
        inv.out.note(f"problem: {problem.what}; ticketops config check")


def _values(settings: "Settings", wanted: Sequence[str]) -> Iterator[dict[str, object]]:
    from ticketops.config.problems import did_you_mean  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.config.redact import HIDDEN, redact_value  # noqa: PLC0415
    from ticketops.config.schema import family_of, sections, sections_of, value_of  # noqa: PLC0415
    from ticketops.config.secrets import RIVALS  # noqa: PLC0415

    known = {name for name in sections() if not family_of(name)[1]} | sections_of(settings.origins)
    for word in wanted:
        if word not in settings.origins and word not in known:
            hint = did_you_mean(word, [*settings.origins, *known])
            raise ConfigError(f"there is no key {word}", why=f"the sections are {', '.join(sorted(known))}", hint=hint)
    in_files = {plain for plain, reference in RIVALS if value_of(settings.config, reference)}
    for name in settings.origins:
        if not wanted or any(name == word or name.startswith(f"{word}.") for word in wanted):
            origin = settings.origins[name]
            yield {
                "key": name,
                "value": HIDDEN if name in in_files else redact_value(name, value_of(settings.config, name)),
                "origin": origin.place,
                "source": origin.source,
            }


@app.command()
def check(
    ctx: typer.Context,
    *,
    connect: Annotated[bool, typer.Option("--connect", help="Ask PostgreSQL and Kafka too.")] = False,
) -> int:
    """Look for mistakes in all contexts; exit 2 where there is one, 7 where a backend does not answer."""
    inv = invocation(ctx)
    settings = inv.load(strict=False)
    inv.note_warnings(settings)
    found = _all_problems(inv, settings)
    if not found and connect:
        _connect(inv)
    inv.out.rows("config_problem", _FINDINGS, found, name="problem")
    if found:
        return ExitCode.USAGE
    inv.out.note(f"{settings.file or 'the defaults'}: nothing wrong in {', '.join(settings.contexts)}")
    return ExitCode.DONE


def _all_problems(inv: Invocation, chosen: "Settings") -> list[dict[str, object]]:
    """Each problem once, with the contexts that have it."""
    from ticketops.config.redact import redact  # noqa: PLC0415 - `--help` must not pay for it

    contexts: dict[Problem, list[str]] = {}
    for name in chosen.contexts:
        for problem in _problems(inv, chosen, name):
            contexts.setdefault(problem, []).append(name)
    return [
        {
            "contexts": names,
            "problem": redact(problem.what),
            "why": redact(problem.why),
            "hint": redact(problem.hint),
        }
        for problem, names in contexts.items()
    ]


def _problems(inv: Invocation, chosen: "Settings", context: str) -> tuple["Problem", ...]:
    """The other contexts' secrets may live on other machines, so they are not read."""
    from ticketops.config import alert_checks  # noqa: PLC0415 - only this command needs to compile the rules

    mine = context == chosen.config.context
    settings = chosen if mine else inv.load(context, strict=False, read_secrets=False)
    return (*settings.problems, *alert_checks.check(settings.config), *_key_problems(settings))


def _key_problems(settings: "Settings") -> Iterator["Problem"]:
    """Mistakes in the dashboard's keys, which need the dashboard to be known."""
    if settings.config.tui.keys:
        from ticketops.tui import keymap  # noqa: PLC0415 - it loads Textual, and few files have such keys

        yield from keymap.problems(settings.config.tui.keys, settings.origins["tui.keys"].place)


def _connect(inv: Invocation) -> None:
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it

    for backend, seconds in wiring.ping(inv.config, timeout=inv.timeout).items():
        inv.out.note(f"{backend} answers in {seconds * 1000:.0f} ms")


@app.command()
def init(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("ticketops.toml"),
    *,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print it and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a configuration file that explains every key."""
    from ticketops.config.example import example  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    if stdout:
        inv.out.text("config_example", example())
        return
    _write(path, example(), force=force)
    inv.out.note(f"wrote {path}; next: ticketops --config {shlex.quote(str(path))} config check")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Readable by its owner alone, since a URL with a password will stand in it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if force:
            path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise RefusedError(f"{path} is there already", hint="give --force to overwrite it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written", why=error.strerror or type(error).__name__) from None
