"""Where each partition begins, of what was asked for."""

import time
from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, TopicPartition

from ticketops.backends.kafka.errors import BACKEND, translated
from ticketops.domain.start_at import StartAt, StartKind
from ticketops.errors import BackendError, BackendUnavailable

_ANSWER = 5.0
"""Seconds to wait for an answer of a broker."""
_PATIENCE = 10.0
"""Seconds in which leaders may change."""
_AGAIN_EVERY = 0.1


def places_to_begin(consumer: Consumer, places: Sequence[TopicPartition], start: StartAt) -> list[TopicPartition]:
    """As `places_at`, asked again for a while; no error of it is transient.

    Who went on after one would begin elsewhere than they were told to.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with translated():
                return places_at(consumer, places, start)
        except BackendUnavailable as error:
            if time.monotonic() > deadline:
                hint = "start again, with --from"
                raise BackendError("where to begin cannot be asked", why=str(error), hint=hint) from error
        time.sleep(_AGAIN_EVERY)


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
    found = consumer.get_watermark_offsets(place, timeout=_ANSWER)
    if found is None:
        raise BackendUnavailable(BACKEND, why=f"no answer about the end of {place.topic}/{place.partition}")
    return int(found[1])


def _at(place: TopicPartition, offset: int) -> TopicPartition:
    return TopicPartition(place.topic, place.partition, offset)
