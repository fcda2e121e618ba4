"""What is written after `:`: the words of the command line, and a filter after a slash."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ticketops.domain.overview.snapshot import Snapshot
from ticketops.domain.text import terminal_safe

_FILTER: Final = re.compile(r"(?:^|\s)/(.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One line, taken apart."""

    words: tuple[str, ...]
    wanted: str = ""
    """Text to filter by; empty: everything is shown."""


def parse(text: str) -> Line:
    """Take a line apart; a whole command such as `ticketops dlq list --config /etc/ops.toml` has no filter."""
    text = text.strip().removeprefix(":")
    words = _words(text)
    if words[:1] == ["ticketops"]:
        return Line(tuple(words[1:]))
    found = _FILTER.search(text)
    words = _words(text[: found.start()]) if found else words
    return Line(tuple(words), found[1].strip() if found else "")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def spoken(words: Sequence[str]) -> str:
    """Words as they are written after `:`."""
    return shlex.join(words)


def named(snapshot: Snapshot | None) -> Iterator[tuple[str, ...]]:
    """The views of everything that the snapshot knows by name; names that a terminal would not show are left out."""
    if snapshot is None:
        return
    groups = snapshot.lag.value if snapshot.lag is not None and snapshot.lag.value else ()
    found = [("dlq", queue) for queue in snapshot.dead_letters]
    found += [("lag", group.group) for group in groups]
    found += [(*words, machine) for words in (("state",), ("state", "stuck")) for machine in snapshot.states]
    yield from (words for words in found if all(terminal_safe(word) == word for word in words))
