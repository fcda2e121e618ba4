"""Opens the parts of the state machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ticketops.config.problems import did_you_mean
from ticketops.domain.bookings import BOOKING
from ticketops.domain.machine import Machine
from ticketops.errors import NotFoundError
from ticketops.options import Places
from ticketops.wiring import actor, bounded, identity, open_shard_leases

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.states import Clues, StateView
    from ticketops.ports.transitions import TransitionStore
    from ticketops.services.payments import PaymentDesk
    from ticketops.services.transitions.desk import StateDesk
    from ticketops.services.transitions.expiry import Author, Expiry
    from ticketops.services.transitions.flow import BookingFlow
    from ticketops.services.transitions.maintenance import StateMaintenance
    from ticketops.services.transitions.metrics import TransitionMetrics
    from ticketops.services.transitions.stuck import StuckFinder
    from ticketops.services.transitions.verifying import Verifier

_PAYMENT_EVENTS: Final = "PAYMENT_"


@dataclass(frozen=True, slots=True)
class Configured:
    """One machine, and where its rows are."""

    machine: Machine
    places: Places
    limits: Mapping[str, float]
    """Seconds that a state may last."""


def machine_named(config: "Config", name: str = BOOKING.name) -> Configured:
    """The built-in machine of bookings, or one of the configuration; NotFoundError."""
    if name == BOOKING.name:
        return Configured(BOOKING, config.state.places, config.state.limits)
    options = config.machines.get(name)
    if options is None:
        known = (BOOKING.name, *config.machines)
        raise NotFoundError(
            f"there is no machine {name}",
            why="[machines] does not name it",
            hint=did_you_mean(name, known) or f"there are {', '.join(known)}",
        )
    return Configured(options.machine(name), options.places, options.limits)


def open_transitions(
    config: "Config", name: str = BOOKING.name, *, application: str = "ticketops transitions"
) -> "TransitionStore":
    """The subjects of a machine, for one thread."""
    from ticketops.backends.postgres.transitions import PostgresTransitions  # noqa: PLC0415 - loads the driver

    found = machine_named(config, name)
    return PostgresTransitions(found.machine, config.postgres, found.places, config.outbox, application=application)


def open_state_view(config: "Config", name: str = BOOKING.name, *, timeout: float | None = None) -> "StateView":
    """An operator's view of a machine, for one thread; `timeout` in seconds bounds each read, where given."""
    from ticketops.backends.postgres.states import PostgresStateView  # noqa: PLC0415 - loads the driver

    found = machine_named(config, name)
    return PostgresStateView(found.machine, bounded(config, timeout), found.places)


def open_state_desk(config: "Config", name: str = BOOKING.name, *, timeout: float | None = None) -> "StateDesk":
    """An operator at a machine."""
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.services.transitions.desk import StateDesk  # noqa: PLC0415

    store = open_transitions(config, name, application="ticketops state")
    view = open_state_view(config, name, timeout=timeout)
    return StateDesk(store, view, Access(config.context, config.read_only), actor())


def open_stuck_finder(config: "Config", name: str = BOOKING.name, *, timeout: float) -> "StuckFinder":
    """Looks for what is stuck, and in outbox, dead-letter queues and consumer groups for why."""
    from ticketops.services.transitions.stuck import StuckFinder  # noqa: PLC0415

    found = machine_named(config, name)
    places = dict(_clues(config, found.machine, timeout))
    return StuckFinder(found.machine, open_state_view(config, name, timeout=timeout), found.limits, places)


def _clues(config: "Config", machine: Machine, timeout: float) -> "Mapping[str, Clues]":
    from ticketops.backends.postgres.state_clues import OutboxClues  # noqa: PLC0415 - loads the driver
    from ticketops.services.transitions.clues import DeadLetterClues  # noqa: PLC0415
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415

    places: dict[str, Clues] = {
        "outbox": OutboxClues(bounded(config, timeout), config.outbox, config.relay.shards, machine.aggregate_type)
    }
    for queue in config.dlq.queues:
        places[f"dead letters of {queue}"] = DeadLetterClues(partial(open_queue, config, queue, timeout=timeout))
    if machine.name == BOOKING.name:
        places["consumer group"] = _consumer(config, machine, timeout)
    return places


def _consumer(config: "Config", machine: Machine, timeout: float) -> "Clues":
    from ticketops.services.transitions.clues import ConsumerClues  # noqa: PLC0415
    from ticketops.wiring.lag import open_group_watch  # noqa: PLC0415

    group = config.worker.payments.group
    watch = open_group_watch(config)
    return ConsumerClues(
        machine,
        lambda: watch.observe(timeout, only=group),
        group=group,
        events=_PAYMENT_EVENTS,
        close=watch.close,
    )


def open_verifier(config: "Config", name: str, *, grace: float, timeout: float | None = None) -> "Verifier":
    """Every history of a machine against its table."""
    from ticketops.services.transitions.verifying import Verifier  # noqa: PLC0415

    view = open_state_view(config, name, timeout=timeout)
    return Verifier(machine_named(config, name).machine, view, history_days=config.state.history_days, grace=grace)


def open_expiry(config: "Config", name: str, author: "Author") -> "Expiry":
    """Moves what is past its time."""
    from ticketops.services.transitions.expiry import Expiry  # noqa: PLC0415

    store = open_transitions(config, name, application="ticketops state expire")
    return Expiry(store, open_state_view(config, name), author)


def open_state_maintenance(
    config: "Config", name: str, metrics: "TransitionMetrics", stopping: "Callable[[], bool]"
) -> "StateMaintenance":
    """One candidate for the leader that expires and drops what is old."""
    from ticketops.services.transitions.expiry import Author, Expiry  # noqa: PLC0415
    from ticketops.services.transitions.maintenance import Kept, StateMaintenance  # noqa: PLC0415

    store = open_transitions(config, name, application="ticketops state maintenance")
    view = open_state_view(config, name)
    expiry = Expiry(store, view, Author(name="expiry"), metrics) if config.state.expire else None
    kept = Kept(store, view, expiry)
    return StateMaintenance(kept, open_shard_leases(config), identity(config), config.state, metrics, stopping=stopping)


def open_payment_desk(config: "Config") -> "PaymentDesk":
    """Writes payment events by hand."""
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.services.payments import PaymentDesk  # noqa: PLC0415

    store = open_transitions(config, application="ticketops payments")
    return PaymentDesk(store, Access(config.context, config.read_only), actor())


def open_booking_flow(config: "Config") -> "BookingFlow":
    """Creates bookings and brings them as far as the payment."""
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.services.transitions.flow import BookingFlow  # noqa: PLC0415

    return BookingFlow(open_transitions(config), Access(config.context, config.read_only))
