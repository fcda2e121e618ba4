"""The ledger's word on one dead-letter topic, in a few small reads."""

from typing import Final, LiteralString

from psycopg import sql

from ticketops.backends.postgres.session import Session
from ticketops.domain.ledger import UNSETTLED, Log, Standing
from ticketops.options import PostgresOptions

_LOG: Final[LiteralString] = "SELECT id, incarnation FROM {own}.ledger_logs WHERE cluster = %s AND topic = %s"
_POSITIONS: Final[LiteralString] = 'SELECT "partition", "next" FROM {own}.ledger_positions WHERE log = %s'
_ANY: Final[LiteralString] = (
    "SELECT EXISTS (SELECT 1 FROM {own}.ledger_records WHERE log = %s AND state IN ({unsettled}))"
)
"""Literal states, so that the partial index serves it."""


class PostgresLedgerGlance:
    """Implements ports.ledger.LedgerGlance; one instance serves one thread."""

    def __init__(self, postgres: PostgresOptions, *, missing: str) -> None:
        """`missing`: the hint where the ledger's tables are."""
        self._session = Session(postgres, "ticketops operations", missing=missing)
        names = {
            "own": sql.Identifier(postgres.own_schema),
            "unsettled": sql.SQL(", ").join(sql.Literal(state.value) for state in UNSETTLED),
        }
        self._log, self._positions, self._any = (sql.SQL(query).format(**names) for query in (_LOG, _POSITIONS, _ANY))

    def standing(self, log: Log) -> Standing | None:
        """See ports.ledger.LedgerGlance."""
        with self._session.use() as connection:
            known = connection.execute(self._log, (log.cluster, log.topic)).fetchone()
            if known is None:
                return None
            number, incarnation = known
            positions = connection.execute(self._positions, (number,)).fetchall()
            left = connection.execute(self._any, (number,)).fetchone()
        return Standing(incarnation, dict(positions), unsettled=left is None or left[0])

    def close(self) -> None:
        """See ports.ledger.LedgerGlance."""
        self._session.close()
