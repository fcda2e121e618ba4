"""Connections to PostgreSQL: how they are made, given up, and what their errors mean."""

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import conninfo

from ticketops.errors import (
    BackendError,
    BackendUnavailable,
    DataError,
    DeniedError,
    LockTimeout,
    SchemaError,
    StatementCancelled,
    TicketOpsError,
)
from ticketops.options import OutboxOptions, PostgresOptions

if TYPE_CHECKING:
    import sqlalchemy

BACKEND = "PostgreSQL"
STATUS = "run `ticketops db status`"

_UNAVAILABLE = {
    "53000": "it has too few resources",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it has no connection left",
    "53400": "a limit of its configuration is reached",
    "57P01": "it is shutting down",
    "57P02": "it crashed",
    "57P03": "it is starting up",
    "57P05": "it closed an idle session",
    "25P03": "it closed a session that hung in a transaction",
    "25006": "it is read-only; a standby, or a failover under way",
}
_CANCELLED = "57014"
_GROWS_FILES = frozenset({"mdextend", "mdzeroextend"})
"""Functions of the server that make a table's file longer: a quota fails there as an internal error."""
_MISSING = frozenset({"42P01", "42703", "42704", "42883", "3F000", "3D000", "42804"})
_LOCKED = frozenset({"55P03", "40001", "40P01"})


def scope(postgres: PostgresOptions, outbox: OutboxOptions) -> str:
    """The name of one outbox in TicketOps' own tables."""
    return f"{postgres.schema}.{outbox.table}"


def dsn(options: PostgresOptions, application: str) -> str:
    """The libpq connection string, with keep-alives that find a dead peer within 20 s; holds the password."""
    try:
        return conninfo.make_conninfo(
            options.url,
            application_name=application,
            client_encoding="UTF8",
            connect_timeout=max(1, math.ceil(options.connect_timeout)),
            keepalives_idle=5,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=20_000,
        )
    except psycopg.ProgrammingError as error:
        raise BackendError(
            "postgres.url cannot be read",
            why=_first_line(error),
            hint="write postgresql://USER@HOST:PORT/DATABASE",
        ) from None


def connect(
    options: PostgresOptions, *, application: str, autocommit: bool = True
) -> "psycopg.Connection[tuple[Any, ...]]":
    """A new connection; BackendUnavailable or DeniedError where there is none to be had."""
    with translated():
        connection = psycopg.connect(dsn(options, application), autocommit=autocommit)
    connection.prepare_threshold = None
    return connection


def engine(options: PostgresOptions, *, application: str = "ticketops", missing: str = STATUS) -> "sqlalchemy.Engine":
    """A SQLAlchemy engine over `connect`; what its driver raises arrives as by `translated`."""
    import sqlalchemy  # noqa: PLC0415 - only the commands that build queries pay for it

    made = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(options, application=application, autocommit=False),
        pool_pre_ping=True,
    )
    sqlalchemy.event.listen(made, "handle_error", partial(_translate_wrapped, missing=missing))
    return made


@contextmanager
def translated(*, missing: str = STATUS) -> Iterator[None]:
    """Turn what psycopg raises into TicketOps' errors; `missing` is the hint where a table or column is."""
    try:
        yield
    except psycopg.Error as error:
        raise _from_driver(error, missing) from error


def _translate_wrapped(context: "sqlalchemy.engine.ExceptionContext", *, missing: str) -> None:
    if isinstance(context.original_exception, psycopg.Error):
        raise _from_driver(context.original_exception, missing) from context.original_exception


def _from_driver(error: psycopg.Error, missing: str) -> TicketOpsError:
    state = error.sqlstate or ""
    why = _first_line(error)
    if state == _CANCELLED:
        hint = "give it more time (--timeout), or see whether an index is missing: `ticketops doctor`"
        return StatementCancelled(BACKEND, why=why, hint=hint)
    if state in _UNAVAILABLE:
        return BackendUnavailable(BACKEND, why=f"{_UNAVAILABLE[state]} ({why})")
    if error.diag.source_function in _GROWS_FILES:
        return BackendUnavailable(BACKEND, why=f"its disk, or its share of it, is full ({why})")
    if state == "42501" or state.startswith("28") or "authentication failed" in why:
        return DeniedError(f"{BACKEND} denied the right", why=why, hint="`ticketops db status` lists the rights needed")
    if state.startswith("08") or (not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)):
        return BackendUnavailable(BACKEND, why=why, hint="check postgres.url and that the server runs")
    return _refusal(state, why, missing)


def _refusal(state: str, why: str, missing: str) -> BackendError:
    """The error for a statement that a working server refused."""
    if state in _MISSING:
        return SchemaError(f"{BACKEND} lacks what was asked for", why=why, hint=missing)
    if state in _LOCKED:
        return LockTimeout(f"{BACKEND} could not lock a row or table in time", why=why, hint="try again")
    if state.startswith("22"):
        return DataError(f"{BACKEND} refuses a value", why=why)
    return BackendError(f"{BACKEND} refused a statement", why=f"{why} (SQLSTATE {state})")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


class Session:
    """One connection for one thread: made when needed, made anew after it broke.

    Every use has a deadline, after which the socket is shut down: a server that stopped answering without
    closing its connections (suspended, half-open) then costs `answer_timeout` seconds and not for ever.
    """

    def __init__(self, options: PostgresOptions, application: str, *, missing: str = STATUS) -> None:
        """`missing`: the hint where a table or column is."""
        self._missing = missing
        self._options = options
        self._application = application
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        idle = math.ceil(options.answer_timeout * 1000)
        self._settings = f"SET LOCAL idle_in_transaction_session_timeout = {idle}"

    @contextmanager
    def use(self) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """The connection in autocommit mode; raises TicketOps' errors only."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._options, application=self._application)
        connection = self._connection
        try:
            with translated(missing=self._missing), _WATCHDOG.guard(connection, self._options.answer_timeout):
                yield connection
        except BackendUnavailable:
            self.close()
            raise

    @contextmanager
    def transaction(
        self, *, durable: bool = True, impatient: bool = False
    ) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """A transaction; with `durable` false its commit does not wait for the disk.

        An impatient one waits for a lock postgres.lock_timeout at most. The server ends it where this process hangs
        in it: its locks would keep the shards from other relays.
        """
        settings = self._settings if durable else f"{self._settings}; SET LOCAL synchronous_commit TO off"
        if impatient:
            wait = max(round(self._options.lock_timeout * 1000), 1)
            settings = f"{settings}; SET LOCAL lock_timeout = {wait}"
        with self.use() as connection, _begun(connection, settings):
            yield connection

    def close(self) -> None:
        """Give up the connection; idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _begun(connection: "psycopg.Connection[tuple[Any, ...]]", settings: str) -> Iterator[None]:
    """A transaction with settings of its own, begun in one round trip."""
    connection.execute(f"BEGIN; {settings}".encode())
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):  # what went wrong says more than that the connection is gone with it
            connection.rollback()
        raise
    connection.commit()


class SharedSession(Session):
    """One connection for several threads that take turns; closed by whom it serves last."""

    def __init__(self, options: PostgresOptions, application: str, *, missing: str = STATUS) -> None:
        """See Session; who waits for its turn longer than `answer_timeout` seconds gets BackendUnavailable."""
        super().__init__(options, application, missing=missing)
        self._turn = threading.RLock()
        self._patience = options.answer_timeout

    @contextmanager
    def use(self) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """See Session."""
        if not self._turn.acquire(timeout=self._patience):
            raise BackendUnavailable(BACKEND, why="another question about the same tables has not been answered")
        try:
            with super().use() as connection:
                yield connection
        finally:
            self._turn.release()

    def close(self) -> None:
        """Give up the connection, unless somebody uses it; idempotent."""
        if self._turn.acquire(blocking=False):
            try:
                super().close()
            finally:
                self._turn.release()


class _Watchdog:
    """Shuts down the sockets of connections whose deadline has passed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[int, tuple[float, psycopg.Connection[tuple[Any, ...]]]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def guard(self, connection: "psycopg.Connection[tuple[Any, ...]]", timeout: float) -> Iterator[None]:
        with self._lock:
            self._deadlines[id(connection)] = (time.monotonic() + timeout, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="postgres-watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.pop(id(connection), None)

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(0.5):
            now = time.monotonic()
            with self._lock:
                late = [key for key, (deadline, _) in self._deadlines.items() if deadline < now]
                for key in late:
                    _sever(self._deadlines.pop(key)[1])


def _sever(connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    try:
        descriptor = os.dup(connection.fileno())
    except (psycopg.OperationalError, OSError):
        return
    with socket.socket(fileno=descriptor) as duplicate:
        try:
            duplicate.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


_WATCHDOG = _Watchdog()


@contextmanager
def deadline(connection: "psycopg.Connection[tuple[Any, ...]]", seconds: float) -> Iterator[None]:
    """Shut the connection down where the block takes longer than `seconds`."""
    with _WATCHDOG.guard(connection, seconds):
        yield


@contextmanager
def bounded(connection: "sqlalchemy.Connection", seconds: float) -> Iterator[None]:
    """The same for a connection of `engine`."""
    with deadline(connection.connection.driver_connection, seconds):  # type: ignore[arg-type]  # it is psycopg's
        yield
