"""`ticketops tui`: the dashboard."""

import os
import shlex
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ticketops.config import Config
    from ticketops.services.alerts.desk import AlertDesk
    from ticketops.services.guard import Access
    from ticketops.services.overview.status import Overview
    from ticketops.tui.letter_changes import Means
    from ticketops.tui.sources import Sources, Verbs


_HOST: Final = "127.0.0.1"
_PORT: Final = 8000


class Theme(StrEnum):
    """Colors of the screen."""

    DARK = "dark"
    LIGHT = "light"


def command(
    ctx: typer.Context,
    *,
    every: Annotated[
        float | None,
        typer.Option("--every", min=1.0, metavar="SECONDS", help="Time after which a source is asked again."),
    ] = None,
    theme: Annotated[Theme | None, typer.Option("--theme", help="Colors; NO_COLOR in the environment: none.")] = None,
    web: Annotated[
        bool, typer.Option("--web", help="In a browser: print the address, and serve until Ctrl-C.")
    ] = False,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="With --web: where to listen; else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, metavar="PORT", help="With --web; else 8000. 0: any that is free."),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option("--proxy", metavar="NAME", help="With --web: the name of a proxy before it, as browsers say it."),
    ] = None,
) -> int:
    """Look at everything on one screen, live: what is wrong, why, and what to run next.

    Read-only until `W`; a change shows its plan, and is made when the context and the count are typed.
    """
    inv = invocation(ctx)
    said = _Said(every, theme)
    if inv.no_color:
        os.environ["NO_COLOR"] = "1"
    _check_keys(inv)
    if web:
        return _serve(inv, said, _Where(host or _HOST, _PORT if port is None else port, proxy or ""))
    if (host, port, proxy) != (None, None, None):
        raise UsageError("--host, --port and --proxy are for --web", hint="add --web, or leave them out")
    return _run(inv, said)


@dataclass(frozen=True, slots=True)
class _Said:
    """Flags of the dashboard; None: the configuration says it."""

    every: float | None
    theme: Theme | None

    @property
    def words(self) -> list[str]:
        """The same, for the command line of a page."""
        every = [] if self.every is None else ["--every", str(self.every)]
        return [*every, *([] if self.theme is None else ["--theme", self.theme.value])]


@dataclass(frozen=True, slots=True)
class _Where:
    """Where pages are served."""

    host: str
    port: int
    proxy: str
    """Its name; empty: there is none."""


def _check_keys(inv: Invocation) -> None:
    from ticketops.config.problems import refuse  # noqa: PLC0415 - `--help` must not pay for it

    if inv.config.tui.keys:
        from ticketops.tui import keymap  # noqa: PLC0415

        refuse(list(keymap.problems(inv.config.tui.keys, inv.settings.origins["tui.keys"].place)))


def _serve(inv: Invocation, said: _Said, where: _Where) -> int:
    try:
        from ticketops.tui.web import WebServer  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise UsageError(
            "the dashboard cannot be served", why=f"missing: {error.name}", hint="pip install 'ticketops[web]'"
        ) from None
    title = f"ticketops {inv.config.context}"
    server = WebServer(_page_command(inv, said), where.host, where.port, title, where.proxy)
    inv.out.note(f"the dashboard of {inv.config.context} is at {server.address}; Ctrl-C ends it")
    inv.out.note("who has this address can do there what you can do here")
    server.run()
    return ExitCode.DONE


def _page_command(inv: Invocation, said: _Said) -> str:
    """The command line of one page, for a shell: this one's flags; a secret is never one of them."""
    words = [sys.executable, "-P", "-m", "ticketops"]
    for flag, value in (("--context", inv.context), ("--config", inv.config_file), ("--timeout", inv.seconds)):
        words += [] if value is None else [flag, str(value)]
    for assignment in inv.assignments:
        words += ["--set", assignment]
    return "exec " + shlex.join([*words, "tui", *said.words])


def _run(inv: Invocation, said: _Said) -> int:
    from ticketops.tui.tether import is_page, tie  # noqa: PLC0415 - `--help` must not pay for it

    if not (is_page() or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("the dashboard needs a terminal", hint="`ticketops status --watch 5` works in a pipe")
    from ticketops.cli.saved import Saver  # noqa: PLC0415
    from ticketops.config.redact import redact  # noqa: PLC0415
    from ticketops.tui.app import Dashboard  # noqa: PLC0415
    from ticketops.tui.feed import Feed  # noqa: PLC0415
    from ticketops.tui.guide import load  # noqa: PLC0415

    config = inv.config
    timeout, every = inv.seconds or config.status.timeout, said.every or config.tui.every
    dashboard = Dashboard(
        lambda told, failed: Feed(lambda: _overview(inv, timeout, every), told, failed, load),
        lambda: sources_of(config, inv.timeout, _tail(inv)),
        context=config.context,
        read_only=config.read_only,
        tail=_tail(inv),
        hide=partial(redact, secrets=inv.settings.secrets),
        theme=said.theme or config.tui.theme,
        utf8=is_page() or (sys.stdout.encoding or "").lower().startswith("utf"),
        keymap=config.tui.keys,
        save=Saver(Path(config.tui.snapshots).expanduser(), config.context).save,
    )
    if is_page():
        tie(dashboard)
    dashboard.run()
    if dashboard.trouble is not None:
        raise dashboard.trouble
    for command_line in dashboard.left_over:
        inv.out.note(f"a change was cut off; to go on: {command_line}")
    sys.stdout.flush()
    code = dashboard.return_code or ExitCode.DONE
    os._exit(code)  # drivers that wait for a backend which hangs would keep the user waiting too


def _tail(inv: Invocation) -> tuple[str, ...]:
    """What a command needs at its end to mean the same context."""
    context = ("--context", inv.context) if inv.context else ()
    file = ("--config", str(inv.config_file)) if inv.config_file else ()
    return (*context, *file, *(word for assignment in inv.assignments for word in ("--set", assignment)))


def _overview(inv: Invocation, timeout: float, every: float) -> "Overview":
    from ticketops.wiring.overview import open_overview  # noqa: PLC0415 - the first frame does not wait for it

    return open_overview(inv.config, timeout=timeout, remember=True, every=every, secrets=inv.settings.secrets)


def sources_of(config: "Config", timeout: float, tail: tuple[str, ...]) -> "Sources":
    """What screens read, each within `timeout` seconds; commands that are shown end with `tail`."""
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.alerts.evaluator import rules_of  # noqa: PLC0415
    from ticketops.services.dlq.detail import Memory  # noqa: PLC0415
    from ticketops.tui.letter_changes import LetterChanges, Means  # noqa: PLC0415
    from ticketops.tui.sources import Letters, Sources  # noqa: PLC0415
    from ticketops.wiring.alerts import open_alert_store  # noqa: PLC0415
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415
    from ticketops.wiring.store import open_annotations, open_desk, open_operation_store  # noqa: PLC0415
    from ticketops.wiring.trace import open_tracer  # noqa: PLC0415
    from ticketops.wiring.transitions import machine_named, open_state_desk, open_state_view, open_stuck_finder  # noqa: PLC0415

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
    memory = Memory(lambda: open_operation_store(quick), lambda: open_annotations(quick))
    return Sources(
        letters=Letters(means.look, tuple(config.dlq.queues), now, LetterChanges(means), memory),
        outbox=lambda: wiring.open_outbox_admin(config, timeout=timeout),
        relays=lambda: wiring.open_shard_leases(config, timeout=timeout),
        states=lambda machine: open_state_view(config, machine, timeout=timeout),
        desks=lambda machine: open_state_desk(quick, machine, timeout=timeout),
        stuck=lambda machine: open_stuck_finder(config, machine, timeout=timeout),
        store=lambda: open_operation_store(quick),
        trace=lambda key: open_tracer(config).trace(key, timeout, lambda _: None),
        alerts=lambda: open_alert_store(quick),
        rules=rules_of(config.alerts),
        machine=lambda name: machine_named(config, name).machine,
        verbs=_verbs(config, means),
    )


def _verbs(config: "Config", means: "Means") -> "Verbs":
    """What plans changes to all but dead letters."""
    from ticketops import wiring  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.tui.alert_changes import AlertChanges, AlertMeans  # noqa: PLC0415
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
        alerts=AlertChanges(AlertMeans(desk=partial(_alert_desk, config, access), tail=means.tail)),
    )


@contextmanager
def _alert_desk(config: "Config", access: "Access") -> "Iterator[AlertDesk]":
    from ticketops.services.alerts.desk import AlertDesk  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring import actor  # noqa: PLC0415
    from ticketops.wiring.alerts import open_alert_store  # noqa: PLC0415

    with closing(open_alert_store(config)) as store:
        yield AlertDesk(store, config.alerts, access, actor())
