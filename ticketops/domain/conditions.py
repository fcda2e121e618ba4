"""Conditions in CEL: what those on dead letters and those of alerts share. Parsing them, and where one is wrong."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ticketops.errors import ExpressionError

if TYPE_CHECKING:
    import cel

NO_RESULT: Final = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What the evaluator raises where an operation does not fit its values."""
TEXT: Final = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
"""A pattern of what stands in quotes."""
_PLACE: Final = re.compile(r"<input>:(\d{1,6}):(\d{1,6}): ([^\n]*)")


def parsed(
    text: str,
    *,
    name: str,
    longest: int,
    hint: str,
    code: str | None = None,
    place: Callable[[int], int] = lambda position: position,
) -> "cel.Program":
    """The program that `text` is; ExpressionError, which calls it `name` and shows the place, where it is none.

    `longest`: characters that are taken. `code`: what is parsed in its stead; `place` is then the position in the
    text of one in the code.
    """
    if len(text) > longest:
        raise ExpressionError(f"{name} is too long", why=f"it has {len(text)} characters, {longest} are taken")
    import cel  # noqa: PLC0415 - a native module that only expressions need

    read = text if code is None else code
    try:
        return cel.compile(read)
    except ValueError as error:
        said = str(error)
    found = _PLACE.search(said, said.find(read) + len(read))
    if found is None:
        raise ExpressionError(f"{name} cannot be understood", why="it is no CEL expression")
    lines = read.split("\n")[: int(found[1]) - 1]
    position = place(sum(len(line) + 1 for line in lines) + int(found[2]) - 1)
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    why = found[3].removeprefix("Syntax error: ").partition(" expecting ")[0]
    raise ExpressionError(
        f"{name} cannot be understood",
        why=f"line {line}, column {column}: {why}",
        hint=hint,
        excerpt=excerpt(text, position),
    )


def excerpt(text: str, position: int, width: int = 60) -> str:
    """The line around a position, and a mark under it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    first, last = max(start, position - width), min(len(text) if end < 0 else end, position + width)
    return f"{text[first:last]}\n{' ' * (position - first)}^".replace("\t", " ")
