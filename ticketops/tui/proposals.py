"""What comes before a change: a question, a text in an editor, in the end a plan that is held until it is agreed to.

A step is made in a thread, and has the next one in it; steps that need nobody's answer are one step.
"""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One line that somebody has to write before there is a plan. Texts may be foreign."""

    title: str
    lines: tuple[str, ...]
    """What may be written."""
    then: "Callable[[str], Step]"
    """What follows; UsageError where the answer, which may be empty, cannot be taken."""
    start: str = ""
    """What stands in the line at first."""
    drop: Callable[[], None] = lambda: None
    """Forget it: nobody answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Editing:
    """A text that goes through somebody's editor before there is a plan."""

    text: str
    then: "Callable[[str], Step]"
    """What follows, from what the editor left."""
    drop: Callable[[], None] = lambda: None
    """Forget it: the editor was not left in peace."""


Asked = Proposal | Question | Editing
Step = Callable[[], Asked]
