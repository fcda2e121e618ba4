"""Tables on a terminal, measured in its cells: wide characters take two, combining ones none."""

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size

from ticketops.cli.cells import Show

if TYPE_CHECKING:
    from ticketops.cli.output import Column

_GAP: Final = "  "
_LEFT: Final = frozenset({Show.TEXT, Show.VERDICT})
_COLORS: Final = {"X": "1;31", "!": "33", "?": "35", ".": "32"}
"""By the symbol that a verdict begins with: red, yellow, magenta, green."""
_NARROW: Final = 8
"""Cells that a column is cut to at first."""
_NARROWEST: Final = 5
"""Cells that it is cut to where that is not enough; then columns are left out, and at last lines get too long."""


def table(columns: Sequence["Column"], rows: Sequence[Sequence[str]], *, color: bool, wide: bool) -> str:
    """The rows under their headings; unless `wide`, cells are cut to the terminal's width, and columns left out."""
    natural = [max(map(cell_len, texts)) for texts in zip(*_with_headings(columns, rows), strict=True)]
    shown = range(len(columns)) if wide else _shown(columns, natural, shutil.get_terminal_size().columns)
    columns, rows = [columns[index] for index in shown], [[row[index] for index in shown] for row in rows]
    widths = [natural[index] for index in shown]
    if not wide:
        widths = _fitted(columns, widths, shutil.get_terminal_size().columns - len(_GAP) * (len(columns) - 1))
    heading = _line(columns, [column.heading for column in columns], widths)
    body = (_line(columns, row, widths, color=color) for row in rows)
    lines = [f"\x1b[1m{heading}\x1b[0m" if color else heading, *body]
    return "".join(f"{line}\n" for line in lines)


def _with_headings(columns: Sequence["Column"], rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    return [[column.heading for column in columns], *rows]


def _shown(columns: Sequence["Column"], natural: Sequence[int], width: int) -> list[int]:
    """The columns that have room with their headings whole; the spare ones are left out first, and the last ones."""

    def least(index: int) -> int:
        column = columns[index]
        return natural[index] if column.keep else min(natural[index], max(cell_len(column.heading), _NARROWEST))

    shown = list(range(len(columns)))
    while sum(map(least, shown)) + len(_GAP) * (len(shown) - 1) > width:
        loose = [index for index in shown if not columns[index].keep]
        if not loose:
            break
        shown.remove(max(loose, key=lambda index: (columns[index].spare, index)))
    return shown


def _fitted(columns: Sequence["Column"], natural: Sequence[int], room: int) -> list[int]:
    """Take what is too much from the widest column that may be cut, a cell at a time; never from its heading."""
    widths = list(natural)
    for narrowest in (_NARROW, _NARROWEST):
        least = [max(narrowest, cell_len(column.heading)) for column in columns]
        while sum(widths) > room:
            cuttable = [
                index for index, column in enumerate(columns) if not column.keep and widths[index] > least[index]
            ]
            if not cuttable:
                break
            widths[max(cuttable, key=lambda index: widths[index])] -= 1
    return widths


def _line(columns: Sequence["Column"], texts: Sequence[str], widths: Sequence[int], *, color: bool = False) -> str:
    parts = zip(columns, texts, widths, strict=True)
    cells = [_cell(column, text, width, color=color) for column, text, width in parts]
    return _GAP.join(cells).rstrip()


def _cell(column: "Column", text: str, width: int, *, color: bool) -> str:
    padded = _padded(text, width, left=column.show in _LEFT)
    return f"\x1b[{_COLORS[text[0]]}m{padded}\x1b[0m" if color and column.show is Show.VERDICT else padded


def _padded(text: str, width: int, *, left: bool) -> str:
    space = width - cell_len(text)
    if space < 0:
        return set_cell_size(text, width - 1) + "…"
    return text + " " * space if left else " " * space + text
