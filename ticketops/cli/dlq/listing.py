"""`ticketops dlq list`: dead letters, streamed."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import typer

from ticketops.cli.dlq.desk import now, opener, tell_search
from ticketops.cli.dlq.rows import LETTER, letter_row
from ticketops.cli.dlq.selecting import SaidOfLetters, named_queues, resolved, selecting
from ticketops.cli.frame import invocation

if TYPE_CHECKING:
    from ticketops.domain.dead_letter_selector import DeadLetterSelector

_LIMIT: Final = 50


@selecting
def list_(ctx: typer.Context, said: SaidOfLetters) -> int:
    """List dead letters, in each queue the oldest first; 50 unless --limit or --all says more."""
    from ticketops.services.dlq.finding import Search  # noqa: PLC0415 - `--help` must not pay for it

    inv = invocation(ctx)
    selector = _listed(resolved(inv, said, now))
    search = Search(opener(inv), named_queues(inv, said.queue), selector)
    moment = now()
    inv.out.rows("dead_letter", LETTER, (letter_row(letter, moment) for letter in search.letters()))
    if search.more:
        inv.out.note(f"there are more than {selector.limit}; --limit N shows more, --all shows all")
    return tell_search(inv, search)


def _listed(selector: "DeadLetterSelector") -> "DeadLetterSelector":
    if selector.everything or selector.ids or selector.limit:
        return selector
    return replace(selector, limit=_LIMIT)
