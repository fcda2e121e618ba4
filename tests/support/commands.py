"""Command lines as the documentation has them, parsed as the program would, and not run."""

import shlex
from itertools import takewhile

from ticketops.cli.nouns import NOUNS, load


def parse(line: str) -> None:
    """Parse what follows `ticketops`."""
    lexer = shlex.shlex(line.replace("…", "x"), posix=True, punctuation_chars="|>&")
    lexer.whitespace_split = True
    words = list(takewhile(lambda word: not set(word) <= set("|>&"), lexer))
    while words and words[0].startswith("-"):
        words = words[1:] if "=" in words[0] or words[0] in {"--help", "--version", "--debug"} else words[2:]
    if not words:
        return
    command = load(next(noun for noun in NOUNS if noun.name == words[0]))
    name, rest = words[0], words[1:]
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"{name} has no verb {rest[0]}"
        command, name, rest = command.commands[rest[0]], f"{name} {rest[0]}", rest[1:]
    if hasattr(command, "commands"):
        return
    command.make_context(name, rest, resilient_parsing="--help" in rest)
