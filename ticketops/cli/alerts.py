"""`ticketops alerts`: rules over what `status` knows, evaluated and delivered; silences; tests of targets."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.cells import Graded, Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Section
from ticketops.cli.parameters import DryRun, Yes
from ticketops.errors import NotFoundError, TicketOpsError

if TYPE_CHECKING:
    from ticketops.domain.alerts.lifecycle import Alert, Silence
    from ticketops.ports.alerts import AlertStore
    from ticketops.services.alerts.delivery import Delivery
    from ticketops.services.alerts.desk import AlertDesk
    from ticketops.services.alerts.evaluator import Evaluator, Judged
    from ticketops.services.overview.exporter import SnapshotExporter
    from ticketops.services.overview.status import Overview

app = typer.Typer(no_args_is_help=True)

_GRADES = {"critical": "bad", "warning": "warn", "info": "ok"}
_HOLDING = (
    Column("severity", show=Show.VERDICT),
    Column("rule", keep=True),
    Column("subject", keep=True),
    Column("message"),
    Column("when", wide=True),
)
_ALERTS = (
    Column("phase", show=Show.VERDICT),
    Column("rule", keep=True),
    Column("subject", keep=True),
    Column("since_seconds", title="SINCE", show=Show.AGE),
    Column("message"),
    Column("told_at", wide=True),
    Column("seen_at", wide=True),
)
_SILENCES = (
    Column("id", keep=True),
    Column("rule"),
    Column("subject"),
    Column("left_seconds", title="LEFT", show=Show.AGE),
    Column("by"),
    Column("reason"),
)


@app.command()
def check(ctx: typer.Context) -> int:
    """Look once with every rule and list those that hold; tells nobody; ends with 8 where one holds."""
    from ticketops.services.alerts.evaluator import Judge, rules_of  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    judge = Judge(rules_of(inv.config.alerts))
    with _overview(inv) as overview:
        judged = list(judge.judge(overview.look().snapshot))
    holding = [one for one in judged if one.holds]
    inv.out.rows("alert_check", _HOLDING, [_holding(one) for one in holding], name="rule")
    unknown = sorted({f"{one.fact.area} {one.fact.subject}".strip() for one in judged if one.holds is None})
    if unknown:
        inv.out.note(f"not known: {', '.join(unknown)}")
    if holding:
        return ExitCode.BREACHED
    return ExitCode.UNREACHABLE if unknown else ExitCode.DONE


@app.command("list")
def list_(ctx: typer.Context) -> int:
    """List alerts that are pending, fire, or were resolved within a day, and silences; ends with 8 where one fires."""
    from ticketops.domain.overview.rules import EVALUATED  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    with _store(inv) as store:
        now, alerts, silences, figures = store.now(), store.alerts(), store.silences(), store.figures()
    alert_rows = [_alert(alert) | {"since_seconds": (now - alert.since).total_seconds()} for alert in alerts]
    silence_rows = [_silence(one) | {"left_seconds": (one.until - now).total_seconds()} for one in silences]
    inv.out.report(
        "alerts",
        {"alerts": alert_rows, "silences": silence_rows, **asdict(figures)},
        [Section("alerts", _ALERTS, alert_rows), Section("silences", _SILENCES, silence_rows)],
        name="firing",
    )
    if figures.undelivered:
        inv.out.note(f"{figures.undelivered} messages could not be delivered: {figures.last_error}")
    if figures.evaluated_seconds is None:
        inv.out.note("nothing was evaluated yet; start `ticketops alerts run`")
    elif figures.evaluated_seconds > EVALUATED * inv.config.alerts.interval:
        inv.out.note(f"nothing was evaluated for {figures.evaluated_seconds:.0f} s; is `ticketops alerts run` there?")
    return ExitCode.BREACHED if figures.firing else ExitCode.DONE


@app.command("test")
def try_targets(
    ctx: typer.Context,
    targets: Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="Else all of them.")] = None,
) -> int:
    """Send a test message to targets, at once and once."""
    inv = invocation(ctx)
    known = inv.config.alerts.targets
    for name in targets or ():
        if name not in known:
            raise NotFoundError(f"there is no target {name}", hint=f"there are {', '.join(known) or 'none'}")
    with _desk(inv) as desk:
        rows = [{"target": name, "error": _tried(inv, desk, name)} for name in targets or known]
    inv.out.rows("alert_test", ["target", "error"], rows, name="target")
    if not rows:
        inv.out.note("there is no target; [alerts.targets] names them")
    failed = [row for row in rows if row["error"]]
    return ExitCode.DONE if not failed else ExitCode.FAILED if len(failed) == len(rows) else ExitCode.PARTLY


@app.command()
def silence(
    ctx: typer.Context,
    rule: Annotated[str, typer.Argument(help="The rule's name, or * for all.")],
    *,
    span: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long: 30m, 2h, 3d.")],
    subject: Annotated[str, typer.Option("--subject", help="Only this subject, such as a queue or a group.")] = "*",
    reason: Annotated[str, typer.Option("--reason-text", help="Why; shown with the silence.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Keep alerts back for a while; what fires still when the silence ends is told then."""
    from ticketops.domain.selectors import parse_span  # noqa: PLC0415

    inv = invocation(ctx)
    length = parse_span(span)
    with _desk(inv) as desk:
        desk.check(rule)
        inv.confirm([f"silence rule {rule}, subject {subject}, for {span}"], yes=yes, dry_run=dry_run)
        made = desk.silence(rule, subject, length, reason)
    inv.out.record("alert_silence", _silence(made))


@app.command()
def unsilence(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As `alerts list` shows it.")],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """End a silence now."""
    inv = invocation(ctx)
    with _desk(inv) as desk:
        inv.confirm([f"end silence {number}"], yes=yes, dry_run=dry_run)
        desk.unsilence(number)
    inv.out.note(f"silence {number} has ended")


@app.command()
def run(ctx: typer.Context) -> int:
    """Evaluate the rules again and again and tell the targets; of several, one evaluates and the others stand by."""
    from ticketops.cli.daemons import exposed, run_loop, take_signals  # noqa: PLC0415
    from ticketops.cli.process import configure_logs  # noqa: PLC0415
    from ticketops.services.alerts.evaluator import LEASE  # noqa: PLC0415
    from ticketops.services.exposition import Health, Probes  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415
    from ticketops.services.loop import Loop  # noqa: PLC0415
    from ticketops.services.overview.exporter import SnapshotExporter  # noqa: PLC0415
    from ticketops.wiring.alerts import open_delivery, open_evaluator  # noqa: PLC0415

    inv = invocation(ctx)
    config, failures = inv.config, list[BaseException]()
    require_writable(Access(config.context, config.read_only), "alerts run")
    configure_logs(config.log, inv.settings.secrets)
    stopping = take_signals(config.log)
    stale = LEASE * config.alerts.interval + config.alerts.delivery_timeout
    exporter = SnapshotExporter(config.status, now=lambda: datetime.now(UTC), stale_after=stale)
    probes = Probes(lambda: Health(ok=not failures, reason="alive"), exporter.ready, exporter.exposition)
    with _store(inv) as store, _overview(inv) as overview:
        evaluator, delivery = open_evaluator(config, store), open_delivery(config, store)
        loop = Loop(
            "alerts", _Round(evaluator, delivery, overview, exporter, config.alerts.interval), on_fatal=failures.append
        )
        with exposed(config.http, probes):
            run_loop(loop, failures, stopping, config.alerts.delivery_timeout + config.status.timeout)
    return ExitCode.DONE


class _Round:
    """One evaluation, and the deliveries that are due."""

    def __init__(
        self,
        evaluator: "Evaluator",
        delivery: "Delivery",
        overview: "Overview",
        exporter: "SnapshotExporter",
        interval: float,
    ) -> None:
        import structlog  # noqa: PLC0415 - only daemons log

        self._evaluator, self._delivery, self._overview = evaluator, delivery, overview
        self._exporter, self._interval = exporter, interval
        self._log = structlog.get_logger("ticketops").bind(part="alerts")
        self._leads: bool | None = None

    def __call__(self) -> float:
        snapshot = self._overview.look().snapshot
        self._exporter.show(snapshot)
        leads = self._evaluator.evaluate(snapshot)
        if leads is not self._leads:
            self._leads = leads
            self._log.info("evaluates" if leads else "stands by", every_seconds=self._interval)
        if leads:
            arrived, failed = self._delivery.deliver()
            if arrived or failed:
                self._log.info("told", arrived=arrived, failed=failed)
        return self._interval


def _tried(inv: Invocation, desk: "AlertDesk", name: str) -> str:
    """Why the message did not arrive; empty where it did."""
    from ticketops.wiring.alerts import open_target  # noqa: PLC0415

    try:
        open_target(inv.config, name).send(desk.test_message(name), inv.config.alerts.delivery_timeout)
    except TicketOpsError as error:
        return str(error)
    return ""


@contextmanager
def _store(inv: Invocation) -> "Iterator[AlertStore]":
    from ticketops.wiring.alerts import open_alert_store  # noqa: PLC0415

    with closing(open_alert_store(inv.config)) as store:
        yield store


@contextmanager
def _desk(inv: Invocation) -> "Iterator[AlertDesk]":
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.services.alerts.desk import AlertDesk  # noqa: PLC0415
    from ticketops.services.guard import Access  # noqa: PLC0415

    config = inv.config
    with _store(inv) as store:
        yield AlertDesk(store, config.alerts, Access(config.context, config.read_only), wiring.actor())


@contextmanager
def _overview(inv: Invocation) -> "Iterator[Overview]":
    from ticketops.wiring.overview import open_overview  # noqa: PLC0415

    timeout = inv.seconds or inv.config.status.timeout
    with closing(open_overview(inv.config, timeout=timeout, remember=False, secrets=inv.settings.secrets)) as overview:
        yield overview


def _holding(one: "Judged") -> dict[str, object]:
    from ticketops.domain.alerts.rules import message  # noqa: PLC0415

    return {
        "severity": Graded(one.rule.severity, _GRADES[one.rule.severity]),
        "rule": one.rule.name,
        "area": one.fact.area,
        "subject": one.fact.subject,
        "message": message(one.rule, one.fact),
        "when": one.rule.when,
        "for_seconds": one.rule.hold,
    }


def _alert(alert: "Alert") -> dict[str, object]:
    grades = {"firing": "bad", "pending": "warn", "resolved": "ok"}
    return {**asdict(alert), "phase": Graded(alert.phase, grades[alert.phase])}


def _silence(silence: "Silence") -> dict[str, object]:
    return asdict(silence)
