"""Where operations, holds, the archive and the ledger of topics are kept."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.backends.store.place import Place
    from ticketops.config import Config
    from ticketops.ports.ledger import Ledger, LedgerGlance
    from ticketops.ports.operations import Annotations, OperationStore
    from ticketops.ports.trace import OperationGlance
    from ticketops.services.dlq.changing import Desk
    from ticketops.wiring.sessions import Sessions

_UPGRADE = "run `ticketops db upgrade`"


def open_operation_store(config: "Config") -> "OperationStore":
    """Operations and the audit log, for one thread."""
    from ticketops.backends.store.operations import SqlOperationStore  # noqa: PLC0415 - loads SQLAlchemy

    return SqlOperationStore(open_place(config))


def open_operation_glance(config: "Config", *, timeout: float) -> "OperationGlance | None":
    """Whether anything was done to items, for one thread; None where the store is a local file."""
    from ticketops.backends.postgres.event_story import PostgresOperationGlance  # noqa: PLC0415 - loads the driver

    if config.dlq.store == "local":
        return None
    return PostgresOperationGlance(config.postgres, timeout, missing=_UPGRADE)


def open_annotations(config: "Config") -> "Annotations":
    """Holds, the archive and edits, for one thread."""
    from ticketops.backends.store.annotations import SqlAnnotations  # noqa: PLC0415 - loads SQLAlchemy

    return SqlAnnotations(open_place(config))


@contextmanager
def open_desk(config: "Config", actor: str | None = None) -> "Iterator[Desk]":
    """What changes to dead letters are made with, for one thread; `actor` is user@host by default."""
    from ticketops.services.dlq.changing import Desk  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.wiring import actor as own_name  # noqa: PLC0415

    with closing(open_operation_store(config)) as store, closing(open_annotations(config)) as annotations:
        access = Access(config.context, config.read_only)
        yield Desk(store=store, annotations=annotations, access=access, actor=actor or own_name())


def open_ledger(config: "Config") -> "Ledger":
    """What is known of the records of dead-letter topics, for one thread."""
    from ticketops.backends.store.ledger import StoredLedger  # noqa: PLC0415 - loads SQLAlchemy

    return StoredLedger(open_place(config))


def open_ledger_glance(config: "Config", sessions: "Sessions", *, timeout: float) -> "LedgerGlance | None":
    """A look at the ledger, for one thread; None where it is a local file. `timeout` in seconds for each answer."""
    from ticketops.backends.postgres.ledger_glance import PostgresLedgerGlance  # noqa: PLC0415 - loads the driver

    if config.dlq.store == "local":
        return None
    return PostgresLedgerGlance(sessions.of("ledger", timeout, missing=_UPGRADE), config.postgres)


def store_file(config: "Config") -> Path:
    """The local file; each context has one of its own unless the configuration names one."""
    import platformdirs  # noqa: PLC0415 - only who keeps a file needs it

    if config.dlq.store_file:
        return Path(config.dlq.store_file).expanduser()
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in config.context)
    return platformdirs.user_state_path("ticketops", appauthor=False) / f"operations-{name}.sqlite3"


def open_place(config: "Config") -> "Place":
    """The database that holds what TicketOps itself remembers."""
    if config.dlq.store == "local":
        from ticketops.backends.store.sqlite import SqlitePlace  # noqa: PLC0415 - loads SQLAlchemy

        return SqlitePlace(store_file(config))
    from ticketops.backends.postgres import session  # noqa: PLC0415 - loads the driver
    from ticketops.backends.store.postgres import Driver, PostgresPlace  # noqa: PLC0415 - loads SQLAlchemy

    driver = Driver(
        engine=partial(session.engine, config.postgres, application="ticketops operations", missing=_UPGRADE),
        translated=partial(session.translated, missing=_UPGRADE),
        bounded=partial(session.bounded, seconds=config.postgres.answer_timeout),
    )
    return PostgresPlace(driver, config.postgres.own_schema)
