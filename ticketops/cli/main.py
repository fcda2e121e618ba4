"""The entry point: parse, run, and end with the exit code that fits."""

import contextlib
import gc
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import typer

from ticketops.cli import streams
from ticketops.cli.exits import ExitCode
from ticketops.cli.flags import asked_for_json
from ticketops.cli.frame import Invocation
from ticketops.cli.nouns import NOUNS, Noun, root


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    code = run(sys.argv[1:] if argv is None else argv)
    gc.freeze()  # what is left ends with the process: to look for garbage in it once more took 100 ms
    sys.exit(code)


def run(argv: Sequence[str], nouns: Sequence[Noun] = NOUNS) -> int:
    """Run the command line; the exit code."""
    _collect_rarely()
    streams.prepare()
    _announce_interrupts()
    invocation = Invocation()
    try:
        return _ended(invocation, _run(argv, nouns, invocation))
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost guard: what nobody expected ends here
        return _failed(error, argv, invocation)
    finally:
        streams.settle()


def _run(argv: Sequence[str], nouns: Sequence[Noun], invocation: Invocation) -> object:
    return root(nouns).main(args=list(argv), prog_name="ticketops", standalone_mode=False, obj=invocation)


def _ended(invocation: Invocation, result: object) -> int:
    """A command may return an exit code; without one it is done."""
    invocation.out.finish()
    return result if isinstance(result, int) else ExitCode.DONE


def _failed(error: Exception, argv: Sequence[str], invocation: Invocation) -> int:
    from ticketops.cli import failures  # noqa: PLC0415 - only where something failed

    if isinstance(error, OSError) and (trouble := streams.trouble(sys.stdout)) is not None:
        if isinstance(trouble, BrokenPipeError):
            return ExitCode.DONE
        error = streams.unwritable(trouble)
    if failures.is_help(error):
        with contextlib.suppress(OSError):
            sys.stderr.write(str(error) + "\n")
        return ExitCode.USAGE
    as_json = asked_for_json(argv) or not (invocation.output is None or invocation.output.human)
    return failures.show(error, sys.stderr, as_json=as_json, debug=invocation.debug, secrets=invocation.known_secrets)


def _collect_rarely() -> None:
    """What is made while modules load stays: to look for garbage in it at every 700 objects took a tenth of a start."""
    gc.set_threshold(20_000, 10, 10)


def _announce_interrupts() -> None:
    """Say at once that Ctrl-C was seen, before anything unwinds; a daemon sets its own handler over this."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(number: int, frame: FrameType | None) -> None:
    streams.say(b"\ninterrupted: stopping\n")
    signal.default_int_handler(number, frame)
