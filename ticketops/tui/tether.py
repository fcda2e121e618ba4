"""A dashboard in a browser's page is a process of the server: where that is gone, it ends too."""

import os
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ticketops.tui.app import Dashboard

_LOOK: Final = 1.0
"""Seconds between two looks."""
_PATIENCE: Final = 3.0
"""Seconds to leave in."""


def is_page() -> bool:
    """True in a process that draws for a browser."""
    return "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")


def tie(dashboard: "Dashboard") -> None:
    """Leave when the process that started this one is gone."""
    threading.Thread(target=_watch, args=(dashboard, os.getppid()), name="tether", daemon=True).start()


def _watch(dashboard: "Dashboard", parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    dashboard.call_later(dashboard.action_leave)
    time.sleep(_PATIENCE)
    os._exit(1)
