"""`--where`: a condition on a dead letter, in CEL, the Common Expression Language.

The package common-expression-language evaluates it: it computes and does nothing else, without input and output.
What an item does not have, or has in another type, is no match. The language: cel-spec, "Language Definition".
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ticketops.domain.conditions import NO_RESULT, TEXT, excerpt, parsed
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.payload import is_deeper
from ticketops.errors import ExpressionError

if TYPE_CHECKING:
    import cel

LONGEST: Final = 2000
"""Characters of an expression."""
_DEEPEST_PAYLOAD: Final = 100
"""Arrays and objects inside one another; the evaluator's stack takes some thousands."""
_INT64: Final = 2**63
_LONGEST_INT: Final = len(str(-_INT64))

_FIELDS: Final[Mapping[str, Callable[[DeadLetter], Any]]] = {
    "id": lambda letter: letter.id,
    "queue": lambda letter: letter.queue,
    "kind": lambda letter: letter.kind.value,
    "key": lambda letter: letter.key,
    "reason": lambda letter: letter.reason,
    "error_class": lambda letter: letter.error_class,
    "error": lambda letter: letter.error_message,
    "stack": lambda letter: letter.stack,
    "attempts": lambda letter: letter.attempts,
    "requeues": lambda letter: letter.requeues,
    "failed_at": lambda letter: letter.failed_at,
    "body": lambda letter: letter.body.value,
    "destination": lambda letter: letter.destination,
    "headers": lambda letter: {name: _header(value) for name, value in letter.headers},
    "metadata": lambda letter: dict(letter.metadata),
    "payload": lambda letter: _payload(letter.payload),
}
VARIABLES: Final = (*_FIELDS, "age", "now")
"""What an expression can name; docs/dlq.md says what each is."""
FUNCTIONS: Final = frozenset({
    "contains", "startsWith", "endsWith", "matches", "size", "int", "uint", "double", "string", "bytes", "type", "dyn",
    "duration", "timestamp", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getHours", "getMinutes", "getSeconds", "getMilliseconds",
})  # fmt: skip
"""What an expression can call, beside the macros."""
_MACROS: Final = ("has", "all", "exists", "exists_one", "filter", "map")

_BOUND: Final = re.compile(r"\b(?:all|exists|exists_one|existsOne|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_TEXT: Final = re.compile(TEXT)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("[\ud800-\udfff]")
_HINT: Final = 'write a condition such as reason == "timeout" && payload.SeatCount > 2; docs/dlq.md has more'


class Expression:
    """A compiled condition."""

    def __init__(self, text: str, program: "cel.Program") -> None:
        self.text = text
        self._program = program
        self._used = tuple(name for name in program.variables() if name in VARIABLES)

    def matches(self, letter: DeadLetter, now: datetime) -> bool:
        """True where the condition holds; what cannot be computed does not hold."""
        try:
            return self._program.execute(self._values(letter, now)) is True
        except NO_RESULT:
            return False

    def objection(self, letter: DeadLetter, now: datetime) -> str:
        """Why nothing can be computed for this item; empty where it can, or a path is only missing."""
        try:
            result = self._program.execute(self._values(letter, now))
        except LookupError:
            return ""
        except NO_RESULT as error:
            return str(error).partition(". ")[0].partition("\n")[0]
        return "" if isinstance(result, bool) else f"it gives {_kind(result)}, neither true nor false"

    def _values(self, letter: DeadLetter, now: datetime) -> dict[str, Any]:
        return {name: _value(name, letter, now) for name in self._used}


@lru_cache(maxsize=16)
def compiled(text: str) -> Expression:
    """The condition that `text` is; ExpressionError, with the place, where it is none."""
    program = parsed(text, name="--where", longest=LONGEST, hint=_HINT)
    _check_names(text, program)
    return Expression(text, program)


def _check_names(text: str, program: "cel.Program") -> None:
    bare = _TEXT.sub(lambda found: " " * len(found[0]), text)
    bound = set(_BOUND.findall(bare))
    for name in program.variables():
        if name not in VARIABLES and name not in bound:
            raise _unknown("variable", name, VARIABLES, text, bare)
    for name in program.functions():
        if name.isidentifier() and name not in FUNCTIONS:
            raise _unknown("function", name, (*FUNCTIONS, *_MACROS), text, bare)


def _unknown(kind: str, name: str, known: tuple[str, ...], text: str, bare: str) -> ExpressionError:
    found = re.search(rf"(?<![\w.]){re.escape(name)}\b", bare) or re.search(rf"\b{re.escape(name)}\b", bare)
    near = difflib.get_close_matches(name, known, n=1)
    listed = f"there are {', '.join(sorted(known))}"
    return ExpressionError(
        f"--where names an unknown {kind} {name}",
        why=f"{'it calls a function' if kind == 'function' else 'a field of the payload is payload.' + name}"
        if not near
        else "",
        hint=f"did you mean {near[0]}?" if near else listed,
        excerpt=excerpt(text, found.start() if found else 0),
    )


def _value(name: str, letter: DeadLetter, now: datetime) -> Any:  # noqa: ANN401 - of the variable's own type
    match name:
        case "now":
            return now
        case "age":
            return None if letter.failed_at is None else (now - letter.failed_at).total_seconds()
        case _:
            value = _FIELDS[name](letter)
            return _LONE.sub("\ufffd", value) if isinstance(value, str) else value


def _header(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _payload(payload: bytes | None) -> Any:  # noqa: ANN401 - whatever JSON says
    """The payload as JSON; None where it is none, or nested too deeply to be looked into.

    Integers beyond 64 bits become doubles, and a lone surrogate the replacement character: the evaluator has neither.
    """
    if payload is None:
        return None
    try:
        text = payload.decode()
        if is_deeper(text, _DEEPEST_PAYLOAD):
            return None
        value = json.loads(text, parse_int=_integer, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return _whole(value) if _SURROGATE.search(payload) else value


def _integer(text: str) -> int | float:
    if len(text) > _LONGEST_INT:
        return float(text)
    value = int(text)
    return value if -_INT64 <= value < _INT64 else float(value)


def _no_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(name)


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever JSON says
    match value:
        case str():
            return _LONE.sub("\ufffd", value)
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {_whole(name): _whole(item) for name, item in value.items()}
        case _:
            return value


def _kind(value: object) -> str:
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a map", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")
