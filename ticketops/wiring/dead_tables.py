"""Dead letters that are rows of the services' tables."""

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.options import PostgresOptions
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance
    from ticketops.wiring.sessions import Sessions


def open_outbox_dead_letters(config: "Config", name: str, *, timeout: float | None = None) -> "DeadLetterQueue":
    """Events that the relay gave up; `timeout` in seconds bounds connecting and reading, where given."""
    from ticketops.backends.postgres.dead_outbox import OutboxDeadLetters  # noqa: PLC0415 - loads the driver

    return OutboxDeadLetters(name, _bounded(config, timeout), config.outbox, config.relay)


def open_compensations(
    config: "Config", name: str, table: str = "", *, timeout: float | None = None
) -> "DeadLetterQueue":
    """Compensations that the saga gave up, in `table` or where the configuration has them; `timeout` as above."""
    from ticketops.backends.postgres.dead_compensations import CompensationDeadLetters  # noqa: PLC0415 - loads the driver

    table = table or config.state.compensations_table
    return CompensationDeadLetters(name, _bounded(config, timeout), table)


def glance_at_outbox(config: "Config", sessions: "Sessions", *, timeout: float) -> "QueueGlance":
    """What there is of such events; `timeout` as above."""
    from ticketops.backends.postgres.dead_glance import outbox_glance  # noqa: PLC0415 - loads the driver

    return outbox_glance(sessions.of("outbox", timeout), config.postgres, config.outbox, config.relay)


def glance_at_compensations(config: "Config", sessions: "Sessions", table: str, *, timeout: float) -> "QueueGlance":
    """What there is of such compensations; `table` and `timeout` as above."""
    from ticketops.backends.postgres.dead_glance import compensation_glance  # noqa: PLC0415 - loads the driver

    session = sessions.of("compensations", timeout)
    return compensation_glance(session, config.postgres, table or config.state.compensations_table)


def _bounded(config: "Config", timeout: float | None) -> "PostgresOptions":
    if timeout is None:
        return config.postgres
    return replace(config.postgres, connect_timeout=timeout, answer_timeout=timeout)
