"""The first and the last line of every screen."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
_SHORT: Final = {"postgres": "PG"}
_APART: Final = 2
"""Cells between two keys of the last line."""
_KEPT: Final = 2
"""Keys that the last line always ends with: help, and the way out."""


class Head(Widget):
    """Where one is, whether time goes on, and how each backend is.

    Where room is short, latencies go first, then the names of healthy backends and how long others were lost; then the
    context's name and what is under way share what is left. Whether one can write, and when time stopped, always stay.
    """

    def render(self) -> Text:
        """See Widget."""
        app, width = self.app, self.size.width
        snapshot: Snapshot | None = getattr(app, "snapshot", None)
        name = f" ticketops {safe(getattr(app, 'context', ''))}"
        changes: Changes | None = getattr(app, "changes", None)
        told = f" {safe(changes.told, 60)}" if changes and changes.told else ""
        access, time = _access(changes), self._time(snapshot)
        kept = access.cell_len + time.cell_len + 2
        right = Text("asking …", "dim")
        for right in _backends(snapshot) if snapshot else ():
            if cell_len(name) + cell_len(told) + kept + right.cell_len <= width:
                break
        where, doing = self._called(name, told, width - kept - right.cell_len)
        left = Text.assemble(where, access, doing, time, no_wrap=True)
        room = max(width - left.cell_len - right.cell_len - 1, 1)
        return Text.assemble(left, " " * room, right, " ", no_wrap=True, overflow="ellipsis")

    def _called(self, name: str, told: str, room: int) -> tuple[Text, Text]:
        """The context and what is under way, in so many cells: half of them each, or what the other leaves."""
        if cell_len(name) + cell_len(told) > room:
            name = name.replace(" ticketops", "", 1)
        shown = Text(name, "bold"), Text(told, STYLES[Grade.WARN])
        half = max(room // 2, room - shown[1].cell_len)
        shown[0].truncate(max(half, 0), overflow="ellipsis")
        shown[1].truncate(max(room - shown[0].cell_len, 0), overflow="ellipsis")
        return shown

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


def _access(changes: Changes | None) -> Text:
    if changes is None or not changes.lock.left:
        return Text(" [READ-ONLY]")
    minutes, seconds = divmod(int(changes.lock.left), 60)
    return Text(f" [WRITE {minutes}:{seconds:02}]", STYLES[Grade.WARN])


def _backends(snapshot: Snapshot) -> Iterator[Text]:
    """How each backend is, at length, then shorter and shorter."""
    readings = {_SHORT.get(source.value, source.value.upper()): one for source, one in snapshot.backends.items()}
    yield _joined(_backend(name, one, latency=True) for name, one in readings.items())
    yield _joined(_backend(name, one) for name, one in readings.items())
    lost = {name: one for name, one in readings.items() if not _well(one)}
    well = [Text(f"{len(readings) - len(lost)} ok", STYLES[Grade.OK])] if len(lost) < len(readings) else []
    yield _joined([*well, *(_backend(name, one) for name, one in lost.items())])
    yield _joined([*well, *([Text(f"{' '.join(lost)} LOST", STYLES[Grade.BAD])] if lost else [])])


def _joined(parts: Iterable[Text]) -> Text:
    return Text(" | ").join(parts)


def _well(reading: Reading[object]) -> bool:
    return reading.fresh and reading.value is not None


def _backend(name: str, reading: Reading[object], *, latency: bool = False) -> Text:
    if _well(reading):
        took = f" {getattr(reading.value, 'latency', 0.0) * 1000:.0f}ms" if latency else ""
        return Text(f"{name} ok{took}", STYLES[Grade.OK])
    since = "" if reading.at is None else f" {age_of((reading.asked_at - reading.at).total_seconds())}"
    return Text(f"{name} LOST{since}", STYLES[Grade.BAD])


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
