import shutil
from collections.abc import Sequence

import psycopg
import pytest

from ticketops.backends.postgres.session import Session
from ticketops.embedded.postgres import PostgresServer
from ticketops.errors import BackendUnavailable, StatementCancelled
from ticketops.options import PostgresOptions


def test_a_limit_of_the_server_is_waited_for(database: PostgresOptions) -> None:
    session = Session(database, "tests")
    with session.use() as connection:
        connection.execute("set work_mem = '64kB'")
        connection.execute("set temp_file_limit = '64kB'")
    with pytest.raises(BackendUnavailable) as raised, session.use() as connection:
        connection.execute("select count(*) from (select g from generate_series(1, 100000) g order by -g) sorted")
    session.close()
    assert isinstance(raised.value.__cause__, psycopg.errors.ConfigurationLimitExceeded)
    assert "a limit of its configuration is reached" in raised.value.why


def test_a_statement_that_takes_too_long_is_not_an_outage(database: PostgresOptions) -> None:
    session = Session(database, "tests")
    with pytest.raises(StatementCancelled, match="did not finish a statement") as raised, session.use() as connection:
        connection.execute("set statement_timeout = '20ms'; select pg_sleep(60)")
    session.close()
    assert "unreachable" not in str(raised.value)
    assert "--timeout" in raised.value.hint


class Limited(PostgresServer):
    """A PostgreSQL whose files may have 20 MB, just above what its log needs."""

    def _prepare(self) -> Sequence[str]:
        return ["prlimit", f"--fsize={20 << 20}", "--", *super()._prepare()]


@pytest.mark.skipif(not shutil.which("prlimit"), reason="no prlimit here")
def test_a_quota_is_a_full_disk() -> None:
    with Limited(durable=False) as server:
        session = Session(PostgresOptions(url=server.url), "tests")
        with session.use() as connection:
            connection.execute("create table filler (pad text)")
        with pytest.raises(BackendUnavailable) as raised, session.use() as connection:
            connection.execute("insert into filler select repeat('x', 1000) from generate_series(1, 30000)")
        session.close()
    assert "is full" in raised.value.why
