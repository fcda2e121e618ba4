"""The dashboard with a caption that says what was just broken, and a key that goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType

from ticketops.tui import app
from ticketops.tui.app import Dashboard

NEXT: Final = "n"
"""The key that no action of the dashboard has."""


class GuidedDashboard(Dashboard):
    """`ticketops tui`, and `n`."""

    CSS_PATH = str(Path(app.__file__).with_name("dashboard.tcss"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding(NEXT, "next_scene", "next scene", show=False)]

    def __init__(self, *arguments: Any, go_on: Callable[[], None], **options: Any) -> None:  # noqa: ANN401 - Dashboard's
        """`go_on` is called for the key."""
        super().__init__(*arguments, **options)
        self._go_on = go_on

    def action_next_scene(self) -> None:
        """Go on with what comes next."""
        self._go_on()
