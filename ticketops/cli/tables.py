"""Tables on a terminal; the only importer of rich among the commands' output."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticketops.cli.cells import Show

if TYPE_CHECKING:
    from ticketops.cli.output import Column

_UNCUT = 100_000
"""Columns of a terminal that cuts nothing."""


def table(columns: Sequence["Column"], rows: Sequence[Sequence[str]], *, color: bool, wide: bool) -> str:
    """The rows under their headings, as wide as the terminal, or as wide as needed; cells are never markup."""
    grid = Table(box=None, pad_edge=False, header_style="bold" if color else "")
    for index, column in enumerate(columns):
        grid.add_column(
            Text(column.heading),
            justify="left" if column.show is Show.TEXT else "right",
            no_wrap=True,
            overflow="ellipsis",
            min_width=max((len(row[index]) for row in rows), default=0) if column.keep else None,
        )
    for row in rows:
        grid.add_row(*(Text(value) for value in row))
    return _drawn(grid, color=color, wide=wide)


def _drawn(grid: Table, *, color: bool, wide: bool) -> str:
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        width=_UNCUT if wide else None,
    )
    console.print(grid)
    return "".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines())
