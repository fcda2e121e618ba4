"""`ticketops tui`: the dashboard."""

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import invocation
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.tui.letter_changes import Means
    from ticketops.tui.sources import Sources, Verbs


class Theme(StrEnum):
    """Colors of the screen."""

    DARK = "dark"
    LIGHT = "light"


def command(
    ctx: typer.Context,
    *,
    every: Annotated[
        float, typer.Option("--every", min=1.0, metavar="SECONDS", help="Time after which a source is asked again.")
    ] = 5.0,
    theme: Annotated[Theme, typer.Option("--theme", help="Colors; NO_COLOR in the environment: none.")] = Theme.DARK,
) -> None:
    """Look at everything on one screen, live: what is wrong, why, and what to run next.

    Read-only until `W`; a change shows its plan, and is made when the context and the count are typed.
    """
    inv = invocation(ctx)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal", hint="`ticketops status --watch 5` works in a pipe")
    from ticketops.tui.app import Dashboard  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.tui.feed import Feed  # noqa: PLC0415
    from ticketops.wiring.overview import open_overview  # noqa: PLC0415

    config = inv.config
    timeout = inv.seconds or config.status.timeout
    overview = open_overview(config, timeout=timeout, remember=True, every=every)
    dashboard = Dashboard(
        lambda told, failed: Feed(overview, told, failed),
        _sources(config, inv.timeout, ("--context", inv.context) if inv.context else ()),
        context=config.context,
        read_only=config.read_only,
        theme=theme,
        utf8=(sys.stdout.encoding or "").lower().startswith("utf"),
    )
    code = dashboard.run() or ExitCode.DONE
    for command_line in dashboard.left_over:
        inv.out.note(f"a change was cut off; to go on: {command_line}")
    sys.stdout.flush()
    os._exit(code)  # drivers that wait for a backend which hangs would keep the user waiting too


def _sources(config: "Config", timeout: float, tail: tuple[str, ...]) -> "Sources":
    """What screens read, each within `timeout` seconds; commands that are shown end with `tail`."""
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.tui.letter_changes import LetterChanges, Means  # noqa: PLC0415
    from ticketops.tui.sources import Letters, Sources  # noqa: PLC0415
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415
    from ticketops.wiring.store import open_desk, open_operation_store  # noqa: PLC0415
    from ticketops.wiring.trace import open_tracer  # noqa: PLC0415
    from ticketops.wiring.transitions import open_state_view, open_stuck_finder  # noqa: PLC0415

    quick = replace(config, postgres=wiring.bounded(config, timeout))
    now = partial(datetime.now, UTC)
    means = Means(
        desk=partial(open_desk, config),
        look=lambda name: open_queue(config, name, timeout=timeout),
        change=lambda name: open_queue(config, name),
        now=now,
        cap=config.dlq.requeue_cap,
        context=config.context,
        tail=tail,
    )
    return Sources(
        letters=Letters(means.look, now, LetterChanges(means)),
        outbox=lambda: wiring.open_outbox_admin(config, timeout=timeout),
        relays=lambda: wiring.open_shard_leases(config, timeout=timeout),
        states=lambda machine: open_state_view(config, machine, timeout=timeout),
        stuck=lambda machine: open_stuck_finder(config, machine, timeout=timeout),
        store=lambda: open_operation_store(quick),
        trace=lambda key: open_tracer(config).trace(key, timeout, lambda _: None),
        verbs=_verbs(config, means),
    )


def _verbs(config: "Config", means: "Means") -> "Verbs":
    """What plans changes to all but dead letters."""
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.tui.operation_changes import OperationChanges  # noqa: PLC0415
    from ticketops.tui.outbox_changes import OutboxChanges, OutboxMeans, PauseChanges  # noqa: PLC0415
    from ticketops.tui.sources import Verbs  # noqa: PLC0415
    from ticketops.tui.state_changes import StateChanges, StateMeans  # noqa: PLC0415
    from ticketops.wiring.transitions import open_expiry, open_state_desk  # noqa: PLC0415

    access, actor = Access(config.context, config.read_only), wiring.actor()
    outbox = OutboxMeans(
        admin=partial(wiring.open_outbox_admin, config),
        leases=partial(wiring.open_shard_leases, config),
        access=access,
        options=config.outbox,
        shards=config.relay.shards,
        actor=actor,
        tail=means.tail,
    )
    states = StateMeans(
        desk=partial(open_state_desk, config),
        expiry=partial(open_expiry, config),
        access=access,
        actor=actor,
        tail=means.tail,
    )
    return Verbs(
        operations=OperationChanges(means),
        outbox=OutboxChanges(outbox),
        pauses=PauseChanges(outbox),
        states=StateChanges(states),
    )
