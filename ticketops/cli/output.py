"""Where every command's data goes: stdout in the format asked for; all else goes to stderr.

| format | a list | one thing |
|---|---|---|
| `table` | a table on a terminal; in a pipe tab-separated, whole, no header | `key: value` lines, or key TAB value |
| `wide` | the same with every column, never cut | the same |
| `json` | `{"kind": …, "version": 1, "items": […]}` | `{"kind": …, "version": 1, …}` |
| `jsonl` | one item a line, without an envelope | the same on one line |
| `yaml` | as json | as json |
| `csv` | a header and every column | a header and one line |
| `name` | one id a line | the id |
"""

import contextlib
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TextIO

from ticketops.cli import streams
from ticketops.cli.cells import Show, cell, field, json_text, plain, printable, raw_field
from ticketops.domain.text import terminal_safe

__all__ = ["VERSION", "Column", "Format", "Out", "Row", "Section", "Show"]

VERSION: Final = 1
"""Raised when a field of any JSON output changes its meaning or goes away; new fields do not raise it."""

Row = Mapping[str, object]


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"
    CSV = "csv"
    NAME = "name"

    @property
    def human(self) -> bool:
        """True for formats that people read."""
        return self in {Format.TABLE, Format.WIDE}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list: the field it shows and how."""

    name: str
    """The row's key, which is the JSON field too."""
    title: str = ""
    """The heading; empty: the name in capitals."""
    show: Show = Show.TEXT
    """How a terminal shows the values."""
    wide: bool = False
    """Left out of `table` on a terminal."""
    keep: bool = False
    """Never cut on a narrow terminal."""
    spare: bool = False
    """The first to be left out of a terminal that is too narrow."""

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.title or self.name.replace("_", " ").upper()


@dataclass(frozen=True, slots=True)
class Section:
    """One titled table of a report, or a text of several lines."""

    title: str
    columns: Sequence[Column | str] = ()
    rows: Iterable[Row] = ()
    text: str | None = None
    """Foreign text, shown line by line instead of a table; None: it is a table."""


class Out:
    """Writes data to `stdout` in one format, and notes to `stderr`.

    A reader that left is not an error; stdout that cannot be written is one, and stderr that cannot be is none.
    """

    def __init__(self, form: Format | None, *, stdout: TextIO, stderr: TextIO, color: bool) -> None:
        self.form = form or Format.TABLE
        self.color = color
        self.closed = False
        """True once the reader has left: a loop that only prints may end."""
        self._stdout = stdout
        self._stderr = stderr
        self.terminal = stdout.isatty()

    def rows(self, kind: str, columns: Sequence[Column | str], rows: Iterable[Row], *, name: str = "id") -> None:
        """Print a list; `kind` names it in JSON, `name` is the field that `-o name` prints.

        Every field of a row is in JSON; the other formats have the columns.
        """
        chosen = [_column(column) for column in columns]
        match self.form:
            case Format.JSON:
                self._write(json_text({"kind": kind, "version": VERSION, "items": list(rows)}, indent=2) + "\n")
            case Format.YAML:
                self._write(_yaml({"kind": kind, "version": VERSION, "items": [plain(row) for row in rows]}))
            case Format.JSONL:
                self._lines(json_text(row) for row in rows)
            case Format.NAME:
                self._lines(self._foreign(raw_field(row[name])) for row in rows)
            case Format.CSV:
                self._csv(chosen, rows)
            case _:
                self._table(chosen, rows)

    def record(self, kind: str, record: Row, *, name: str = "id") -> None:
        """Print one thing."""
        match self.form:
            case Format.JSON:
                self._write(json_text({"kind": kind, "version": VERSION, **record}, indent=2) + "\n")
            case Format.YAML:
                self._write(_yaml({"kind": kind, "version": VERSION, **_mapping(record)}))
            case Format.JSONL:
                self._write(json_text({"kind": kind, "version": VERSION, **record}) + "\n")
            case Format.NAME:
                self._write(self._foreign(raw_field(record[name])) + "\n")
            case Format.CSV:
                self._csv([Column(key) for key in record], [record])
            case _:
                self._pairs(record)

    def report(self, kind: str, record: Row, sections: Sequence[Section], *, name: str = "id") -> None:
        """Print one thing that people read as several tables; machines get `record`.

        In a pipe each line begins with the title of its table.
        """
        if not self.form.human:
            self.record(kind, record, name=name)
            return
        for number, section in enumerate(sections):
            if self.terminal:
                self._write(("\n" if number else "") + terminal_safe(section.title) + "\n")
            if section.text is not None:
                self._text(section)
            elif self.terminal:
                self._table([_column(column) for column in section.columns], section.rows)
            else:
                self._fields([_column(column) for column in section.columns], section.rows, before=(section.title,))

    def stream(self, text: str) -> None:
        """Write lines of a format that is the command's own, as they are."""
        self._write(text)

    def _text(self, section: Section) -> None:
        before = () if self.terminal else (section.title,)
        for line in (section.text or "").split("\n"):
            safe = terminal_safe(line.replace("\t", "    "))
            self._write("\t".join([*before, safe]) + "\n")

    def text(self, kind: str, text: str) -> None:
        """Print a text of our own making, such as SQL or a file; machines get it in the field `text`."""
        if self.form.human:
            self._write(text if text.endswith("\n") else text + "\n")
        else:
            self.record(kind, {"text": text}, name="text")

    def note(self, text: str) -> None:
        """Say something to the person at the terminal, on stderr."""
        with contextlib.suppress(OSError):
            self._stderr.write(terminal_safe(text, multiline=True) + "\n")
            self._stderr.flush()

    def finish(self) -> None:
        """Flush stdout; where the reader has left, see that nothing complains at exit."""
        self._write("")

    def _write(self, text: str) -> None:
        if self.closed:
            return
        try:
            self._stdout.write(text)
            self._stdout.flush()
        except OSError as error:
            self.closed = True
            streams.forget(self._stdout)
            if not isinstance(error, BrokenPipeError):
                raise streams.unwritable(error) from error

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._write(line + "\n")
            if self.closed:
                return

    def _foreign(self, text: str) -> str:
        """Whole and exact for a pipe, safe for a terminal."""
        return terminal_safe(text) if self.terminal else text

    def _csv(self, columns: Sequence[Column], rows: Iterable[Row]) -> None:
        self._write(_csv_line([column.name for column in columns]))
        for row in rows:
            self._write(_csv_line([self._foreign(raw_field(row.get(column.name))) for column in columns]))
            if self.closed:
                return

    def _table(self, columns: Sequence[Column], rows: Iterable[Row]) -> None:
        if not self.terminal:
            self._fields(columns, rows)
            return
        from ticketops.cli.tables import table  # noqa: PLC0415 - rich takes 50 ms and only terminals need it

        wide = self.form is Format.WIDE
        shown = [column for column in columns if wide or not column.wide]
        cells = [[cell(row.get(column.name), column.show) for column in shown] for row in rows]
        self._write(table(shown, cells, color=self.color, wide=wide))

    def _fields(self, columns: Sequence[Column], rows: Iterable[Row], before: Sequence[str] = ()) -> None:
        values = ([*before, *(row.get(column.name) for column in columns)] for row in rows)
        self._lines("\t".join(map(field, line)) for line in values)

    def _pairs(self, record: Row) -> None:
        if not self.terminal:
            self._lines(f"{field(key)}\t{field(value)}" for key, value in record.items())
            return
        width = max((len(key) for key in record), default=0)
        self._lines(f"{cell(key)}:{' ' * (width - len(key))} {cell(value)}" for key, value in record.items())


def _column(column: Column | str) -> Column:
    return Column(column) if isinstance(column, str) else column


def _mapping(record: Row) -> dict[str, object]:
    return {key: plain(value) for key, value in record.items()}


def _csv_line(values: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


def _yaml(value: object) -> str:
    import yaml  # noqa: PLC0415 - only for this format

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=printable(value), width=10_000)
