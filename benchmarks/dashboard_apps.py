"""`python -m benchmarks.dashboard_apps bare | rows N`: what the dashboard's benchmark runs beside the dashboard."""

import sys
from collections.abc import Sequence
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Static


class Bare(App[None]):
    """What Textual itself costs: one line that a key changes."""

    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "quit"), ("j", "count", "count")]

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def compose(self) -> ComposeResult:
        """See App."""
        yield Static("bare app")

    def action_count(self) -> None:
        """Change the line."""
        self._count += 1
        self.query_one(Static).update(f"bare app {self._count}")


def main(words: Sequence[str]) -> None:
    """Run one."""
    if words[0] == "bare":
        Bare().run()
    else:
        _rows(int(words[1]))


def _rows(count: int) -> None:
    """The dashboard with a list of so many rows, which are made as they are asked for."""
    from benchmarks.dashboard_night import silent_dashboard  # noqa: PLC0415 - the bare app must not pay for it
    from ticketops.tui.screens.tabled import TabledScreen  # noqa: PLC0415
    from ticketops.tui.table import Column, Row  # noqa: PLC0415

    class Rows:
        """None of them is kept."""

        def __len__(self) -> int:
            return count

        def __getitem__(self, index: int, /) -> Row:
            return Row(str(index), (f"letter-{index:09}", "bookings", f"{index % 997}s", "timeout after 2000 ms"))

    class RowsScreen(TabledScreen):
        """A list of all of them."""

        COLUMNS: ClassVar[Sequence[Column]] = (
            Column("ID"),
            Column("QUEUE"),
            Column("AGE", right=True),
            Column("ERROR", rest=True, most=80),
        )

        def on_mount(self) -> None:
            """See TabledScreen."""
            super().on_mount()
            self.table.show(Rows())

    app = silent_dashboard()
    app.call_later(app.call_after_refresh, app.open, RowsScreen("rows"))
    app.run()


if __name__ == "__main__":
    main(sys.argv[1:])
