"""Valkey servers in company: a Cluster, a master with a replica, and Sentinels that watch them."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from support.waiting import eventually
from ticketops.embedded.engine import free_port
from ticketops.embedded.valkey import ValkeyServer
from ticketops.options import RedisOptions

SLOTS = 16_384
MakeValkey = Callable[..., ValkeyServer]


def password_of(server: ValkeyServer) -> str:
    return urlsplit(server.url).password or ""


def client_of(server: ValkeyServer) -> "Redis":
    return Redis.from_url(server.url, socket_timeout=10)


def _server(settings: Mapping[str, str], password: str) -> ValkeyServer:
    """One not started yet; those of a company have one password."""
    server = ValkeyServer(settings=settings)
    server._password = password or server._password
    return server


@pytest.fixture
def make_valkey() -> Iterator[MakeValkey]:
    """Start Valkey servers of the test's own: `make_valkey(settings={...})`."""
    with ExitStack() as stack:

        def make(settings: Mapping[str, str] | None = None, password: str = "") -> ValkeyServer:
            return stack.enter_context(_server(settings or {}, password))

        yield make


@pytest.fixture
def own_valkey(make_valkey: MakeValkey) -> ValkeyServer:
    """A Valkey server that the test may kill, fill and restart."""
    return make_valkey()


def replica_of(make: MakeValkey, master: ValkeyServer, **settings: str) -> ValkeyServer:
    """A replica that has caught up."""
    password = password_of(master)
    replica = make({"replicaof": f"127.0.0.1 {master.port}", "masterauth": password, **settings}, password)
    with Redis(port=replica.port, password=password) as client:
        eventually(lambda: client.info("replication")["master_link_status"] == "up", 20)
    return replica


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisOptions]:
    """Three masters that share the slots."""
    with ExitStack() as stack:
        buses = [str(free_port()) for _ in range(3)]
        settings = {"cluster-enabled": "yes", "cluster-node-timeout": "5000"}
        nodes = [stack.enter_context(_server({**settings, "cluster-port": bus}, "cluster-secret")) for bus in buses]
        clients = [stack.enter_context(Redis(port=node.port, password="cluster-secret")) for node in nodes]  # noqa: S106 - a test's own
        for number, client in enumerate(clients):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[number].port, buses[number])
        for client in clients:
            eventually(lambda client=client: _is_whole(client), 30)  # type: ignore[misc]
        yield RedisOptions(url=f"redis://:cluster-secret@127.0.0.1:{nodes[0].port}", cluster=True)


def _is_whole(client: "Redis") -> bool:
    info: Any = client.execute_command("CLUSTER", "INFO")
    text = info.decode() if isinstance(info, bytes) else str(info)
    return ("cluster_state:ok" in text or "'cluster_state': 'ok'" in text) and (
        "cluster_known_nodes:3" in text or "'cluster_known_nodes': '3'" in text
    )


def client_for(options: RedisOptions) -> Any:
    """A plain client, for the test's own look at the keys."""
    return RedisCluster.from_url(options.url) if options.cluster else Redis.from_url(options.url)


class Sentinels:
    """Processes that watch one master and agree on its successor."""

    def __init__(self, folder: Path, master: ValkeyServer, program: str, count: int = 3) -> None:
        self.ports = [free_port() for _ in range(count)]
        self._processes: list[subprocess.Popen[bytes]] = []
        for port in self.ports:
            home = folder / f"sentinel-{port}"
            home.mkdir(mode=0o700)
            (home / "sentinel.conf").write_text(
                f"port {port}\nbind 127.0.0.1\ndir {home}\n"
                f"sentinel monitor tickets 127.0.0.1 {master.port} {count // 2 + 1}\n"
                f"sentinel auth-pass tickets {password_of(master)}\n"
                "sentinel down-after-milliseconds tickets 500\n"
                "sentinel failover-timeout tickets 3000\n"
            )
            with (home / "log").open("wb") as log:
                self._processes.append(
                    subprocess.Popen([program, str(home / "sentinel.conf"), "--sentinel"], stdout=log, stderr=log)
                )

    def master_port(self) -> int:
        """Who they say is the master; 0 while nobody answers."""
        for port in self.ports:
            try:
                with Redis(port=port, socket_timeout=2) as client:
                    found: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tickets")
                    return int(found[1]) if found else 0
            except RedisError:
                continue
        return 0

    def agree(self) -> bool:
        """Whether all know each other and a replica."""
        try:
            for port in self.ports:
                with Redis(port=port, socket_timeout=2) as client:
                    state: Any = client.sentinel_master("tickets")
                    if state["num-other-sentinels"] < len(self.ports) - 1 or state["num-slaves"] < 1:
                        return False
        except RedisError:
            return False
        return True

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)
