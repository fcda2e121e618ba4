"""`--watch`: a command's output again and again, in place on a terminal, one after the other in a pipe."""

import io
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.exits import ExitCode
from ticketops.cli.output import Out

if TYPE_CHECKING:
    from ticketops.cli.frame import Invocation

Watch = Annotated[
    float | None,
    typer.Option("--watch", "-w", min=0.2, metavar="SECONDS", help="Again every so many seconds, until Ctrl-C."),
]
_HOME, _REST, _LINE_END = "\x1b[H", "\x1b[J", "\x1b[K\n"


class _Frame(io.StringIO):
    """One screenful, rendered as for the terminal that it is for."""

    def isatty(self) -> bool:
        return True


def repeated(inv: "Invocation", every: float | None, once: Callable[[], int | None]) -> int:
    """Run `once`, again and again where `every` (seconds) is given; the last exit code.

    Ctrl-C, or a reader that left, ends it. An error of a later round is not caught here: it ends the command.
    """
    if every is None:
        return once() or ExitCode.DONE
    code = 0
    pause = threading.Event()
    try:
        while True:
            started = time.monotonic()
            code = _round(inv, every, once)
            if inv.out.closed:
                return code
            pause.wait(max(every - (time.monotonic() - started), 0.0))
    except KeyboardInterrupt:
        return code


def _round(inv: "Invocation", every: float, once: Callable[[], int | None]) -> int:
    if not inv.out.terminal:
        return once() or ExitCode.DONE
    screen, frame = inv.out, _Frame()
    inv.out = Out(screen.form, stdout=frame, stderr=frame, color=screen.color)
    try:
        code = once() or ExitCode.DONE
    finally:
        inv.out = screen
    _paint(frame.getvalue(), f"every {every:g} s, at {time.strftime('%H:%M:%S')}; Ctrl-C ends")
    return code


def _paint(text: str, foot: str) -> None:
    lines = [*text.splitlines(), "", foot]
    sys.stdout.write(_HOME + _LINE_END.join(lines) + _LINE_END + _REST)
    sys.stdout.flush()
