"""JSON laid out for reading, every token as it was written: numbers, escapes and repeated keys stay what they are."""

import json
import re
from typing import Final

from ticketops.domain.payload import is_deeper

_DEEPEST: Final = 100
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')
_STEP: Final = "  "
_OPEN: Final = frozenset("[{")
_CLOSE: Final = frozenset("]}")


def pretty(text: str) -> str | None:
    """The text over several lines; None where it is not JSON, or nested too deeply to be read by anyone."""
    try:
        if is_deeper(text, _DEEPEST):
            return None
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return _laid_out(_TOKEN.findall(text))


def _laid_out(tokens: list[str]) -> str:
    parts: list[str] = []
    depth, before = 0, ""
    for token in tokens:
        if token in _CLOSE:
            depth -= 1
        parts.append(_gap(before, token, depth) + token)
        if token in _OPEN:
            depth += 1
        before = token
    return "".join(parts)


def _gap(before: str, token: str, depth: int) -> str:
    """What stands between two tokens."""
    if before in _OPEN:
        return "" if token in _CLOSE else "\n" + _STEP * depth
    if before == ":":
        return " "
    return "\n" + _STEP * depth if before == "," or token in _CLOSE else ""
