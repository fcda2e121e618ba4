"""Partitions that no member of a group has, though the group is at rest.

A static member that dies between the two steps of a cooperative rebalance, and is back before its session ends, is
given what the first step left it, without another rebalance. What it was to give up then has no owner, and the second
step, which would give it one, never comes.
"""

from collections.abc import Collection
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from ticketops.backends.kafka.settings import Setting
from ticketops.domain.consuming import Partition

_FIRST: Final = 5.0
"""Seconds after the first assignment."""
_SETTLED: Final = 15.0
"""Seconds for which partitions must have had no owner: others may give up theirs slowly."""
_ANSWER: Final = 1.0
_ADMIN: Final = ("bootstrap.servers", "security.", "sasl.", "ssl.", "client.id", "log_level")


class OrphanWatch:
    """Looks once after a member has come (back), never waiting; one instance serves one thread."""

    def __init__(self, settings: dict[str, Setting], topics: Collection[str]) -> None:
        """`settings` are the consumer's."""
        self._settings = {name: value for name, value in settings.items() if name.startswith(_ADMIN)}
        self._group = str(settings["group.id"])
        self._topics = frozenset(topics)
        self._admin: AdminClient | None = None
        self._answer: Future[Any] | None = None
        self._due: float | None = None
        self._seen: frozenset[Partition] = frozenset()

    def begin(self, now: float) -> None:
        """The member got its partitions; only the first time counts."""
        if self._admin is None:
            self._admin = AdminClient(self._settings)
            self._due = now + _FIRST

    def look(self, now: float) -> frozenset[Partition]:
        """Partitions that have had no owner for a while; `now` is a monotonic clock."""
        if self._admin is None or self._due is None:
            return frozenset()
        if self._answer is None and now >= self._due:
            self._answer = self._admin.describe_consumer_groups([self._group])[self._group]
        if self._answer is None or not self._answer.done():
            return frozenset()
        answer, self._answer = self._answer, None
        return self._judged(self._orphans(self._admin, answer), now)

    def _judged(self, found: frozenset[Partition] | None, now: float) -> frozenset[Partition]:
        if found is None:  # not at rest, or silent
            self._due = now + _FIRST
            return frozenset()
        both = found & self._seen
        self._seen, self._due = found, now + _SETTLED if found and not both else None
        return both

    def _orphans(self, admin: AdminClient, answer: Future[Any]) -> frozenset[Partition] | None:
        try:
            group, known = answer.result(0.0), admin.list_topics(timeout=_ANSWER).topics
        except KafkaException:
            return None
        if group.state != ConsumerGroupState.STABLE:
            return None
        owned = {
            Partition(place.topic, place.partition)
            for member in group.members
            for place in (member.assignment.topic_partitions if member.assignment else ())
        }
        ours = {Partition(name, number) for name in self._topics & known.keys() for number in known[name].partitions}
        return frozenset(ours - owned)
