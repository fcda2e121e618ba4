"""`ticketops relay`: run the outbox relay, look at the relays that run, pause and resume them."""

import shlex
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketops.cli.cells import Show
from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Column, Format, Section
from ticketops.cli.pausing import Change, changing_pauses, open_pauses
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.domain.relay import RelayStatus

app = typer.Typer(no_args_is_help=True)


@app.command()
def run(
    ctx: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Send at most one batch a lane, then end.")] = False,
    drain: Annotated[bool, typer.Option("--drain", help="End when nothing is pending.")] = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="Read and report, write nothing anywhere.")] = False,
) -> int:
    """Publish the outbox to Kafka until stopped: SIGTERM finishes what is in flight, a second one ends at once."""
    inv = invocation(ctx)
    shadow = shadow or inv.config.relay.shadow
    if (once, drain, shadow).count(True) > 1:
        raise UsageError("--once, --drain and --shadow exclude each other", hint="give one of them")
    from ticketops.cli.process import configure_logs  # noqa: PLC0415 - `--help` must not pay for it

    configure_logs(inv.config.log, inv.settings.secrets)
    if shadow:
        return _run_shadow(inv)
    return _run_relay(inv, once=once, drain=drain)


def _run_relay(inv: Invocation, *, once: bool, drain: bool) -> int:
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.cli import daemons  # noqa: PLC0415
    from ticketops.services.exposition import Probes  # noqa: PLC0415
    from ticketops.services.guard import Access, require_writable  # noqa: PLC0415
    from ticketops.services.metrics import RelayMetrics  # noqa: PLC0415
    from ticketops.services.relay.daemon import Until  # noqa: PLC0415
    from ticketops.services.relay.start import start  # noqa: PLC0415

    config = inv.config
    require_writable(Access(config.context, config.read_only), "relay run")
    until = Until.ONE_BATCH if once else Until.EMPTY if drain else Until.STOPPED
    metrics = RelayMetrics(config.outbox.topics)
    daemon = wiring.open_relay(config, metrics, until)
    probes = Probes(daemon.live, lambda: daemon.ready(config.http.ready_max_age), metrics.exposition)
    begin = partial(start, daemon, config.relay, patient=until is Until.STOPPED)
    return daemons.run(config, daemon, begin, probes, config.relay.stop_timeout)


def _run_shadow(inv: Invocation) -> int:
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.cli.daemons import run_loop, take_signals  # noqa: PLC0415
    from ticketops.services.loop import Loop  # noqa: PLC0415
    from ticketops.services.start import try_until  # noqa: PLC0415

    shadow, failures = wiring.open_shadow(inv.config), list[BaseException]()
    stopping = take_signals(inv.config.log)
    try:
        if not try_until(shadow.check, stopping, part="shadow"):
            return ExitCode.DONE
    finally:
        shadow.close()
    loop = Loop("shadow", shadow.step, on_fatal=failures.append, at_end=shadow.close)
    run_loop(loop, failures, stopping, inv.config.relay.stop_timeout)
    return ExitCode.DONE


_MEMBERS = (
    Column("relay_id", title="RELAY", keep=True),
    Column("state"),
    Column("shards", show=Show.COUNT),
    Column("rate", title="EVENTS/S", show=Show.COUNT),
    Column("published", show=Show.COUNT),
    Column("failed", show=Show.COUNT),
    Column("seen_seconds", title="SEEN", show=Show.AGE),
    Column("waiting_for"),
    Column("last_error"),
    Column("host", wide=True),
    Column("pid", wide=True),
    Column("version", wide=True),
    Column("started_at", wide=True),
)
_SHARDS = (
    Column("shard", show=Show.COUNT),
    Column("owner", keep=True),
    Column("epoch", show=Show.COUNT),
    Column("expires_in", title="LEASE", show=Show.AGE),
    Column("inflight", show=Show.COUNT),
    Column("inflight_seconds", title="SINCE", show=Show.AGE),
)
_OWNERS = (
    Column("owner", keep=True),
    Column("shards", keep=True),
    Column("count", show=Show.COUNT),
    Column("expires_in", title="LEASE", show=Show.AGE),
    Column("inflight", show=Show.COUNT),
    Column("inflight_seconds", title="SINCE", show=Show.AGE),
)
_PAUSES = (
    Column("scope", keep=True),
    Column("value", keep=True),
    Column("by"),
    Column("reason"),
    Column("at", title="SINCE"),
)


@app.command()
def status(ctx: typer.Context) -> int:
    """Show relays, shards with their owners, rates, the last error, and pauses; exit 8 where a shard has no owner."""
    from ticketops import wiring  # noqa: PLC0415

    inv = invocation(ctx)
    leases = wiring.open_shard_leases(inv.config, timeout=inv.timeout)
    try:
        found = leases.status()
    finally:
        leases.close()
    record = _status_record(found)
    sections = [Section("relays", _MEMBERS, record["relays"]), _shard_section(inv, record["shards"])]
    if found.pauses:
        sections.append(Section("paused", _PAUSES, record["pauses"]))
    inv.out.report("relay_status", record, sections, name="at")
    orphans = record["shards_without_owner"]
    if orphans or not found.shards:
        inv.out.note(f"{orphans or 'all'} shards have no live owner; start one with: ticketops relay run")
        return ExitCode.BREACHED
    return ExitCode.DONE


def _shard_section(inv: Invocation, shards: list[dict[str, Any]]) -> Section:
    """One line a shard; on a terminal one line an owner, unless -o wide."""
    if not inv.out.terminal or inv.out.form is Format.WIDE:
        return Section("shards", _SHARDS, shards)
    owners = sorted({_living_owner(shard) for shard in shards})
    return Section("shards", _OWNERS, [_owned(owner, shards) for owner in owners])


def _owned(owner: str, shards: list[dict[str, Any]]) -> dict[str, object]:
    """The shards of one owner together; of nobody, where `owner` is empty."""
    mine = [shard for shard in shards if _living_owner(shard) == owner]
    return {
        "owner": owner or "(nobody)",
        "shards": spans([shard["shard"] for shard in mine]),
        "count": len(mine),
        "expires_in": min((s["expires_in"] for s in mine if s["expires_in"] is not None), default=None),
        "inflight": sum(shard["inflight"] for shard in mine),
        "inflight_seconds": max((s["inflight_seconds"] for s in mine if s["inflight_seconds"]), default=None),
    }


def _living_owner(shard: dict[str, Any]) -> str:
    return shard["owner"] if shard["owner"] and (shard["expires_in"] or 0.0) > 0 else ""


def spans(numbers: list[int]) -> str:
    """Sorted numbers with neighbors drawn together: 0-3, 5, 7-8."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(g[0]) if len(g) == 1 else f"{g[0]}-{g[-1]}" for g in groups)


def _status_record(found: "RelayStatus") -> dict[str, Any]:
    members = [
        {
            "relay_id": member.relay_id,
            "state": "live" if member.live else "gone",
            "shards": member.shards,
            "rate": round(member.report.rate, 1) if member.live else 0.0,
            "published": member.report.published,
            "failed": member.report.failed,
            "seen_seconds": member.seen_seconds,
            "waiting_for": member.report.waiting_for,
            "last_error": member.report.last_error,
            "last_error_at": member.report.last_error_at,
            "host": member.host,
            "pid": member.pid,
            "version": member.version,
            "started_at": member.started_at,
        }
        for member in found.members
    ]
    return {
        "at": found.at,
        "relays": members,
        "shards": [asdict(shard) for shard in found.shards],
        "pauses": [asdict(pause) for pause in found.pauses],
        "shards_without_owner": sum(1 for shard in found.shards if (shard.expires_in or -1.0) <= 0),
    }


@app.command()
@changing_pauses
def pause(ctx: typer.Context, *, change: Change) -> None:
    """Stop publishing, durably, until resumed: everything, or one topic, aggregate type or shard."""
    inv = invocation(ctx)
    part = change.part(inv.config)
    part.require_known(inv.config.outbox.topics)
    pauses = open_pauses(inv)
    inv.confirm(
        [f"pause {part} for every relay of this outbox; events wait, nothing is lost"],
        yes=change.yes,
        dry_run=change.dry_run,
    )
    paused = pauses.pause(part.scope, part.value, change.reason)
    inv.out.record("relay_pause", asdict(paused), name="scope")
    inv.out.note(
        f"relays take note within a second; end it with: {shlex.join(['ticketops', 'relay', 'resume', *part.flags])}"
    )


@app.command()
@changing_pauses
def resume(ctx: typer.Context, *, change: Change) -> None:
    """End a pause; without a flag, the pause of everything."""
    inv = invocation(ctx)
    part = change.part(inv.config)
    pauses = open_pauses(inv)
    inv.confirm([f"resume {part}"], yes=change.yes, dry_run=change.dry_run)
    pauses.resume(part.scope, part.value, change.reason)
    inv.out.note("resumed; relays take note within a second")
