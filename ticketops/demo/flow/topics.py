"""Topics as the players see them: read by a group, and how far groups have come."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from ticketops.config import Config
from ticketops.errors import BackendError

_ANSWER: Final = 10.0
_WAIT: Final = 0.1
_RECORDS: Final = 500


class GroupReader:
    """One member of a consumer group."""

    def __init__(self, config: Config, topic: str, group: str) -> None:
        self._consumer = Consumer(_settings(config, group))
        self._consumer.subscribe([topic])

    def take(self) -> list[Message]:
        """What has come, after a short wait."""
        first = self._consumer.poll(_WAIT)
        found = [] if first is None else [first, *self._consumer.consume(_RECORDS, 0)]
        for message in found:
            if error := message.error():
                raise KafkaException(error)
        return found

    def done(self) -> None:
        """What was taken has had its effect."""
        self._consumer.commit(asynchronous=False)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def start_at_end(config: Config, groups: Sequence[tuple[str, str]]) -> None:
    """Let groups, each given with its topic, begin after what is there now; they must have no members."""
    with ThreadPoolExecutor(len(groups)) as threads:
        list(threads.map(lambda place: _start_at_end(config, *place), groups))


def _start_at_end(config: Config, topic: str, group: str) -> None:
    with _opened(config, group) as consumer:
        ends = [TopicPartition(topic, number, end) for number, end in _ends(consumer, topic).items()]
        consumer.commit(offsets=ends, asynchronous=False)


def lag(config: Config, topic: str, group: str) -> int:
    """Records that are in a topic and that the group has not finished."""
    with _opened(config, group) as consumer:
        ends = _ends(consumer, topic)
        found = consumer.committed([TopicPartition(topic, number) for number in ends], timeout=_ANSWER)
        return sum(ends[place.partition] - max(0, place.offset) for place in found)


def shares(config: Config, topic: str, group: str) -> tuple[int, list[int]]:
    """Partitions of a topic that no member of the group has, and how many each member has."""
    settings: dict[str, Any] = {"bootstrap.servers": config.kafka.bootstrap_servers, "log_level": 0}
    admin = AdminClient(settings)
    try:
        partitions = len(admin.list_topics(topic, timeout=_ANSWER).topics[topic].partitions)
        members = admin.describe_consumer_groups([group])[group].result(_ANSWER).members
    except KafkaException as error:
        raise BackendError("the demo's group could not be looked at", why=str(error)) from error
    owned = [len(member.assignment.topic_partitions) if member.assignment else 0 for member in members]
    return partitions - sum(owned), owned


@contextmanager
def _opened(config: Config, group: str) -> Iterator[Consumer]:
    """A client that knows the group and does not join it."""
    consumer = Consumer(_settings(config, group))
    try:
        yield consumer
    except KafkaException as error:
        raise BackendError("the demo's topics could not be looked at", why=str(error)) from error
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    """The offset after the last record of every partition."""
    numbers = consumer.list_topics(topic, timeout=_ANSWER).topics[topic].partitions
    return {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER)[1] for number in numbers
    }


def _settings(config: Config, group: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": config.kafka.bootstrap_servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 20,
        "log_level": 0,
    }
