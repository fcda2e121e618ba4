"""Where each partition begins, of what was asked for."""

import logging
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from ticketops.backends.kafka.errors import BACKEND, translated
from ticketops.backends.kafka.settings import Setting
from ticketops.domain.start_at import StartAt, StartKind
from ticketops.errors import BackendError, BackendUnavailable

_LOG = logging.getLogger("ticketops.kafka")
_CONNECTING = ("bootstrap.servers", "security.", "sasl.", "ssl.", "client.id", "log_level")
_EARLIEST = frozenset({"earliest", "smallest", "beginning"})
_ANSWER = 5.0
"""Seconds to wait for an answer of a broker."""
_PATIENCE = 10.0
"""Seconds in which leaders may change."""
_AGAIN_EVERY = 0.1


def places_to_begin(
    consumer: Consumer, settings: Mapping[str, Setting], places: Sequence[TopicPartition], start: StartAt
) -> list[TopicPartition]:
    """As `places_at`, asked again for a while; no error of it is transient.

    Who went on after one would begin elsewhere than they were told to.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with translated():
                if start.after:
                    own = answered(consumer.committed(list(places), timeout=_ANSWER))
                    begun = after_group(settings, start.after, own)
                    return [place if place.offset >= 0 else _pinned(consumer, settings, place) for place in begun]
                return places_at(consumer, places, start)
        except BackendUnavailable as error:
            if time.monotonic() > deadline:
                hint = "start again, with --from"
                raise BackendError("where to begin cannot be asked", why=str(error), hint=hint) from error
        time.sleep(_AGAIN_EVERY)


def after_group(settings: Mapping[str, Setting], group: str, places: Sequence[TopicPartition]) -> list[TopicPartition]:
    """The places; those without an offset at the one that the group has committed, if it has."""
    unknown = [TopicPartition(place.topic, place.partition) for place in places if place.offset < 0]
    if not unknown:
        return list(places)
    looker = Consumer({**_connecting(settings), "group.id": group}, logger=_LOG)
    try:
        theirs = answered(looker.committed(unknown, timeout=_ANSWER))
    finally:
        looker.close()
    return [place for place in places if place.offset >= 0] + theirs


def _pinned(consumer: Consumer, settings: Mapping[str, Setting], place: TopicPartition) -> TopicPartition:
    """Where the driver would begin, as an offset to commit: the next start must not take the others' later one."""
    low, high = _bounds(consumer, place)
    return _at(place, low if settings["auto.offset.reset"] in _EARLIEST else high)


def answered(places: list[TopicPartition]) -> list[TopicPartition]:
    """The places, once none of them is an error."""
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)
    return places


def _connecting(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    return {name: value for name, value in settings.items() if name.startswith(_CONNECTING)}


def places_at(consumer: Consumer, places: Sequence[TopicPartition], start: StartAt) -> list[TopicPartition]:
    """The partitions with the offset that each begins at."""
    match start.kind:
        case StartKind.BEGINNING:
            offset = OFFSET_BEGINNING
        case StartKind.END:
            return [_at(place, _end(consumer, place)) for place in places]
        case StartKind.OFFSET:
            offset = start.value
        case StartKind.TIME:
            asked = [TopicPartition(place.topic, place.partition, start.value) for place in places]
            found = consumer.offsets_for_times(asked, timeout=_ANSWER)
            return [place if place.offset >= 0 else _at(place, _end(consumer, place)) for place in found]
        case _:
            offset = OFFSET_INVALID
    return [_at(place, offset) for place in places]


def _end(consumer: Consumer, place: TopicPartition) -> int:
    return _bounds(consumer, place)[1]


def _bounds(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    found = consumer.get_watermark_offsets(place, timeout=_ANSWER)
    if found is None:
        raise BackendUnavailable(BACKEND, why=f"no answer about the ends of {place.topic}/{place.partition}")
    return int(found[0]), int(found[1])


def _at(place: TopicPartition, offset: int) -> TopicPartition:
    return TopicPartition(place.topic, place.partition, offset)
