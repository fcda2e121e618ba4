"""What every verb of `ticketops dlq` needs of its invocation: queues by name, a clock, what to say of trouble."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation

if TYPE_CHECKING:
    from ticketops.services.dlq.detail import Memory
    from ticketops.services.dlq.finding import Opener, Search, Trouble


def opener(inv: Invocation) -> "Opener":
    """Opens queues as the configuration names them, with the waits that --timeout says."""
    from ticketops.wiring.deadletters import open_queue  # noqa: PLC0415 - loads the drivers

    return lambda name: open_queue(inv.config, name, timeout=inv.timeout)


def now() -> datetime:
    """This machine's clock: one for all queues, and there when they are not."""
    return datetime.now(UTC)


def tell(inv: Invocation, trouble: "Trouble") -> int:
    """Say what went wrong on the way; the exit code that goes with it."""
    from ticketops.services.dlq.finding import words  # noqa: PLC0415 - `--help` must not pay for it

    for line in words(trouble.queues):
        inv.out.note(line)
    doubts = trouble.doubts
    if doubts.unfit:
        inv.out.note(f"--where could not be computed for {doubts.unfit} of {doubts.asked} items: {doubts.objection}")
    if not trouble.queues:
        return ExitCode.DONE
    return ExitCode.UNREACHABLE if trouble.unreachable else ExitCode.PARTLY


def tell_search(inv: Invocation, search: "Search") -> int:
    """The same of a search, with the ids that were named and are not there."""
    code = tell(inv, search.trouble)
    for letter_id in search.missing:
        inv.out.note(absence(inv, letter_id, search.trouble))
    return code or (ExitCode.NOT_FOUND if search.missing else ExitCode.DONE)


def absence(inv: Invocation, letter_id: str, trouble: "Trouble") -> str:
    """What is known of an id that was not found."""
    if trouble.queues:
        return f"{letter_id} was not found, but {', '.join(trouble.queues)} did not answer"
    if letter_id in inv.config.dlq.queues:
        return f"{letter_id} is a queue, not a dead letter: --queue {letter_id}"
    return f"there is no dead letter {letter_id}"


def memory(inv: Invocation) -> "Memory":
    """What is remembered of dead letters: operations, holds, archive and edits."""
    from ticketops.services.dlq.detail import Memory  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.store import open_annotations, open_operation_store  # noqa: PLC0415 - loads SQLAlchemy

    return Memory(lambda: open_operation_store(inv.config), lambda: open_annotations(inv.config))
