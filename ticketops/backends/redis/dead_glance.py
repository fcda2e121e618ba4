"""Whether the booking worker has dead letters."""

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.options import RedisOptions


class RedisGlance:
    """Implements ports.QueueGlance; one instance serves one thread."""

    def __init__(self, options: RedisOptions, prefix: str = "") -> None:
        self._session = Session(options)
        self._keys = Keys(options.queue, prefix)

    def empty(self) -> bool:
        """See ports.QueueGlance."""
        with self._session.use() as client:
            return not client.zcard(self._keys.items)

    def close(self) -> None:
        """See ports.QueueGlance."""
        self._session.close()
