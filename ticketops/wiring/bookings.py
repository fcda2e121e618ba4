"""Opens the booking worker."""

from typing import TYPE_CHECKING
from uuid import uuid4

from ticketops.errors import ConfigError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.booking_queue import BookingProcessor, BookingQueue
    from ticketops.ports.consumers import Pauses
    from ticketops.services.bookings.daemon import BookingDaemon
    from ticketops.services.bookings.metrics import BookingMetrics


def open_booking_worker(config: "Config", metrics: "BookingMetrics", *, drain: bool = False) -> "BookingDaemon":
    """The booking worker of one process, not started yet."""
    from ticketops.services.bookings.daemon import BookingDaemon, BookingParts  # noqa: PLC0415
    from ticketops.services.bookings.floor import Floor  # noqa: PLC0415
    from ticketops.services.bookings.observer import BookingObserver  # noqa: PLC0415
    from ticketops.services.circuits import SharedBreaker  # noqa: PLC0415
    from ticketops.services.consumers.daemon import breaker_policy  # noqa: PLC0415

    worker = config.worker
    process = str(uuid4())
    floor = Floor(
        SharedBreaker("the booking service", breaker_policy(worker)),
        percentage=worker.percentage,
        oldest=worker.bookings.order == "oldest",
        refresh=worker.bookings.poll_interval,
    )
    parts = BookingParts(
        queue=lambda: open_booking_queue(config, process),
        processor=open_processor(config),
        pauses=lambda: open_booking_pauses(config),
    )
    return BookingDaemon(parts, floor, worker, BookingObserver(metrics), drain=drain)


def open_booking_queue(config: "Config", process: str) -> "BookingQueue":
    """The booking worker's queue, for one thread; `process` tells the runs of one worker apart."""
    from ticketops.backends.redis.booking_queue import RedisBookingQueue  # noqa: PLC0415 - loads the driver

    own = config.worker.bookings
    return RedisBookingQueue(
        config.redis, own.prefix, name=config.worker.member, process=process, lease=own.lease_seconds
    )


def open_anonymous_queue(config: "Config", process: str) -> "BookingQueue":
    """The same for somebody who is no worker: no process of a worker's name is replaced."""
    from ticketops.backends.redis.booking_queue import RedisBookingQueue  # noqa: PLC0415 - loads the driver

    own = config.worker.bookings
    return RedisBookingQueue(config.redis, own.prefix, name="", process=process, lease=own.lease_seconds)


def open_booking_pauses(config: "Config") -> "Pauses":
    """The durable pauses of the booking worker, for one thread."""
    from ticketops.backends.redis.pauses import RedisPauses  # noqa: PLC0415 - loads the driver

    return RedisPauses(config.redis, config.worker.bookings.prefix)


def open_audited_pauses(config: "Config") -> "Pauses":
    """The same for an operator, whose changes stand in the audit log."""
    from ticketops.services.bookings.pausing import AuditedPauses  # noqa: PLC0415
    from ticketops.wiring.store import open_operation_store  # noqa: PLC0415

    return AuditedPauses(open_booking_pauses(config), lambda: open_operation_store(config))


def open_processor(config: "Config") -> "BookingProcessor":
    """What processes bookings; ConfigError where the configuration does not say it."""
    own = config.worker.bookings
    if own.processor == "python":
        from ticketops.backends.local.function import FunctionBookingProcessor  # noqa: PLC0415

        return FunctionBookingProcessor(own.function)
    from ticketops.backends.http.bookings import HttpBookingProcessor  # noqa: PLC0415 - loads the driver

    if not own.url:
        raise ConfigError("worker.bookings.url is empty", hint='name it, or set processor = "python" and function')
    return HttpBookingProcessor(own.url, own.headers, own.timeout)
