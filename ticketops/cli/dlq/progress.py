"""How far the reading of queues is: their depths at once, then a bar for each, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ticketops.cli.cells import Show, cell
from ticketops.cli.frame import Invocation
from ticketops.domain.text import terminal_safe

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ticketops.services.dlq.survey import QueueReport

_LONG: Final = 50_000
"""Items from which reading takes long enough to say the depth before it."""

Told = Callable[["QueueReport"], None]


@contextmanager
def reading(inv: Invocation) -> Iterator[Told]:
    """What hears how far a survey is; nothing of it is left on the screen at the end."""
    if not (sys.stderr.isatty() and inv.out.form.human):
        yield _depths(inv)
        return
    from rich.console import Console  # noqa: PLC0415 - rich takes 50 ms and only terminals need it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, no_color=not inv.out.color)
    with Progress(*columns, console=console, transient=True) as bar:
        yield _bars(bar)


def _depths(inv: Invocation) -> Told:
    """Tell long queues' depths as soon as they are known."""
    told: set[str] = set()

    def tell(report: "QueueReport") -> None:
        if report.name not in told and report.depth is not None and report.depth >= _LONG:
            told.add(report.name)
            inv.out.note(f"{report.name}: {cell(report.depth, Show.COUNT)} dead letters; reading them")

    return tell


def _bars(bar: "Progress") -> Told:
    tasks: dict[str, TaskID] = {}

    def show(report: "QueueReport") -> None:
        if report.depth is None:
            return
        if report.name not in tasks:
            tasks[report.name] = bar.add_task(terminal_safe(report.name), total=report.depth)
        bar.update(tasks[report.name], completed=report.read, total=max(report.depth, report.read))

    return show
