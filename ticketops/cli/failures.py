"""Errors as people and scripts see them: three lines, or one JSON object, on stderr; never a secret."""

import contextlib
import json
import traceback
from collections.abc import Collection
from typing import Final, TextIO

import typer

from ticketops.cli.exits import ExitCode, exit_code
from ticketops.config.redact import redact
from ticketops.domain.text import terminal_safe
from ticketops.errors import TicketOpsError, UsageError

_UNEXPECTED_HINT: Final = "run it again with --debug for the traceback, and report it"


def described(error: Exception) -> TicketOpsError:
    """Any error as one of ours, with what, why and hint."""
    if isinstance(error, TicketOpsError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error)
    why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return TicketOpsError("this is a fault in TicketOps", why=why, hint=_UNEXPECTED_HINT)


def _usage(error: typer.TyperException) -> TicketOpsError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ticketops"
    return UsageError(error.format_message(), hint=f"{command} --help")


def is_help(error: Exception) -> bool:
    """True for Typer's way of showing the help where a command was left out."""
    return isinstance(error, typer.TyperException) and error.format_message().startswith("Usage:")


def show(error: Exception, stream: TextIO, *, as_json: bool, debug: bool, secrets: Collection[str] = ()) -> ExitCode:
    """Write `error` and return the exit code that goes with it."""
    ours = described(error)
    code = exit_code(ours)
    lines = [redact(text, secrets) for text in (ours.what, ours.why, ours.hint)]
    excerpt = redact(ours.excerpt, secrets)
    text = _json(type(ours).__name__, lines, code) if as_json else _three_lines(lines, excerpt)
    with contextlib.suppress(OSError):
        stream.write(_traceback(error, secrets) + text if debug else text)
        stream.flush()
    return code


def _traceback(error: Exception, secrets: Collection[str]) -> str:
    """The frames and messages, without locals."""
    return terminal_safe(redact("".join(traceback.format_exception(error)), secrets), multiline=True)


def _three_lines(lines: list[str], excerpt: str) -> str:
    """What, why and hint; an excerpt of what was read stands after the first, with its mark under the place."""
    what, why, hint = (terminal_safe(" ".join(line.split())) for line in lines)
    shown = [("error: ", what), *(("       ", terminal_safe(line)) for line in excerpt.splitlines())]
    return "".join(f"{label}{line}\n" for label, line in (*shown, ("  why: ", why), ("  try: ", hint)) if line)


def _json(kind: str, lines: list[str], code: ExitCode) -> str:
    what, why, hint = lines
    error = {"type": kind, "what": what, "why": why, "hint": hint, "exit_code": int(code)}
    return json.dumps({"kind": "error", "version": 1, "error": error}) + "\n"
