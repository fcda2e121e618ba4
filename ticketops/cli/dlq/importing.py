"""`ticketops dlq import`: dead letters out of a file that `export` wrote."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.dlq.changing import Change, make
from ticketops.cli.dlq.options import Consent, consenting, pacing
from ticketops.cli.dlq.selecting import named_queues, queue_names
from ticketops.cli.frame import Invocation, invocation
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.domain.deadletters import DeadLetter
    from ticketops.domain.speed import Speed
    from ticketops.services.dlq.changing import Desk
    from ticketops.services.dlq.choosing import Choice
    from ticketops.services.dlq.importing import LetterFile


@consenting
@pacing
def import_(
    ctx: typer.Context,
    consent: Consent,
    speed: "Speed",
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `ticketops dlq export` wrote.")],
    *,
    queue: Annotated[
        str | None,
        typer.Option("--queue", "-q", metavar="NAME", autocompletion=queue_names, help="All of them go to this queue."),
    ] = None,
) -> int:
    """Bring exported dead letters into their queues, byte for byte, under their ids."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.operations import Verb  # noqa: PLC0415
    from ticketops.services.dlq.choosing import choose_read  # noqa: PLC0415
    from ticketops.services.dlq.importing import LetterFile  # noqa: PLC0415

    inv = invocation(ctx)
    if queue is not None:
        named_queues(inv, [queue])
    source = LetterFile(file, queue)
    admission = Admission(verb=Verb.IMPORT)
    change = Change(admission=admission, consent=consent, settings=speed.settings() | source.settings())

    def chosen(desk: "Desk") -> "Choice":
        letters = _fitting(inv, source)
        moment = desk.store.now()
        return choose_read(admission, letters, source=str(file), annotations=desk.annotations, now=moment)

    return make(inv, change, chosen, source.pick())


def _fitting(inv: Invocation, source: "LetterFile") -> "Iterator[DeadLetter]":
    """Letters whose queues are there, and of their kind."""
    queues = inv.config.dlq.queues
    for letter in source.letters():
        options = queues.get(letter.queue)
        if options is None:
            raise UsageError(
                f"{letter.id} is of the queue {letter.queue}",
                why="[dlq.queues] does not name it",
                hint="give --queue NAME to bring all of them into one queue",
            )
        if options.kind is not letter.kind:
            raise UsageError(
                f"{letter.id} cannot go to the queue {letter.queue}",
                why=f"it is of the kind {letter.kind}, the queue of the kind {options.kind}",
            )
        yield letter
