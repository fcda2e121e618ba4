"""The snapshot of everything, put together from what is configured."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ticketops.config.redact import redact
from ticketops.wiring.deadletters import open_letter_probe
from ticketops.wiring.figures import Queues, open_postgres_figures, open_queues, open_redis_figures
from ticketops.wiring.lag import open_lag_watch, open_ring
from ticketops.wiring.sessions import Sessions

if TYPE_CHECKING:
    from ticketops.backends.kafka.figures import KafkaFigures
    from ticketops.config import Config
    from ticketops.domain.overview.snapshot import AlertFigures, StateFigures
    from ticketops.ports.alerts import AlertStore
    from ticketops.ports.states import StateView
    from ticketops.services.overview.collector import Part
    from ticketops.services.overview.status import Overview


def open_overview(
    config: "Config",
    *,
    timeout: float,
    remember: bool,
    every: float = 0.0,
    counters: bool = False,
    secrets: Collection[str] = (),
) -> "Overview":
    """What every front asks; `timeout` in seconds for every part, `remember` in a local file.

    `every`: seconds after which a part is asked again; `counters`: with what only grows, which no line is made of.
    `secrets`: what errors must not hold, besides what looks like a secret.
    """
    from ticketops.services.overview.collector import Collector  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.overview.status import Overview  # noqa: PLC0415

    parts = (*_parts(config, remember=remember), *(_counters(config) if counters else ()))
    collector = Collector(
        parts,
        context=config.context,
        timeout=timeout,
        now=lambda: datetime.now(UTC),
        every=every,
        hide=partial(redact, secrets=secrets),
    )
    return Overview(collector, config.status, open_ring(config) if remember else None)


def _parts(config: "Config", *, remember: bool) -> "Iterator[Part]":
    sessions = Sessions(config)
    queues = open_queues(config, sessions)
    yield from _postgres(config, sessions)
    yield queues.outbox
    yield queues.relay
    yield from _kafka(config, queues, remember=remember)
    yield from _redis(config, queues)
    yield from _dead_letters(config, sessions)
    yield from _states(config)
    yield from _emails(config)
    yield from _alerts(config)


def _counters(config: "Config") -> "Iterator[Part]":
    from ticketops.services.overview.parts import Question  # noqa: PLC0415
    from ticketops.wiring.store import open_operation_store  # noqa: PLC0415

    yield Question(("requeued",), lambda _: open_operation_store(config), lambda asked, _: asked.requeued())


def _postgres(config: "Config", sessions: Sessions) -> "Iterator[Part]":
    from ticketops.services.overview.parts import Question, timed  # noqa: PLC0415

    own = partial(open_postgres_figures, config, sessions, "own")
    yield Question(("backends", "postgres"), own, timed(lambda asked, _: asked.backend()))
    saga = partial(open_postgres_figures, config, sessions, "compensations")
    yield Question(("compensations",), saga, lambda asked, _: asked.compensations())


def _kafka(config: "Config", queues: Queues, *, remember: bool) -> "Iterator[Part]":
    from ticketops.services.overview.parts import Question, timed  # noqa: PLC0415

    def figures(_: float) -> "KafkaFigures":
        from ticketops.backends.kafka.figures import KafkaFigures  # noqa: PLC0415 - loads the driver

        return KafkaFigures(config.kafka)

    yield Question(("backends", "kafka"), figures, timed(lambda asked, timeout: asked.backend(timeout)))
    watch = partial(open_lag_watch, config, recall=remember, queues=queues)
    yield Question(("lag",), lambda _: watch(), lambda asked, timeout: asked.observe(timeout))


def _redis(config: "Config", queues: Queues) -> "Iterator[Part]":
    from ticketops.domain.overview.snapshot import redis_queues  # noqa: PLC0415
    from ticketops.services.overview.parts import Drawn, Question, timed  # noqa: PLC0415

    figures = partial(open_redis_figures, config)
    yield Question(("backends", "redis"), figures, timed(lambda asked, _: asked.backend()))
    yield Drawn(("queues",), queues.shows, redis_queues)


def _dead_letters(config: "Config", sessions: Sessions) -> "Iterator[Part]":
    from ticketops.services.overview.parts import Question  # noqa: PLC0415

    for name in config.dlq.queues:
        opened = partial(open_letter_probe, config, sessions, name)
        yield Question(("dead_letters", name), opened, lambda asked, _: asked.figures())


def _states(config: "Config") -> "Iterator[Part]":
    from ticketops.domain.bookings import BOOKING  # noqa: PLC0415
    from ticketops.services.overview import states  # noqa: PLC0415
    from ticketops.services.overview.parts import Question  # noqa: PLC0415
    from ticketops.wiring.transitions import Configured, machine_named, open_state_view  # noqa: PLC0415

    def opened(name: str, timeout: float) -> "StateView":
        return open_state_view(config, name, timeout=timeout)

    def asking(found: Configured) -> "Callable[[StateView, float], StateFigures]":
        return lambda view, _: states.figures(view, found.machine, found.limits)

    for name in (BOOKING.name, *config.machines):
        yield Question(("states", name), partial(opened, name), asking(machine_named(config, name)))


def _emails(config: "Config") -> "Iterator[Part]":
    from ticketops.services.overview.emails import EmailProbe  # noqa: PLC0415
    from ticketops.services.overview.parts import Question  # noqa: PLC0415

    def probe(timeout: float) -> EmailProbe:
        from ticketops.backends.postgres.email_figures import PostgresEmailFigures  # noqa: PLC0415 - loads the driver

        return EmailProbe(
            PostgresEmailFigures(config.postgres, config.worker.emails, timeout), open_redis_figures(config, timeout)
        )

    yield Question(("emails",), probe, lambda asked, _: asked.figures())


def _alerts(config: "Config") -> "Iterator[Part]":
    """Alerts are a part where somebody is to be told of them."""
    from ticketops.services.overview.parts import Question  # noqa: PLC0415
    from ticketops.wiring.alerts import open_alert_store  # noqa: PLC0415

    def figures(asked: "AlertStore", _: float) -> "AlertFigures":
        return replace(asked.figures(), interval=config.alerts.interval)

    if config.alerts.targets:
        yield Question(("alerts",), lambda _: open_alert_store(config), figures)
