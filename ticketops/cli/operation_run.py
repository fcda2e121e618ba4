"""Runs of operations at a terminal or in a script: progress, Ctrl-C, the report, the exit code."""

import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Final

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress as Bar

    from ticketops.domain.operations import Operation
    from ticketops.ports.deadletters import DeadLetterQueue
    from ticketops.services.dlq.changing import Desk, Report
    from ticketops.services.dlq.runner import Progress, Surroundings

_GUARDED: Final = frozenset({"held", "requeued too often"})
_FINE: Final = frozenset({"done", "already done"})


@contextmanager
def open_desk(inv: Invocation) -> "Iterator[Desk]":
    """What changes are made with, as the configuration says."""
    from ticketops.wiring.store import open_desk as opened  # noqa: PLC0415 - `--help` must not pay for it

    with opened(inv.config) as desk:
        yield desk


@contextmanager
def open_queues(inv: Invocation, names: Sequence[str]) -> "Iterator[Mapping[str, DeadLetterQueue]]":
    """The queues of an operation, by name; without --timeout a change may take its time."""
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415 - loads the drivers

    with ExitStack() as stack:
        yield {name: stack.enter_context(closing(open_queue(inv.config, name, timeout=inv.seconds))) for name in names}


@contextmanager
def surroundings(operation: "Operation") -> "Iterator[Surroundings]":
    """Ctrl-C and SIGTERM end the run after the batch in hand, a second one at once; a bar shows how far it is."""
    from ticketops.cli.process import hand_over_quickly  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.dlq.runner import Surroundings  # noqa: PLC0415

    hand_over_quickly()
    stop = threading.Event()

    def ask(number: int, frame: "FrameType | None") -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()
        sys.stderr.write("\nstopping after the items in hand; once more ends at once, and a resume sorts it out\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _bar(operation) as observe:
            yield Surroundings(stop=stop, observe=observe)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(operation: "Operation") -> "Iterator[_Observer]":
    if not sys.stderr.isatty():
        yield _Observer(None, operation.total)
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals need it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Observer(bar, operation.total, str(operation.verb), sum(operation.counts.values()))


class _Observer:
    """Shows progress on a bar, where there is one."""

    def __init__(self, bar: "Bar | None", total: int, word: str = "", done: int = 0) -> None:
        self._bar = bar
        self._task = bar.add_task(word, total=total, completed=done, speed="", note="") if bar else None

    def __call__(self, progress: "Progress") -> None:
        """Show how far it is."""
        if self._bar is None or self._task is None:
            return
        speed = self._bar.tasks[0].speed
        shown = "" if speed is None else f"{speed:,.0f}/s"
        self._bar.update(self._task, completed=progress.done, total=progress.total, speed=shown, note=progress.note)


def resume_command(inv: Invocation, operation: "Operation") -> str:
    """What to type to go on."""
    context = f" --context {shlex.quote(inv.context)}" if inv.context else ""
    return f"ticketops ops resume {operation.id}{context}"


def tell_report(inv: Invocation, report: "Report", *, followed: bool = False) -> int:
    """Print what came of a run; the exit code that goes with it. `followed`: another's record is to be the output."""
    operation = report.operation
    if followed:
        inv.out.note(f"{operation.verb}: {report.done} of {operation.total} done, operation {operation.id}")
    else:
        inv.out.record("dlq_change", report_record(report), name="operation")
    if operation.state == "stopped":
        inv.out.note(f"stopped: {operation.note}; {operation.left} items are left")
        inv.out.note(f"to go on: {resume_command(inv, operation)}")
    if report.newcomers.new:
        inv.out.note(f"new since the start: {report.newcomers.new}, of these came back: {report.newcomers.returned}")
    return exit_of(report)


def report_record(report: "Report") -> dict[str, object]:
    """The fields of `dlq_change`."""
    operation = report.operation
    return {
        "operation": operation.id,
        "verb": operation.verb,
        "state": operation.state,
        "total": operation.total,
        "done": report.done,
        "skipped": {outcome.value: number for outcome, number in report.skipped.items()},
        "failed": report.failed,
        "left": operation.left,
        "new": report.newcomers.new,
        "returned": report.newcomers.returned,
        "note": operation.note,
        "examples": [
            {"queue": item.queue, "id": item.id, "outcome": outcome, "detail": detail}
            for item, outcome, detail in report.examples
        ],
    }


def exit_of(report: "Report") -> ExitCode:
    """The exit code of a change."""
    operation = report.operation
    if operation.note == "interrupted":
        return ExitCode.INTERRUPTED
    others = {outcome.value for outcome, number in operation.counts.items() if number} - _FINE
    if not others and not operation.left:
        return ExitCode.DONE
    if report.done:
        return ExitCode.PARTLY
    return exit_of_none(others)


def exit_of_none(outcomes: "set[str] | frozenset[str]") -> ExitCode:
    """The exit code where nothing was changed, by what came of the items."""
    if outcomes and outcomes <= _GUARDED:
        return ExitCode.REFUSED
    if outcomes == {"gone"}:
        return ExitCode.NOT_FOUND
    return ExitCode.FAILED
