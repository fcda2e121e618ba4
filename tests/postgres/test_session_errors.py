import psycopg
import pytest

from ticketops.backends.postgres.session import Session
from ticketops.errors import BackendUnavailable
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
