"""The port StateView on PostgreSQL. Indexes that it needs: see docs/state.md."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from psycopg import Connection

from ticketops.backends.postgres.machine_layout import inspect
from ticketops.backends.postgres.session import Session
from ticketops.backends.postgres.states_sql import Queries, known_steps
from ticketops.backends.postgres.subject_rows import subjects
from ticketops.domain.history import Late, Life, MoveCount, Standing, StateCount, Stay, Waiting
from ticketops.domain.machine import Machine
from ticketops.domain.subjects import Subject, Transition
from ticketops.options import Places, PostgresOptions
from ticketops.ports.states import Lives

_DAY: Final = 86_400.0
_WIDE: Final = 9
"""Columns of a transition."""
Rows = list[tuple[Any, ...]]


class PostgresStateView:
    """Implements ports.StateView; one instance for one thread. Every read ends within postgres.answer_timeout."""

    def __init__(
        self,
        machine: Machine,
        postgres: PostgresOptions,
        places: Places,
        *,
        application: str = "ticketops state",
    ) -> None:
        self._machine = machine
        self._postgres = postgres
        self._places = places
        self._session = Session(postgres, application)
        self._found: Queries | None = None
        self._limit = f"SET LOCAL statement_timeout = {max(round(postgres.answer_timeout * 1000), 1)}"

    @property
    def _queries(self) -> Queries:
        if self._found is None:
            with self._session.use() as connection:
                self._found = Queries(inspect(connection, self._postgres, self._places), self._machine)
        return self._found

    @contextmanager
    def _reading(self) -> Iterator[Connection[tuple[Any, ...]]]:
        with self._session.transaction() as connection:
            connection.execute(f"SET TRANSACTION READ ONLY; {self._limit}".encode())
            yield connection

    def _rows(self, query: bytes, values: Mapping[str, object] | None = None) -> Rows:
        with self._reading() as connection:
            return connection.execute(query, values or {}).fetchall()

    def now(self) -> datetime:
        """See ports.StateView."""
        moment: datetime = self._rows(b"SELECT now()")[0][0]
        return moment

    def history(self, key: str, *, after: int = 0, limit: int) -> list[Transition]:
        """See ports.StateView."""
        queries = self._queries
        known = queries.layout.recorded_key(key)
        if known is None:
            return []
        return [_transition(row) for row in self._rows(queries.history, {"key": known, "after": after, "limit": limit})]

    def states(self) -> list[StateCount]:
        """See ports.StateView."""
        found = {state: (count, expired) for state, count, expired in self._rows(self._queries.states)}
        return [self._count(state, found) for state in self._named(found)]

    def _named(self, found: Iterable[str]) -> list[str]:
        """The machine's states, and those that it does not know."""
        return [*self._machine.states, *sorted(state for state in found if state not in self._machine.states)]

    def _count(self, state: str, found: Mapping[str, tuple[int, int]]) -> StateCount:
        count, expired = found.get(state, (0, 0))
        return StateCount(state=state, count=count, expired=expired if state in self._machine.expiring else 0)

    def standing(self, limits: Mapping[str, float], *, newest: int) -> Standing:
        """See ports.StateView."""
        queries = self._queries
        allowed = {"states": list(limits), "limits": list(limits.values())}
        with self._reading() as connection:
            [(at,)] = connection.execute(b"SELECT now()").fetchall()
            found = connection.execute(queries.open).fetchall()
            late = connection.execute(queries.late, allowed).fetchall() if limits else []
            moves = connection.execute(queries.newest, {"newest": newest}).fetchall()
        counts = {state: (count, expired) for state, count, expired in found}
        return Standing(
            at=at,
            states=tuple(self._count(state, counts) for state in self._named(counts) if state in counts),
            late=tuple(Late(state=state, count=count, since=since) for state, count, since in late),
            moves=tuple(_moves(moves)),
        )

    def waiting(self, limits: Mapping[str, float], *, limit: int) -> tuple[int, list[Waiting]]:
        """See ports.StateView."""
        queries = self._queries
        values = {
            "states": list(limits),
            "limits": list(limits.values()),
            "expiring": list(self._machine.expiring),
            "limit": limit,
        }
        rows = self._rows(queries.waiting, values)
        found = subjects(queries.columns, rows)
        waiting = [
            Waiting(subject=subject, since=row[-4] or subject.created_at, event=row[-3])
            for subject, row in zip(found, rows, strict=True)
        ]
        return (rows[0][-1] if rows else 0), waiting

    def overdue(self, states: Sequence[str], *, limit: int) -> list[Subject]:
        """See ports.StateView."""
        queries = self._queries
        if not queries.overdue:
            return []
        rows = self._rows(queries.overdue, {"states": list(states), "limit": limit})
        return subjects(queries.columns, rows)

    def moves(self, window: float) -> list[MoveCount]:
        """See ports.StateView."""
        return _moves(self._rows(self._queries.moves, {"window": window}))

    def stays(self, window: float) -> list[Stay]:
        """See ports.StateView."""
        rows = self._rows(self._queries.stays, {"window": window, "creation": self._machine.creation})
        return [Stay(state=state, count=count, median=median, p95=p95) for state, count, median, p95 in rows]

    def lives(self, after: str | None, *, limit: int) -> Lives:
        """See ports.StateView."""
        queries = self._queries
        query = queries.first_judged if after is None else queries.next_judged
        known = {"known": known_steps(self._machine), "initial": self._machine.initial}
        while True:
            [(subjects, rows, keys, last_rows, odd)] = self._rows(query, {**known, "after": after, "limit": limit})
            if rows < limit:
                return Lives(self._lives(odd), None, subjects, rows)
            if subjects > 1:  # the last one may go on behind the page
                whole = [key for key in odd if key != keys[0]]
                return Lives(self._lives(whole), keys[1], subjects - 1, rows - last_rows)
            limit *= 2

    def _lives(self, keys: list[str]) -> tuple[Life, ...]:
        if not keys:
            return ()
        rows = self._rows(self._queries.lives, {"keys": keys})
        return tuple(_life(list(group)) for _, group in groupby(rows, key=lambda row: row[2]))

    def silent(self, after: str | None, *, since: datetime | None, limit: int) -> Lives:
        """See ports.StateView."""
        queries = self._queries
        recent = (queries.first_silent, queries.next_silent)
        ever = (queries.first_silent_ever, queries.next_silent_ever)
        first, onward = ever if since is None else recent
        values = {"after": after, "since": since, "initial": self._machine.initial, "limit": limit}
        rows = self._rows(first if after is None else onward, values)
        found = tuple(
            Life(key=key, transitions=(), state=state, created_at=created, updated_at=updated)
            for key, state, created, updated in rows
        )
        return Lives(found, found[-1].key if len(found) == limit else None, len(found), 0)

    def forget(self, days: float, *, limit: int) -> int:
        """See ports.StateView."""
        query = self._queries.forget
        with self._session.transaction(durable=False) as connection:
            return connection.execute(query, {"age": days * _DAY, "limit": limit}).rowcount

    def close(self) -> None:
        """See ports.StateView."""
        self._session.close()


def _moves(rows: Rows) -> list[MoveCount]:
    return [MoveCount(source=source, event=event, target=target, count=n) for source, event, target, n in rows]


def _transition(row: tuple[Any, ...]) -> Transition:
    number, transition_id, key, source, target, event, triggered_by, reason, at = row[:_WIDE]
    return Transition(
        number=number,
        id=transition_id or "",
        key=key,
        source=source,
        target=target,
        event=event,
        triggered_by=triggered_by,
        reason=reason,
        at=at,
    )


def _life(rows: Rows) -> Life:
    state, created, updated = rows[0][-3:]
    return Life(
        key=rows[0][2],
        transitions=tuple(_transition(row) for row in rows),
        state=state,
        created_at=created,
        updated_at=updated,
    )
