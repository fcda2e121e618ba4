"""`ticketops dlq export`: dead letters as NDJSON, complete, for another environment or for keeps."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.cells import Show, cell
from ticketops.cli.dlq.desk import now, opener, tell_search
from ticketops.cli.dlq.selecting import SaidOfLetters, named_queues, resolved, selecting
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.output import Format
from ticketops.errors import RefusedError, TicketOpsError, UsageError

if TYPE_CHECKING:
    from ticketops.services.dlq.finding import Search

_CHUNK: Final = 100
"""Items in one write."""

Write = Callable[[bytes], object]


@selecting
def export(
    ctx: typer.Context,
    said: SaidOfLetters,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="A file, written whole or not at all; else stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> int:
    """Write dead letters as NDJSON, every byte of them; all where nothing is selected. `dlq import` reads it."""
    from ticketops.services.dlq.finding import Search  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    if inv.output not in {None, Format.JSONL}:
        raise UsageError(f"export does not write {inv.output}", why="its format is NDJSON", hint="leave -o out")
    search = Search(opener(inv), named_queues(inv, said.queue), resolved(inv, said, now))
    if to is None:
        count = _write(inv, search, lambda chunk: inv.out.stream(chunk.decode("ascii")))
    else:
        with _whole_file(inv, search, to, force=force) as write:
            count = _write(inv, search, write)
    inv.out.note(f"exported {cell(count, Show.COUNT)} dead letters" + (f" to {to}" if to else ""))
    return tell_search(inv, search)


def _write(inv: Invocation, search: "Search", write: Write) -> int:
    from ticketops.domain.dead_letter_file import dump  # noqa: PLC0415 - `--help` must not pay for it

    lines, count = map(dump, search.letters()), 0
    tell = _progress(inv)
    while chunk := list(islice(lines, _CHUNK)):
        write(b"".join(chunk))
        count += len(chunk)
        tell(count)
        if inv.out.closed:
            break
    return count


def _progress(inv: Invocation) -> Callable[[int], None]:
    """A line now and then, where somebody is looking."""
    shown = [time.monotonic()]

    def tell(count: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - shown[0] > 1.0:
            shown[0] = time.monotonic()
            inv.out.note(f"{cell(count, Show.COUNT)} exported")

    return tell


@contextmanager
def _whole_file(inv: Invocation, search: "Search", path: Path, *, force: bool) -> Iterator[Write]:
    """A file that gets its name when it is complete; for its owner alone, since payloads are in it.

    Where a queue could not be read, what was read stays beside it, under a name that says so.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        if path.exists() and not force:
            raise RefusedError(f"{path} is there already", hint="give --force to overwrite it")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        if search.trouble.queues:
            inv.out.note(f"incomplete: what could be read is in {part}")
        else:
            part.replace(path)
    except OSError as error:
        raise TicketOpsError(f"{path} cannot be written", why=error.strerror or type(error).__name__) from None
