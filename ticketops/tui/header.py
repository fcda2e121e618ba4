"""The first and the last line of every screen."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from textual.widget import Widget

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.snapshot import Reading, Snapshot
from ticketops.tui.actions import EVERYWHERE, ON_ROWS, UNLOCK, Action, actions_of
from ticketops.tui.changes import Changes
from ticketops.tui.clock import Clock
from ticketops.tui.keymap import shown_of
from ticketops.tui.looks import STYLES, age_of, safe

_STALE: Final = 15.0
"""Seconds after which the age of the snapshot is shown."""
_APART: Final = 2
"""Cells between two keys of the last line."""
_KEPT: Final = 2
"""Keys that the last line always ends with: help, and the way out."""


class Head(Widget):
    """Where one is, whether time goes on, and how each backend is."""

    def render(self) -> Text:
        """See Widget."""
        app = self.app
        snapshot: Snapshot | None = getattr(app, "snapshot", None)
        left = Text(no_wrap=True, overflow="ellipsis")
        left.append(f" ticketops {safe(getattr(app, 'context', ''))}", "bold")
        left.append_text(_access(app))
        left.append(self._time(snapshot))
        right = _backends(snapshot) if snapshot else Text("asking …", "dim")
        if snapshot and left.cell_len + right.cell_len + 1 > self.size.width:
            right = _backends(snapshot, brief=True)
        left.truncate(max(self.size.width - right.cell_len - 2, 0), overflow="ellipsis")
        room = max(self.size.width - left.cell_len - right.cell_len - 1, 1)
        return Text.assemble(left, " " * room, right, " ", no_wrap=True, overflow="ellipsis")

    def _time(self, snapshot: Snapshot | None) -> Text:
        clock: Clock = getattr(self.app, "clock")  # noqa: B009 - the app is not imported here
        frozen: datetime | None = getattr(self.app, "frozen_at", None)
        if frozen is not None:
            ago = age_of(max((clock.now() - frozen).total_seconds(), 0.0))
            return Text(f" FROZEN at {frozen:%H:%M:%S}Z ({ago} ago)", STYLES[Grade.WARN])
        if snapshot is None:
            return Text("")
        seconds = (clock.now() - snapshot.at).total_seconds()
        return Text(f" {snapshot.at:%H:%M:%S}Z" + (f" ({age_of(seconds)} ago)" if seconds > _STALE else " live"))


def _access(app: object) -> Text:
    changes: Changes | None = getattr(app, "changes", None)
    if changes is None:
        return Text(" [READ-ONLY]")
    told = Text(f" {safe(changes.told, 60)}" if changes.told else "", STYLES[Grade.WARN])
    if not changes.lock.left:
        return Text(" [READ-ONLY]").append_text(told)
    minutes, seconds = divmod(int(changes.lock.left), 60)
    return Text(f" [WRITE {minutes}:{seconds:02}]", STYLES[Grade.WARN]).append_text(told)


def _backends(snapshot: Snapshot, *, brief: bool = False) -> Text:
    return Text(" | ").join([_backend(source.value, reading, brief) for source, reading in snapshot.backends.items()])


def _backend(name: str, reading: Reading[object], brief: bool) -> Text:
    short = {"postgres": "PG"}.get(name, name.upper())
    if reading.fresh and reading.value is not None:
        if brief:
            return Text(f"{short} ok", STYLES[Grade.OK])
        latency = getattr(reading.value, "latency", 0.0)
        return Text(f"{short} ok {latency * 1000:.0f}ms", STYLES[Grade.OK])
    since = "" if reading.at is None else f" {age_of((reading.asked_at - reading.at).total_seconds())}"
    return Text(f"{short} LOST{since}", STYLES[Grade.BAD])


class Foot(Widget):
    """The keys that are worth a line: those of the view, then those of every view, as far as there is room.

    Above them is the caption, where there is one.
    """

    def render(self) -> RenderableType:
        """See Widget."""
        caption: Callable[[], str] | None = getattr(self.app, "caption", None)
        said = safe(caption()) if caption else ""
        return Group(Padding(Text(said), (0, 1), style="reverse"), self._keys()) if said else self._keys()

    def _keys(self) -> Text:
        items = [f"{shown_of(action, self._keymap)} {action.label}" for action in self._actions()]
        while len(items) > _KEPT and sum(map(cell_len, items)) + _APART * len(items) > self.size.width:
            del items[-_KEPT - 1]
        return Text((" " * _APART).join(items), "dim", no_wrap=True, overflow="crop")

    def _actions(self) -> Iterator[Action]:
        """Changes only while they are unlocked; where there are some, the key that unlocks them."""
        changes: Changes | None = getattr(self.app, "changes", None)
        unlocked = changes is not None and bool(changes.lock.left)
        own = [*actions_of(self.screen)]
        offered = any(action.dangerous for action in own) and not unlocked and not getattr(self.app, "read_only", True)
        rows = ON_ROWS if self.screen.query("LineTable") else ()
        ordered = [*(action for action in own if action.dangerous), *rows, *own, *EVERYWHERE]
        for action in dict.fromkeys(ordered):
            if action.footer or (action.dangerous and unlocked) or (action is UNLOCK and offered):
                yield action

    @property
    def _keymap(self) -> Mapping[str, str]:
        found: Mapping[str, str] = getattr(self.app, "keymap", {})
        return found
