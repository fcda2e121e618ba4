"""The samples of the last while, by consumer; in memory, and as bytes for a single command's next run."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ticketops.domain.lag.looks import Consumer
from ticketops.domain.lag.samples import Sample
from ticketops.errors import BackendError

_MOST: Final = 240
"""Samples kept of one consumer."""


class Windows:
    """Windows of samples; bounded by age and by number."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep
        self._samples: dict[Consumer, deque[Sample]] = {}

    def add(self, samples: Iterable[tuple[Consumer, Sample]]) -> None:
        """Add a look's samples, and forget what is too old; a consumer without samples is forgotten too."""
        for consumer, sample in samples:
            self._samples.setdefault(consumer, deque(maxlen=_MOST)).append(sample)

    def forget(self, now: datetime) -> None:
        """Drop what is older than the window."""
        oldest = now - self._keep
        for consumer, window in list(self._samples.items()):
            while window and window[0].at < oldest:
                window.popleft()
            if not window:
                del self._samples[consumer]

    def put(self, consumer: Consumer, samples: Iterable[Sample]) -> None:
        """Have these samples instead of those that were there; none: forget the consumer."""
        self._samples[consumer] = deque(samples, maxlen=_MOST)
        if not self._samples[consumer]:
            del self._samples[consumer]

    def of(self, consumer: Consumer) -> Sequence[Sample]:
        """One consumer's samples, oldest first."""
        return tuple(self._samples.get(consumer, ()))

    @property
    def consumers(self) -> Iterator[Consumer]:
        """Everyone with samples."""
        return iter(tuple(self._samples))


def pack(samples: Mapping[Consumer, Sample]) -> bytes:
    """One look's samples as bytes."""
    return msgspec.msgpack.encode([(tuple(consumer), sample) for consumer, sample in samples.items()])


def unpack(body: bytes) -> list[tuple[Consumer, Sample]]:
    """What `pack` packed; BackendError where an older or newer TicketOps wrote it otherwise."""
    try:
        return msgspec.msgpack.decode(body, type=list[tuple[Consumer, Sample]])
    except msgspec.DecodeError as error:
        raise BackendError("an earlier look cannot be read", why=str(error)) from error
