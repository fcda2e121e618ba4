"""Options that the verbs of `ticketops state` share."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ticketops.cli.frame import invocation
from ticketops.errors import UsageError


def machine_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a machine's name from the configuration; the built-in one alone where that cannot be read."""
    from ticketops.errors import TicketOpsError  # noqa: PLC0415

    try:
        machines = list(invocation(ctx).load(strict=False, read_secrets=False).config.machines)
    except TicketOpsError:
        machines = []
    return [name for name in ("booking", *machines) if name.startswith(incomplete)]


MachineName = Annotated[
    str,
    typer.Option(
        "--machine",
        "-m",
        metavar="NAME",
        autocompletion=machine_names,
        help="The machine; [machines.NAME] adds others.",
    ),
]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Booking id, reference or payment id.")]
States = Annotated[
    list[str] | None, typer.Option("--state", metavar="STATE", help="Only in this state; repeatable, comma-separated.")
]


def chosen_states(given: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The states that are meant, none for all; UsageError where there is no such state."""
    words = [word.strip().upper() for text in given or () for word in text.split(",") if word.strip()]
    by_name = {state.upper(): state for state in known}
    for word in words:
        if word not in by_name:
            raise UsageError(f"there is no state {word}", hint=f"there are {', '.join(known)}")
    return tuple(dict.fromkeys(by_name[word] for word in words))
