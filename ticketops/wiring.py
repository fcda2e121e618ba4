"""The composition root: the only importer of backends. Everything is made when it is asked for."""

import getpass
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports import OutboxAdmin, SchemaKeeper


def actor() -> str:
    """Who runs this process, as user@host; for the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def open_schema(config: "Config", *, timeout: float | None = None) -> "SchemaKeeper":
    """The database's schema; `timeout` in seconds bounds connecting and reading, where given."""
    from ticketops.backends.postgres.upgrade import PostgresSchema  # noqa: PLC0415 - loads the driver

    postgres = config.postgres
    if timeout is not None:
        postgres = replace(postgres, connect_timeout=timeout, answer_timeout=timeout)
    return PostgresSchema(postgres, config.outbox, config.relay)


def open_outbox_admin(config: "Config", *, timeout: float | None = None) -> "OutboxAdmin":
    """An operator's view of the outbox; `timeout` in seconds bounds connecting and reading, where given."""
    from ticketops.backends.postgres.admin import PostgresOutboxAdmin  # noqa: PLC0415 - loads the driver

    postgres = config.postgres
    if timeout is not None:
        postgres = replace(postgres, connect_timeout=timeout, answer_timeout=timeout)
    return PostgresOutboxAdmin(postgres, config.outbox, config.relay)
