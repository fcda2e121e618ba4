"""The command reference, `docs/commands.md`, made of the commands themselves: `python -m ticketops.cli.reference`."""

import sys
from collections.abc import Iterator
from typing import Any, Final

from ticketops.cli import output
from ticketops.cli.exits import ExitCode
from ticketops.cli.nouns import NOUNS, load, root
from ticketops.config.example import docs_of
from ticketops.errors import UsageError

_HEAD: Final = """\
# Commands

`ticketops NOUN VERB`. Data goes to stdout, everything else to stderr. The options of `ticketops` itself can stand
before the noun or after the verb. Made by `python -m ticketops.cli.reference`.
"""
_WIDTH: Final = 100


def reference() -> str:
    """The reference as Markdown."""
    return "\n".join([_HEAD, _exit_codes(), _formats(), *_commands()])


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its words, groups first; nouns that this build lacks are left out."""
    yield "ticketops", root()
    for noun in NOUNS:
        try:
            yield from _below(f"ticketops {noun.name}", load(noun))
        except UsageError:
            continue


def _below(words: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's class is private to it
    yield words, command
    for name, verb in getattr(command, "commands", {}).items():
        yield from _below(f"{words} {name}", verb)


def _commands() -> Iterator[str]:
    for words, command in commands():
        context = command.make_context(
            words, [], resilient_parsing=True, terminal_width=_WIDTH, max_content_width=_WIDTH
        )
        depth = "##" if words.count(" ") < 2 else "###"  # noqa: PLR2004 - noun and verb
        yield f"{depth} {words}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def _exit_codes() -> str:
    docs = docs_of(ExitCode)
    rows = "".join(f"| {code.value} | {docs[code.name]} |\n" for code in ExitCode)
    return f"## Exit codes\n\n| code | meaning |\n|---|---|\n{rows}"


def _formats() -> str:
    lines = (output.__doc__ or "").splitlines()
    table = "\n".join(line for line in lines if line.startswith("|"))
    notes = (
        "Times are RFC 3339 in UTC, ages are seconds. A field is added to JSON without notice; where one changes "
        "its meaning or goes away, `version` is raised.\n\nAn error is three lines on stderr; with `-o json` it is "
        '`{"kind": "error", "version": 1, "error": {"type", "what", "why", "hint", "exit_code"}}`.'
    )
    return f"## Output: `-o`\n\n{table}\n\n{notes}\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
