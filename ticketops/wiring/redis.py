"""The booking worker's Redis."""

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.options import QueueOptions
    from ticketops.ports.deadletters import DeadLetterQueue


def open_redis_dead_letters(
    config: "Config", name: str, options: "QueueOptions", *, timeout: float | None = None
) -> "DeadLetterQueue":
    """The booking worker's dead letters, for one thread; `timeout` in seconds bounds each call, where given."""
    from ticketops.backends.redis.deadletters import RedisDeadLetterQueue  # noqa: PLC0415 - loads the driver

    redis = config.redis
    if timeout is not None:
        redis = replace(
            redis,
            connect_timeout=min(timeout, redis.connect_timeout),
            answer_timeout=min(timeout, redis.answer_timeout),
        )
    return RedisDeadLetterQueue(redis, name, options.prefix)
