"""What can be done, with which key: the one registry that bindings, the last line and help are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from textual.binding import Binding
from textual.dom import DOMNode

_CHANGE: Final = "screen.change("


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key does, everywhere or on one screen."""

    name: str
    """Textual's action."""
    keys: str
    """Comma-separated; what `[tui.keys]` says goes before."""
    shown: str
    """The keys as people write them."""
    label: str
    """What it is called; with hyphens for spaces it is its name in `[tui.keys]`. Empty: it cannot be moved."""
    help: str
    footer: bool = False
    """Stands in the last line."""

    @property
    def id(self) -> str:
        """What the configuration calls it; empty where its key is fixed."""
        return self.label.replace(" ", "-") if self.name else ""

    @property
    def dangerous(self) -> bool:
        """True where it asks for a change."""
        return self.name.startswith(_CHANGE)


@dataclass(frozen=True)
class Bound(Binding):
    """A binding that knows what it was made of."""

    of: Action | None = None


UNLOCK: Final = Action("app.unlock", "W", "W", "unlock", "let capitals ask for changes, for five minutes; again: lock")
EVERYWHERE: Final = (
    Action("app.goto", "colon", ":", "goto", "go anywhere, in the words of the commands; see below", footer=True),
    Action("app.last", "minus", "-", "last", "the view before this one, and back again"),
    Action("app.travel(-1)", "left_square_bracket", "[", "earlier", "back through the views that were opened"),
    Action("app.travel(1)", "right_square_bracket", "]", "later", "forward again"),
    Action("app.freeze", "p", "p", "freeze", "stop time: what is shown stays; go on exploring", footer=True),
    Action("app.step(-1)", "less_than_sign", "<", "step back", "freeze, and step through what was known: two hours"),
    Action("app.step(1)", "greater_than_sign", ">", "step forward", "the same, towards now"),
    Action("app.step(-12)", "left_curly_bracket", "{", "minute back", "twelve snapshots at once"),
    Action("app.step(12)", "right_curly_bracket", "}", "minute forward", "the same, towards now"),
    Action("app.now", "r", "r", "refresh", "read a list again; home: show what is known now"),
    Action("app.copy_row", "y", "y", "copy", "copy the row under the cursor to the clipboard of your terminal"),
    Action("app.copy_command", "Y", "Y", "copy command", "copy the command that would do or show the same"),
    Action("app.page", "vertical_line,v", "| v", "pager", "the row or the page, whole, in $PAGER"),
    Action("app.save", "w", "w", "save", "write what is known now, and the screen, to a file for the post-mortem"),
    UNLOCK,
    Action("app.lights", "T", "T", "theme", "dark or light; NO_COLOR in the environment: neither"),
    Action("app.help", "question_mark,f1", "?", "help", "this page; F1 where one types", footer=True),
    Action("app.leave", "q", "q", "quit", "leave at once, whatever hangs; Ctrl-C does the same", footer=True),
    Action("app.leave", "ctrl+c", "", "", ""),
)
IN_TABLES: Final = (
    Action("screen.search", "slash", "/", "filter", "show only rows that hold a text; Esc ends it", footer=True),
    Action(
        "screen.sort", "s", "s", "sort", "sort by the next column, and in the end by none; the cursor keeps its row"
    ),
    Action("screen.pane(1)", "1", "1", "first pane", "give the keys to the table"),
    Action("screen.pane(2)", "2", "2", "second pane", "give the keys to what stands under it, or beside it"),
    Action("screen.pane(3)", "3", "3", "third pane", "the same"),
    Action("screen.zoom", "z", "z", "zoom", "give all the room to the pane that has the keys, or give it back"),
    Action("screen.back", "escape", "Esc", "back", "end the filter, then go back", footer=True),
)
ON_ROWS: Final = (
    Action("choose", "enter", "Enter", "drill", "look closer", footer=True),
    Action("mark", "space", "Space", "mark", "mark rows; `y` copies all that are marked"),
    Action("move(1)", "down,j", "j ↓", "down", "move the cursor"),
    Action("move(-1)", "up,k", "k ↑", "up", "the same"),
    Action("page(1)", "pagedown", "PgDn", "page down", "by as many rows as are seen"),
    Action("page(-1)", "pageup", "PgUp", "page up", "the same"),
    Action("edge(0)", "home,g", "g", "first", "to the first row"),
    Action("edge(1)", "end,G", "G", "end", "to the last row"),
)
"""Of the table that has the keys."""

ON_LETTERS: Final = (
    Action("screen.change('requeue')", "R", "R", "requeue", "put the marked back where they came from"),
    Action("screen.change('discard')", "D", "D", "discard", "move the marked into the archive"),
    Action("screen.change('hold')", "H", "H", "hold", "say that you look at the marked: changes skip them"),
    Action("screen.change('release')", "L", "L", "release", "end holds of the marked"),
)
"""On dead letters: what is marked, or under the cursor; needs `W`, shows its plan, and asks."""
ON_ITEMS: Final = (
    *ON_LETTERS,
    Action("screen.change('edit')", "E", "E", "edit", "give one dead letter another payload, in $EDITOR"),
)
ON_OPERATIONS: Final = (
    Action("screen.change('cancel')", "X", "X", "cancel", "stop an operation after the items in hand"),
    Action("screen.change('resume')", "R", "R", "resume", "go on with an operation that was cut off or stopped"),
)
ON_OUTBOX: Final = (
    Action("screen.change('retry')", "R", "R", "retry", "make failed and held-back events due at once"),
    Action("screen.change('skip')", "K", "K", "skip", "make waiting events dead letters: their aggregates go on"),
)
ON_RELAYS: Final = (
    Action("screen.change('pause')", "P", "P", "pause", "stop publishing: everything, or one part"),
    Action("screen.change('resume')", "R", "R", "resume", "end a pause"),
)
ON_STATES: Final = (
    Action("screen.change('expire')", "X", "X", "expire", "move what is past its time in the marked states"),
)
ON_STUCK: Final = (
    Action("screen.change('fire')", "F", "F", "fire", "fire an event at one"),
    Action("screen.change('expire')", "X", "X", "expire", "move those of the marked that are past their time"),
)
ON_HISTORY: Final = (Action("screen.change('fire')", "F", "F", "fire", "fire an event at it"),)
ON_ALERTS: Final = (
    Action("screen.change('silence')", "S", "S", "silence", "keep an alert back for a while"),
    Action("screen.change('unsilence')", "U", "U", "unsilence", "end a silence now"),
)
CHANGES: Final[tuple[tuple[str, tuple[Action, ...]], ...]] = (
    ("on dead letters", ON_ITEMS),
    ("on operations", ON_OPERATIONS),
    ("on the outbox", ON_OUTBOX),
    ("on relays", ON_RELAYS),
    ("on states", ON_STUCK),
    ("on alerts", ON_ALERTS),
)
"""By what they are about, for help."""

ON_DIAGRAM: Final = (
    Action("screen.diagram", "d", "d", "diagram", "the machine's diagram with counts, or the list again"),
)
"""On the states of a machine."""

IN_TEXTS: Final = (Action("screen.back", "escape", "Esc", "back", "go back", footer=True),)
IN_BOXES: Final = (Action("app.help", "f1", "F1", "", ""),)
"""Where one types, so that letters are letters."""


def every_action() -> Iterator[Action]:
    """All that can be done anywhere: every registry of this module."""
    for value in globals().values():
        if isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, Action))


def bindings(*actions: Action) -> list[Binding]:
    """Textual's bindings."""
    return [
        Bound(
            action.keys,
            action.name,
            action.label,
            show=action.footer,
            key_display=action.shown,
            id=action.id or None,
            of=action,
        )
        for action in actions
        if action.name
    ]


def actions_of(node: DOMNode) -> Iterator[Action]:
    """What a screen, a table or the app can do by itself, what its own class adds first."""
    for kind in type(node).__mro__:
        bound: Any
        for bound in vars(kind).get("BINDINGS", ()):
            if isinstance(bound, Bound) and bound.of is not None:
                yield bound.of
