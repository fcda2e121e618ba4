"""The ledger's word on one dead-letter topic, in a few small reads."""

from typing import Final, LiteralString

from psycopg import sql

from ticketops.backends.postgres.dead_glance import holding_of
from ticketops.backends.postgres.session import Session
from ticketops.domain.ledger import UNSETTLED, Log, Standing
from ticketops.options import PostgresOptions

_LOG: Final[LiteralString] = "SELECT id, incarnation FROM {own}.ledger_logs WHERE cluster = %s AND topic = %s"
_POSITIONS: Final[LiteralString] = 'SELECT "partition", "next" FROM {own}.ledger_positions WHERE log = %s'
_UNSETTLED: Final[LiteralString] = """
SELECT failed_at, reason, error_class, message, outline FROM {own}.ledger_records
WHERE log = {log} AND state IN ({unsettled})
"""
"""Literal states, so that the partial index serves it."""
_CAUSES: Final[LiteralString] = """
SELECT date_part('epoch', clock_timestamp() - failed_at), reason, error_class, left(message, 2000), outline
FROM ({letters}) letters LIMIT {most}
"""


class PostgresLedgerGlance:
    """Implements ports.ledger.LedgerGlance; one instance serves one thread."""

    def __init__(self, session: Session, postgres: PostgresOptions) -> None:
        self._session = session
        self._own = sql.Identifier(postgres.own_schema)
        self._unsettled = sql.SQL(", ").join(sql.Literal(state.value) for state in UNSETTLED)

    def standing(self, log: Log, most: int) -> Standing | None:
        """See ports.ledger.LedgerGlance."""
        with self._session.use() as connection:
            known = connection.execute(sql.SQL(_LOG).format(own=self._own), (log.cluster, log.topic)).fetchone()
            if known is None:
                return None
            number, incarnation = known
            positions = connection.execute(sql.SQL(_POSITIONS).format(own=self._own), (number,)).fetchall()
            letters = sql.SQL(_UNSETTLED).format(own=self._own, log=sql.Literal(number), unsettled=self._unsettled)
            holding = holding_of(connection, letters, sql.SQL(_CAUSES), most)
        return Standing(incarnation, dict(positions), holding)

    def close(self) -> None:
        """See ports.ledger.LedgerGlance."""
        self._session.close()
