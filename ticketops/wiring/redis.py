"""The booking worker's Redis."""

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.options import QueueOptions, RedisOptions
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance


def open_redis_dead_letters(
    config: "Config", name: str, options: "QueueOptions", *, timeout: float | None = None
) -> "DeadLetterQueue":
    """The booking worker's dead letters, for one thread; `timeout` in seconds bounds each call, where given."""
    from ticketops.backends.redis.deadletters import RedisDeadLetterQueue  # noqa: PLC0415 - loads the driver

    return RedisDeadLetterQueue(_bounded(config, timeout), name, options.prefix)


def glance_at_redis(config: "Config", options: "QueueOptions", *, timeout: float) -> "QueueGlance":
    """Whether there are such; `timeout` as above."""
    from ticketops.backends.redis.dead_glance import RedisGlance  # noqa: PLC0415 - loads the driver

    return RedisGlance(_bounded(config, timeout), options.prefix)


def _bounded(config: "Config", timeout: float | None) -> "RedisOptions":
    redis = config.redis
    if timeout is None:
        return redis
    return replace(
        redis,
        connect_timeout=min(timeout, redis.connect_timeout),
        answer_timeout=min(timeout, redis.answer_timeout),
    )
