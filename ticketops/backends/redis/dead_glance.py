"""Whether the booking worker has dead letters."""

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.holdings import Holding
from ticketops.options import RedisOptions


class RedisGlance:
    """Implements ports.QueueGlance; one instance serves one thread."""

    def __init__(self, options: RedisOptions, prefix: str = "") -> None:
        self._session = Session(options)
        self._keys = Keys(options.queue, prefix)

    def holding(self, most: int) -> Holding | None:  # noqa: ARG002 - letters have to be read to tell what they are
        """See ports.QueueGlance."""
        with self._session.use() as client:
            return None if client.zcard(self._keys.items) else Holding()

    def close(self) -> None:
        """See ports.QueueGlance."""
        self._session.close()
