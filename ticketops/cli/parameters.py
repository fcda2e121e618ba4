"""Options that several commands share, written once as a template."""

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ticketops.errors import UsageError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")]
PauseReason = Annotated[str, typer.Option("--reason-text", help="Why; kept with the pause and in the audit log.")]


def taking(template: Callable[..., None], made: Callable[..., object], *, name: str = "said") -> Decorator:
    """Give a command every option of `template`; it gets them as one argument, made by `made`."""
    chosen = list(inspect.signature(template).parameters.values())
    names = [parameter.name for parameter in chosen]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != name]

        @functools.wraps(command)
        def wrapped(**values: Any) -> Any:  # noqa: ANN401 - Typer passes what it parsed
            values[name] = made(**{option: values.pop(option) for option in names})
            return command(**values)

        wrapped.__signature__ = inspect.Signature([*own, *chosen])  # type: ignore[attr-defined]  # read by Typer
        wrapped.__annotations__ = {p.name: p.annotation for p in (*own, *chosen)} | {"return": int}
        return wrapped

    return decorate


def ids_from_stdin(words: Sequence[str] | None, source: str) -> list[str]:
    """The ids with `-` replaced by those on stdin, one a line; `source` is a command that prints such ids.

    UsageError where `-` stands alone and nothing came.
    """
    typed = [word for word in words or () if word != "-"]
    if len(typed) == len(words or ()):
        return typed
    piped = [line.split()[0] for line in sys.stdin if line.strip()]
    if not typed and not piped:
        raise UsageError("no ids came from stdin", hint=f"pipe them in: {source} | …")
    return [*typed, *piped]
