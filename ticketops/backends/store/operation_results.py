"""What came of an operation's items: neighbors with the same result are one row, so that a thousand cost as one."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from ticketops.domain.deadletters import Outcome, Result

Numbered = tuple[int, Result]
"""A result with the number of its item."""


def rows_of(seq: int, results: Iterable[Numbered], at: datetime) -> Iterator[tuple[Any, ...]]:
    """The rows of operation_results, their columns in order; `results` come by ascending number."""
    for _, group in groupby(enumerate(results), _run):
        run = list(group)
        number, result = run[0][1]
        yield (seq, number, result.outcome.value, result.detail, at, len(run))


def _run(placed: tuple[int, Numbered]) -> tuple[int, Outcome, str]:
    """The same for all items of a row: numbers without a gap grow as their places do."""
    place, (number, result) = placed
    return number - place, result.outcome, result.detail


def within(connection: Connection, table: Table, seq: int, first: int, last: int) -> dict[int, Row[Any]]:
    """The rows that hold the results of items from `first` to `last`, by item number."""
    r, before = table.c, table.alias().c
    # Of the rows that begin before the range only the last can reach into it: no two are about the same item.
    reaching = select(func.max(before.number)).where(before.operation == seq, before.number <= first)
    begin = func.coalesce(reaching.scalar_subquery(), first)
    rows = connection.execute(select(table).where(r.operation == seq, r.number.between(begin, last)))
    return {
        number: row for row in rows for number in range(max(row.number, first), min(row.number + row.span, last + 1))
    }
