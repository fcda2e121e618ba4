"""Earlier looks in a small SQLite file that only its user can read."""

import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import platformdirs

from ticketops.errors import BackendError

_WAIT: Final = 0.5
"""Seconds to wait for another process; a look that is not kept costs less than one that is late."""
_MAX_BYTES: Final = 64_000_000
"""Of all entries of one kind, compressed."""
_LOOKED: Final = 60
"""Entries between two looks at how much there is: it costs fifty times what an entry does."""
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS entries (kind TEXT NOT NULL, at REAL NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_time ON entries (kind, at);
"""


def default_file(context: str) -> Path:
    """Where a context's looks are kept by default."""
    safe = "".join(character if character.isalnum() or character in "-_" else "_" for character in context)
    return platformdirs.user_state_path("ticketops") / f"history-{safe}.sqlite3"


class LocalRing:
    """Implements ports.ring.Ring."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._appended = Counter[str]()

    @property
    def place(self) -> str:
        """See ports.ring.Ring."""
        return str(self._path)

    def append(self, kind: str, at: datetime, body: bytes, keep: timedelta) -> None:
        """See ports.ring.Ring."""
        with self._opened() as database:
            database.execute("DELETE FROM entries WHERE kind = ? AND at < ?", (kind, (at - keep).timestamp()))
            packed = zlib.compress(body, 1)
            database.execute("INSERT INTO entries (kind, at, body) VALUES (?, ?, ?)", (kind, at.timestamp(), packed))
            if self._appended[kind] % _LOOKED == 0:
                database.execute(_SHRINK, (kind, _MAX_BYTES))
            self._appended[kind] += 1

    def since(self, kind: str, moment: datetime, *, most: int | None = None) -> Iterator[tuple[datetime, bytes]]:
        """See ports.ring.Ring."""
        with self._opened() as database:
            rows = database.execute(_SINCE, (kind, moment.timestamp(), -1 if most is None else most)).fetchall()
        for at, packed in rows:
            yield datetime.fromtimestamp(at, UTC), _unpacked(packed)

    def near(self, kind: str, moment: datetime, within: timedelta) -> tuple[datetime, bytes] | None:
        """See ports.ring.Ring."""
        first, last = (moment - within).timestamp(), (moment + within).timestamp()
        with self._opened() as database:
            row = database.execute(_NEAR, (kind, first, last, moment.timestamp())).fetchone()
        return None if row is None else (datetime.fromtimestamp(row[0], UTC), _unpacked(row[1]))

    def close(self) -> None:
        """See ports.ring.Ring."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database in a transaction; BackendError where the file cannot be used."""
        try:
            if self._database is None:
                self._database = _open(self._path)
            with self._database as database:
                yield database
        except (sqlite3.Error, OSError) as error:
            raise BackendError(
                "the local history cannot be used",
                why=f"{self._path}: {error}",
                hint="name a file that you may write in lag.history_file, or remove a broken one",
            ) from error


_SINCE: Final = """
SELECT at, body FROM entries WHERE rowid IN (
  SELECT entry FROM (
    SELECT rowid AS entry, row_number() OVER newest - 1 AS number, count(*) OVER () AS total, ?3 AS most
    FROM entries WHERE kind = ?1 AND at >= ?2 WINDOW newest AS (ORDER BY at DESC, rowid DESC)
  ) WHERE most < 0 OR number % ((total + most - 1) / most) = 0
) ORDER BY at, rowid"""
"""Every so-maniest entry back from the newest; the inner query needs the index alone."""
_NEAR: Final = """
SELECT at, body FROM entries WHERE rowid = (
  SELECT rowid FROM entries WHERE kind = ? AND at BETWEEN ? AND ? ORDER BY abs(at - ?), at DESC LIMIT 1
)"""
_SHRINK: Final = """
DELETE FROM entries WHERE rowid IN (
  SELECT rowid FROM (
    SELECT rowid, sum(length(body)) OVER (ORDER BY at DESC, rowid DESC) AS used FROM entries WHERE kind = ?
  ) WHERE used > ?
)"""


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False)
    database.executescript(_SCHEMA)
    return database


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise BackendError("the local history is broken", why=str(error), hint="remove lag.history_file") from error
