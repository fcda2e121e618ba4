"""Where a value came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ticketops.config.problems import Problem


class Source(StrEnum):
    """The kinds of places, the weakest first."""

    DEFAULT = "default"
    FILE = "file"
    CONTEXT = "context"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """One place."""

    source: Source
    name: str = ""
    """The file's path, the variable or the flag."""
    line: int | None = None
    context: str = ""
    """The context whose section it stands in."""

    @property
    def place(self) -> str:
        """The place in a few words."""
        if self.source is Source.DEFAULT:
            return "default"
        where = self.name if self.line is None else f"{self.name}:{self.line}"
        return f"{where} (context {self.context})" if self.context else where


DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as it was found."""

    value: object = field(repr=False)
    origin: Origin
    textual: bool = False
    """True for variables and flags, which are text and may stand for a number."""
    merged: bool = False
    """True where a table adds to the weaker layers' table and does not replace it."""
    folder: Path | None = None
    """What relative paths start from; None: the working directory."""


@dataclass(slots=True)
class Layer:
    """What one place says."""

    entries: dict[str, Entry] = field(default_factory=dict)
    """By dotted name."""
    named: dict[str, list[str]] = field(default_factory=dict)
    """The named sections by family; a family that stands there empty is here too."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


Table = Mapping[str, object]
