"""The options that every command takes, before the noun or after the verb."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import typer

import ticketops
from ticketops.cli.output import Format

_SHOWN_AFTER_THE_VERB: Final = frozenset({"output", "context"})
ROOT_ONLY: Final = frozenset({"version", "completion"})
"""Options that make sense before the noun alone."""


class Shell(StrEnum):
    """The shells whose completion is served."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@dataclass(slots=True)
class Flags:
    """What the command line said; the deepest occurrence wins."""

    output: Format | None = None
    context: str | None = None
    config_file: Path | None = None
    assignments: list[str] = field(default_factory=list)
    """`section.key=value`, in the order given."""
    seconds: float | None = None
    """What `--timeout` said."""
    debug: bool = False
    no_color: bool = False

    def keep(self, name: str, value: object) -> None:
        """Take an option's value, unless the option was not given."""
        match value:
            case None | False | () | []:
                return
            case list() | tuple():
                self.assignments.extend(value)
            case _:
                setattr(self, name, value)


def _keep(ctx: typer.Context, param: typer.CallbackParam, value: object) -> None:
    flags = ctx.find_object(Flags)
    if flags is not None and param.name is not None:
        flags.keep(param.name, value)


def _version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        typer.echo(f"ticketops {ticketops.__version__}")
        raise typer.Exit


def _completion(ctx: typer.Context, value: Shell | None) -> None:
    """Typer prints the script when this variable asks for it."""
    if value is not None and not ctx.resilient_parsing:
        os.environ["_TICKETOPS_COMPLETE"] = f"source_{value}"
        ctx.find_root().command.main(args=[], prog_name="ticketops")


def options(  # noqa: PLR0913 - one argument per option
    *,
    output: Annotated[
        Format | None,
        typer.Option("--output", "-o", callback=_keep, expose_value=False, help="How data is written to stdout."),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context", callback=_keep, expose_value=False, metavar="NAME", help="The context of the file to use."
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            callback=_keep,
            expose_value=False,
            metavar="FILE",
            help="The configuration file; else $TICKETOPS_CONFIG, ./ticketops.toml, the user's.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            callback=_keep,
            expose_value=False,
            metavar="SECTION.KEY=VALUE",
            help="Override one value; repeatable.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            callback=_keep,
            expose_value=False,
            min=0.01,
            metavar="SECONDS",
            help="Longest wait for an answer; 5 where nothing is said.",
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option("--debug", callback=_keep, expose_value=False, help="Show the traceback of an error."),
    ] = False,
    no_color: Annotated[
        bool,
        typer.Option("--no-color", callback=_keep, expose_value=False, help="No colors; NO_COLOR does the same."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, expose_value=False, is_eager=True, help="Print the version."),
    ] = False,
    completion: Annotated[
        Shell | None,
        typer.Option(
            "--show-completion",
            callback=_completion,
            expose_value=False,
            is_eager=True,
            help="Print the completion script of a shell.",
        ),
    ] = None,
) -> None:
    """Operate event-driven services on PostgreSQL, Kafka and Redis."""


def asked_for_json(argv: Sequence[str]) -> bool:
    """True where the words ask for JSON; for errors in the words themselves, before anything is parsed."""
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    values = [after for word, after in pairwise(words) if word in {"-o", "--output"}]
    values += [word.removeprefix("--output=") for word in words if word.startswith("--output=")]
    values += [word.removeprefix("-o") for word in words if word.startswith("-o")]
    return any(value in {Format.JSON, Format.JSONL} for value in values)


def shown_after_the_verb(name: str | None) -> bool:
    """True for the options that a command's own help repeats."""
    return name in _SHOWN_AFTER_THE_VERB
