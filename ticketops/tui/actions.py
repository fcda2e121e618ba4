"""What can be done, with which key: the one registry that bindings and help are made of."""

from dataclasses import dataclass
from typing import Final

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key does, everywhere or on one screen."""

    name: str
    """Textual's action."""
    keys: str
    """Comma-separated."""
    shown: str
    """The key as people write it."""
    label: str
    help: str
    footer: bool = False
    """Stands in the last line."""


EVERYWHERE: Final = (
    Action("app.goto", "colon", ":", "goto", "go anywhere, in the words of the commands; see below", footer=True),
    Action("app.freeze", "p", "p", "freeze", "stop time: what is shown stays; go on exploring", footer=True),
    Action("app.step(-1)", "less_than_sign", "< >", "step back", "freeze, and step through what was known: two hours"),
    Action("app.step(1)", "greater_than_sign", "", "", ""),
    Action("app.step(-12)", "left_curly_bracket", "{ }", "by a minute", "the same, twelve snapshots at once"),
    Action("app.step(12)", "right_curly_bracket", "", "", ""),
    Action("app.now", "r", "r", "refresh", "read a list again; home: show what is known now"),
    Action("app.copy_row", "y", "y", "copy", "copy the row under the cursor to the clipboard of your terminal"),
    Action("app.copy_command", "Y", "Y", "copy command", "copy the command that would do or show the same"),
    Action("app.unlock", "W", "W", "unlock", "let capitals ask for changes, for five minutes; again: lock"),
    Action("app.lights", "T", "T", "theme", "dark or light; NO_COLOR in the environment: neither"),
    Action("app.help", "question_mark", "?", "help", "this page", footer=True),
    Action("app.leave", "q,ctrl+c", "q", "quit", "leave at once, whatever hangs", footer=True),
)
IN_TABLES: Final = (
    Action("", "j,k", "j k ↓ ↑", "move", "move the cursor; g and G go to the ends, PgUp and PgDn by pages"),
    Action("screen.search", "slash", "/", "filter", "show only rows that hold a text; Esc ends it", footer=True),
    Action("", "enter", "Enter", "drill", "look closer", footer=True),
    Action(
        "screen.sort", "s", "s", "sort", "sort by the next column, and in the end by none; the cursor keeps its row"
    ),
    Action("", "space", "Space", "mark", "mark rows; `y` copies all that are marked"),
    Action("screen.pane(1)", "1", "1 2 3", "pane", "give the keys to the table, to why, or to what is next"),
    Action("screen.pane(2)", "2", "", "", ""),
    Action("screen.pane(3)", "3", "", "", ""),
    Action("screen.zoom", "z", "z", "zoom", "give all the room to the pane that has the keys, or give it back"),
    Action("screen.back", "escape", "Esc", "back", "end the filter, then go back", footer=True),
)

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
CHANGES: Final[tuple[tuple[str, tuple[Action, ...]], ...]] = (
    ("on dead letters", ON_ITEMS),
    ("on operations", ON_OPERATIONS),
    ("on the outbox", ON_OUTBOX),
    ("on relays", ON_RELAYS),
    ("on states", ON_STUCK),
)
"""By what they are about, for help."""

IN_TEXTS: Final = (Action("screen.back", "escape", "Esc", "back", "go back", footer=True),)


def bindings(*actions: Action) -> list[Binding]:
    """Textual's bindings."""
    return [
        Binding(keys, action.name, action.label, show=action.footer, key_display=action.shown)
        for action in actions
        if action.name
        for keys in [action.keys]
    ]
