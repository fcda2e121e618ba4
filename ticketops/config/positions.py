"""The lines on which the keys of a TOML file stand; a courtesy, so it never fails."""

import re
from collections.abc import Mapping
from typing import Final

_HEADER: Final = re.compile(r"^\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"^\s*((?:[\w\-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w\-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART: Final = re.compile(r"[\w\-]+|\"[^\"]*\"|'[^']*'")
_LONG_TEXT: Final = re.compile(r'"""|\'\'\'')


def lines_of(text: str) -> Mapping[str, int]:
    """Dotted name = line number, for tables and keys; the first line of each."""
    found: dict[str, int] = {}
    section, inside = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        if not inside:
            section = _note(line, number, section, found)
        inside ^= len(_LONG_TEXT.findall(line)) % 2 == 1
    return found


def _note(line: str, number: int, section: str, found: dict[str, int]) -> str:
    if header := _HEADER.match(line):
        section = _dotted(header[1])
        found.setdefault(section, number)
    elif key := _KEY.match(line):
        found.setdefault(f"{section}.{_dotted(key[1])}".lstrip("."), number)
    return section


def _dotted(name: str) -> str:
    return ".".join(part.strip("\"'") for part in _PART.findall(name))
