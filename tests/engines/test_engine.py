import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from support.engines import MakePostgres
from support.waiting import eventually
from ticketops.embedded import engine, folders
from ticketops.embedded.engine import read_state
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer
from ticketops.embedded.valkey import ValkeyServer
from ticketops.errors import BackendError, RefusedError


def ask(server: PostgresServer, statement: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    return row and row[0]


def runs(pid: int | str) -> bool:
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_postgres_keeps_data_and_port_across_kill_and_restart(own_postgres: PostgresServer) -> None:
    port = own_postgres.port
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("create table kept as select 1 as answer")
    backends = own_postgres.pids

    own_postgres.kill()
    assert not any(map(runs, backends))
    own_postgres.start()
    assert ask(own_postgres, "select answer from kept") == 1
    own_postgres.restart()

    assert own_postgres.port == port
    assert ask(own_postgres, "select answer from kept") == 1


def test_suspended_postgres_is_silent_until_resumed(own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        own_postgres.suspend()
        eventually(lambda: _statuses(own_postgres.pids) == {psutil.STATUS_STOPPED})
        own_postgres.resume()

        assert connection.execute("select 1").fetchone() == (1,)


def _statuses(pids: list[int]) -> set[str]:
    return {psutil.Process(pid).status() for pid in pids}


def test_two_servers_side_by_side_with_settings_of_their_own(make_postgres: MakePostgres) -> None:
    first = make_postgres(settings={"wal_level": "logical"})
    second = make_postgres(trust=True, durable=True)

    assert ask(first, "show wal_level") == "logical"
    assert ask(second, "show fsync") == "on"
    assert "@127.0.0.1" in second.url
    assert second.url.count(":") == 2


def test_a_password_is_asked_for(own_postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{own_postgres.port}/postgres")


def test_a_server_that_cannot_start_says_why(make_postgres: MakePostgres) -> None:
    with pytest.raises(BackendError, match=r"PostgreSQL did not start.*wal_level"):
        make_postgres(settings={"wal_level": "nonsense"})


def test_valkey_keeps_data_across_kill_and_restart() -> None:
    with ValkeyServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.kill()
        server.start()
        assert client.get("key") == b"value"
        server.restart()
        assert client.get("key") == b"value"


def test_a_folder_has_one_engine_at_a_time(tmp_path: Path) -> None:
    with ValkeyServer(home=tmp_path), pytest.raises(RefusedError):
        ValkeyServer(home=tmp_path).start()


def _in_sync(admin: AdminClient, topic: str) -> list[int]:
    """The replicas in sync of the topic's one partition; none while the client still asks the dead broker."""
    try:
        return list(admin.list_topics(timeout=5).topics[topic].partitions[0].isrs)
    except KafkaException:
        return []


def test_kafka_with_a_second_broker_that_is_killed(own_kafka: KafkaServer) -> None:
    second = own_kafka.add_broker(properties={"broker.session.timeout.ms": "2000"})
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers})
    admin.create_topics([NewTopic("copied", num_partitions=1, replication_factor=2)])["copied"].result(30)

    second.kill()

    eventually(lambda: _in_sync(admin, "copied") == [1], 60)


OWNER = """
import sys
from ticketops.embedded.postgres import PostgresServer
from ticketops.embedded.valkey import ValkeyServer
engines = [PostgresServer(durable=False).start(), ValkeyServer().start()]
for engine in engines:
    print(engine.home, *engine.pids, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary engines that other tests, which end stale ones too, do not look into."""
    place = folders.temporary_folder("engine-test")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def owner(place: Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"TMPDIR": str(place)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.kill()


def test_nothing_is_left_when_the_owner_is_killed(owner: subprocess.Popen[str]) -> None:
    assert owner.stdout
    told = [owner.stdout.readline().split() for _ in range(2)]
    assert all(runs(pid) for _, *pids in told for pid in pids)

    owner.kill()

    eventually(lambda: not any(runs(pid) for _, *pids in told for pid in pids))
    eventually(lambda: not any(Path(home).exists() for home, *_ in told))


def test_what_survived_its_guard_is_ended_at_the_next_start(owner: subprocess.Popen[str]) -> None:
    assert owner.stdout
    home, pid, *_ = owner.stdout.readline().split()
    guard = psutil.Process(int(pid)).ppid()
    os.kill(guard, signal.SIGKILL)
    eventually(lambda: not runs(guard))
    owner.kill()
    owner.wait()
    state = read_state(Path(home))
    assert state
    assert state.is_stale

    engine.end_stale_engines()

    assert not runs(pid)
    assert not Path(home).exists()


def test_temporary_data_is_removed() -> None:
    with ValkeyServer() as server:
        home = server.home
        assert home.parent == folders.temporary_base()

    assert not home.exists()
