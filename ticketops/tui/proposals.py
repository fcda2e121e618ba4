"""A change that is planned and not made: what it would do, in words, and how it is made when somebody agrees."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Watch:
    """What a change under way is watched and stopped by; set and read from several threads."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Set: end after the items in hand."""
    said: str = ""
    """How far it is."""
    reason: str = ""
    """Why, as somebody typed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The plan of a dry run, held until it is agreed to or not; `make` and `drop` are called at most once, one of them.

    Texts may be foreign.
    """

    title: str
    """What would be done, in few words."""
    lines: tuple[str, ...]
    """The plan, as --dry-run prints it."""
    command: str
    """The command line that would do the same."""
    count: int
    """What it meets; typed to confirm."""
    make: Callable[[Watch], str]
    """Do it, in a thread, and say what came of it; a TicketOpsError tells what went wrong."""
    drop: Callable[[], None] = lambda: None
    """Forget the plan."""
    go_on: Callable[[], str] = str
    """The command that goes on with it, where it is cut off; empty: there is none."""
