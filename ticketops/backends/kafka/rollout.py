"""What a roll-out's group left: how far it is behind the group that takes over, and its end."""

import logging
from collections.abc import Collection

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from ticketops.backends.kafka.errors import translated
from ticketops.backends.kafka.settings import Setting, client_settings
from ticketops.backends.kafka.starts import answered
from ticketops.errors import DeniedError
from ticketops.options import KafkaOptions

_LOG = logging.getLogger("ticketops.kafka")
_OURS = logging.getLogger("ticketops.rollout")
"""The other is librdkafka's, which is heard while looking for faults alone."""
_ANSWER = 5.0
"""Seconds to wait for an answer of a broker."""


class KafkaRollout:
    """Implements services.consumers.rollout.Rollout; connects for each question, for it is asked once."""

    def __init__(self, options: KafkaOptions, topics: Collection[str], *, group: str, own: str, client_id: str) -> None:
        """`own` is the roll-out's group, `group` the one that takes over."""
        self._settings: dict[str, Setting] = client_settings(options, client_id)
        self._topics = sorted(topics)
        self._group = group
        self._own = own

    def left(self) -> int | None:
        """See Rollout."""
        try:
            mine = self._committed(self._own)
            theirs = self._committed(self._group) if mine else {}
        except DeniedError:  # who may not see the roll-out's group has made none
            return None
        return sum(max(0, theirs.get(place, 0) - at) for place, at in mine.items()) if mine else None

    def end(self) -> None:
        """See Rollout."""
        admin = AdminClient(self._settings, logger=_LOG)  # no answer comes once it is let go of
        try:
            admin.delete_consumer_groups([self._own], request_timeout=_ANSWER)[self._own].result(_ANSWER + 1)
        except (KafkaException, TimeoutError) as error:
            _OURS.warning("the group %s of the roll-out stays, for it could not be deleted: %s", self._own, error)

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        looker = Consumer({**self._settings, "group.id": group, "enable.auto.commit": False}, logger=_LOG)
        try:
            with translated():
                found = looker.list_topics(timeout=_ANSWER).topics
                places = [
                    TopicPartition(t, number) for t in self._topics if t in found for number in found[t].partitions
                ]
                committed = answered(looker.committed(places, timeout=_ANSWER))
        finally:
            looker.close()
        return {(place.topic, place.partition): place.offset for place in committed if place.offset >= 0}
