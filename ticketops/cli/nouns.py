"""The nouns of the command line, each loaded only when it is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from ticketops.cli import flags
from ticketops.errors import UsageError


@dataclass(frozen=True, slots=True)
class Noun:
    """A word of the command line and the module that holds its verbs."""

    name: str
    module: str
    help: str


NOUNS: Final = (
    Noun("status", "ticketops.cli.status", "What is wrong, worst first, and what to run next."),
    Noun("trace", "ticketops.cli.trace", "One booking's story across all backends, and its gaps."),
    Noun("doctor", "ticketops.cli.doctor", "What goes wrong in production, why it matters, and its fix."),
    Noun("relay", "ticketops.cli.relay", "Publish outbox events to Kafka: run, status, pause, resume."),
    Noun("alerts", "ticketops.cli.alerts", "Rules over what `status` knows: check, list, run, test, silence."),
    Noun("metrics", "ticketops.cli.metrics", "An exporter for Prometheus of everything that `status` knows."),
    Noun("outbox", "ticketops.cli.outbox", "Look at outbox events, retry, skip, replay and clean up."),
    Noun("dlq", "ticketops.cli.dlq", "Dead letters of every queue: find, group, show, export."),
    Noun("ops", "ticketops.cli.ops", "Operations on dead letters: list, show, cancel, resume."),
    Noun("tui", "ticketops.cli.tui", "The dashboard: what is wrong, why, and what next, live."),
    Noun("lag", "ticketops.cli.lag", "Which consumers fall behind, how far, and what that means."),
    Noun(
        "state",
        "ticketops.cli.state",
        "Bookings by state: history, fire, stuck, stats, verify, expire.",
    ),
    Noun("payments", "ticketops.cli.payments", "Write payment events through the outbox."),
    Noun("db", "ticketops.cli.db", "Bring the database's schema up to date, and say what is missing."),
    Noun("worker", "ticketops.cli.worker", "Handle events and queues: payments, emails, bookings."),
    Noun("config", "ticketops.cli.config", "Show where every setting comes from, check it, write a file."),
    Noun("dev", "ticketops.cli.dev", "PostgreSQL, Valkey and Kafka on this machine, for developers."),
    Noun("demo", "ticketops.cli.demo", "See the relay work on real engines, in a minute."),
)


class LazyNoun(TyperGroup):
    """Stands for a noun in lists; becomes the real command when its words are parsed."""

    def __init__(self, noun: Noun) -> None:
        super().__init__(name=noun.name, help=noun.help, rich_markup_mode=None)
        self.noun = noun

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Typer's own signature, passed through
        """Parse with the real command; UsageError where this build has none."""
        return load(self.noun).make_context(*args, **kwargs)


def root(nouns: Sequence[Noun] = NOUNS) -> TyperGroup:
    """The command `ticketops` with its nouns."""
    app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
    app.callback()(flags.options)
    group = get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError(group)
    group.params = [param for param in group.params if param.name != "show_completion"]
    for noun in nouns:
        group.add_command(LazyNoun(noun), noun.name)
    return group


def load(noun: Noun) -> Any:  # noqa: ANN401 - Typer's command class is private to it
    """The noun's real command, with the options that every command takes."""
    try:
        module = import_module(noun.module)
    except ModuleNotFoundError as error:
        if error.name != noun.module:
            raise
        raise UsageError(
            f"ticketops {noun.name} is not in this build", hint="ticketops --help lists what is"
        ) from error
    command = _group(noun, module.app) if hasattr(module, "app") else _plain(noun, module.command)
    _add_flags(command)
    return command


def _group(noun: Noun, app: typer.Typer) -> TyperGroup:
    app.rich_markup_mode = None
    group = get_group(app)
    group.name, group.help = noun.name, group.help or noun.help
    return group


def _plain(noun: Noun, function: Any) -> Any:  # noqa: ANN401 - any function that Typer can read
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(noun.name)(function)
    return get_command(app)


def _add_flags(command: Any) -> None:  # noqa: ANN401 - Typer's command class is private to it
    taken = {name for param in command.params for name in param.opts}
    for param in _flag_params():
        if taken.isdisjoint(param.opts):
            param.hidden = not flags.shown_after_the_verb(param.name)
            command.params.append(param)
    for verb in getattr(command, "commands", {}).values():
        _add_flags(verb)


def _flag_params() -> list[Any]:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(flags.options)
    return [param for param in get_command(app).params if param.name not in flags.ROOT_ONLY]
