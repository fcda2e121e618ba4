"""What `ticketops demo` says at its end: the verdict, the figures, and the commands to try next."""

import io
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticketops.demo.flow.proof import FLAWED
from ticketops.demo.show import Report, thousands
from ticketops.domain.text import terminal_safe

WIDTH: Final = 80
_EXAMPLES: Final = 3


def summary(report: Report, *, color: bool) -> str:
    """The summary as text, 80 columns wide."""
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=color, no_color=not color, highlight=False)
    console.print("", _verdict(report), "", _figures(report), "", *_evidence(report), sep="\n")
    console.print(_outage_verdict(report), "", _outage(report), "", sep="\n")
    console.print(_payments_verdict(report), "", _payments(report), "", *_payment_faults(report), sep="\n")
    console.print(Text("Next", style="bold"), *_next(report), sep="\n", soft_wrap=True)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def fields(report: Report) -> dict[str, object]:
    """The fields of `-o json`."""
    proof = report.proof
    return {
        "proved": report.holds,
        "events_written": proof.written,
        "events_read": proof.distinct,
        "records_read": proof.records,
        "repeats": proof.repeats,
        "lost": len(proof.lost),
        "unexpected": len(proof.unexpected),
        "misplaced": len(proof.misplaced),
        "aggregates": proof.aggregates,
        "aggregates_out_of_order": len(proof.disordered),
        "transactions": report.transactions,
        "transactions_rolled_back": report.rolled_back,
        "backlog": report.backlog,
        "best_second": report.best_second,
        "killed_relay": report.killed,
        "killed_inflight": report.killed_inflight,
        "takeover_seconds": round(report.takeover_seconds, 3),
        "lease_seconds": report.lease_seconds,
        "wait_seconds": {name: round(getattr(report, f"wait_{name}"), 4) for name in ("p50", "p99", "longest")},
        "dead_letters": _outage_fields(report),
        "payments": _payment_fields(report),
        "seconds": round(report.seconds, 1),
        "versions": report.versions,
        "config_file": report.config_file,
    }


def _outage_fields(report: Report) -> dict[str, object]:
    outage = report.outage
    return {
        "written": outage.letters,
        "group": outage.group,
        "cause": outage.cause,
        "percent": outage.percent,
        "requeued": outage.moved,
        "requeue_seconds": round(outage.seconds, 1),
        "left": outage.left,
        "queued": outage.queued,
        "twice": outage.twice,
        "operation": outage.operation,
    }


def _payment_fields(report: Report) -> dict[str, object]:
    flow = report.payments
    counts = {name: value for name, value in asdict(flow.proof).items() if isinstance(value, int)}
    faults = {what: len(where) for what, where in flow.proof.faults.items()}
    return counts | {
        "faults": faults,
        "killed_worker": flow.killed,
        "ended_at_kill": flow.killed_at,
        "seconds": round(flow.seconds, 1),
    }


def _verdict(report: Report) -> Text:
    if report.proof.holds:
        return Text.assemble(("PROVED", "bold green"), ": every event arrived, and each aggregate's in order")
    return Text.assemble(("FAILED", "bold red"), ": what was read is not what was written")


def _figures(report: Report) -> Table:
    proof = report.proof
    rows = (
        ("events written", thousands(proof.written), f"committed in {thousands(report.transactions)} transactions"),
        ("events read", thousands(proof.distinct), f"distinct, in {thousands(proof.records)} records"),
        ("lost", str(len(proof.lost)), ""),
        ("never committed", str(len(proof.unexpected)), f"{report.rolled_back} transactions were rolled back"),
        ("out of order", str(len(proof.disordered)), f"of {thousands(proof.aggregates)} aggregates"),
        ("repeats", thousands(proof.repeats), f"of {report.killed_inflight} in flight at the kill; same event id"),
        (
            "take-over",
            f"{report.takeover_seconds:.1f} s",
            f"after {report.killed} was killed; a lease lasts {report.lease_seconds:.0f} s",
        ),
        ("best second", thousands(report.best_second), f"events, of a backlog of {thousands(report.backlog)}"),
        (
            "commit to consumer",
            _span(report.wait_p50),
            f"p50; p99 {_span(report.wait_p99)}, longest {_span(report.wait_longest)}: the take-over",
        ),
    )
    return _table(rows)


def _table(rows: Sequence[tuple[str, str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=20)
    table.add_column(justify="right", min_width=8)
    table.add_column(style="dim")
    for row in rows:
        table.add_row(*(Text(terminal_safe(part)) for part in row))
    return table


def _outage_verdict(report: Report) -> Text:
    if report.outage.holds:
        return Text.assemble(("PROVED", "bold green"), ": every dead letter is still there or back in its queue, once")
    return Text.assemble(("FAILED", "bold red"), ": dead letters are lost, or in two places")


def _outage(report: Report) -> Table:
    outage = report.outage
    rate = outage.moved / outage.seconds if outage.seconds else 0.0
    rows = (
        ("dead letters", thousands(outage.letters), "in Redis, as the booking worker writes them"),
        ("share one cause", f"{outage.percent} %", f"group {outage.group}: {outage.cause}"),
        (
            "requeued",
            thousands(outage.moved),
            f"of that group alone, {thousands(int(rate))}/s; operation {outage.operation[:8]}",
        ),
        ("left", thousands(outage.left), "of other causes, still there"),
        ("twice in a queue", str(outage.twice), f"of {thousands(outage.queued)} items in the shows' queues"),
    )
    return _table(rows)


def _payments_verdict(report: Report) -> Text:
    if report.payments.proof.holds:
        return Text.assemble(("PROVED", "bold green"), ": every payment event had one effect, every booking its email")
    return Text.assemble(("FAILED", "bold red"), ": payment events, bookings and emails do not agree")


def _payments(report: Report) -> Table:
    flow, proof = report.payments, report.payments.proof
    flawed = len(proof.faults.get(FLAWED, ()))
    rows = (
        ("bookings", thousands(proof.bookings), "requested in Redis, paid for through Kafka"),
        ("confirmed", thousands(proof.confirmed), f"{proof.refunded} of them refunded later"),
        ("cancelled", thousands(proof.cancelled), f"seats released; {proof.compensated} calls failed: compensations"),
        ("payment events", thousands(proof.payment_events), "from the provider, through the outbox"),
        ("hostile events", str(proof.hostile), f"{proof.dead_letters} are dead letters, {proof.ignored} had no effect"),
        ("emails", thousands(proof.emails), "rows and list entries, none missing or twice"),
        ("killed", "1", f"{flow.killed} by SIGKILL, and started again"),
        ("wrong histories", str(flawed), f"of {thousands(proof.transitions)} transitions, says state verify"),
    )
    return _table(rows)


def _payment_faults(report: Report) -> Iterator[Text]:
    faults = report.payments.proof.faults
    for what, where in faults.items():
        yield Text(terminal_safe(f"{what}: {', '.join(where[:_EXAMPLES])} ({len(where)} in all)"), style="red")
    if faults:
        yield Text("")


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _evidence(report: Report) -> Iterator[Text]:
    proof = report.proof
    found = {
        "lost": proof.lost,
        "never committed": proof.unexpected,
        "wrong topic, key or version": proof.misplaced,
        "out of order": proof.disordered,
    }
    for what, which in found.items():
        for one in which[:_EXAMPLES]:
            yield Text(f"{what}: {one}", style="red")
    if not proof.holds:
        yield Text("")


def _next(report: Report) -> Iterator[Text]:
    """One command a line, never wrapped, so that it can be copied."""
    commands = _commands(report)
    width = max(len(command) for command, meaning in commands if meaning)
    for command, meaning in commands:
        yield Text(f"  {command.ljust(width)}  ").append(meaning, style="dim")


def _commands(report: Report) -> list[tuple[str, str]]:
    program = program_name()
    if report.config_file is None:
        return [
            (f"{program} demo --keep", "the same; the engines stay up"),
            (f"{program} dev up", "empty engines and a file for them"),
            (f"{program} config init", "a commented file for your own"),
            (f"{program} db status", "what your database has and lacks"),
            (f"{program} relay run --shadow", "what a relay would do; writes nothing"),
        ]
    file = shlex.quote(report.config_file)
    folder = shlex.quote(str(Path(report.config_file).parent))
    return [
        (f"export TICKETOPS_CONFIG={file}", ""),
        (f"{program} outbox stats", "how many, of which types"),
        (f"{program} outbox list --all --limit 5", "some; `outbox show ID` for one"),
        (f"{program} relay run", "a relay; Ctrl-C ends it"),
        (f"{program} relay status", "relays and their shards"),
        (f"{program} status", "what is wrong, worst first"),
        (f"{program} dlq stats", "dead letters by cause"),
        (f"{program} state stats", "bookings by state, times in each"),
        (f"{program} state verify", "every history against the table"),
        (f"{program} ops list", "what was done to them, by whom"),
        (f"{program} dev down --purge --dir {folder}", ""),
    ]


def program_name() -> str:
    """What the user has to type for `ticketops`: it need not be on the PATH."""
    ours = Path(sys.executable).parent / "ticketops"
    found = shutil.which("ticketops")
    if found and Path(found).resolve() == ours.resolve():
        return "ticketops"
    if not ours.exists():
        return "python -m ticketops"
    here = Path.cwd()
    return str(ours.relative_to(here)) if ours.is_relative_to(here) else str(ours)
