"""What `relay pause` and `relay resume` have in common: their options, and the part of the outbox they mean."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.frame import Invocation
from ticketops.cli.parameters import DryRun, PauseReason, Yes, taking
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.services.relay.pauses import Part, Pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What the command line said of a change to the pauses."""

    topic: str = ""
    aggregate_type: str = ""
    shard: int | None = None
    reason: str = ""
    dry_run: bool = False
    yes: bool = False

    def part(self, config: "Config") -> "Part":
        """What is meant; UsageError where that is not one thing."""
        from ticketops.domain.relay import PauseScope  # noqa: PLC0415 - `--help` must not pay for it
        from ticketops.services.relay.pauses import Part  # noqa: PLC0415

        given = [
            Part(PauseScope.TOPIC, self.topic),
            Part(PauseScope.AGGREGATE_TYPE, self.aggregate_type),
            Part(PauseScope.SHARD, "" if self.shard is None else str(self.shard)),
        ]
        chosen = [part for part in given if part.value]
        if len(chosen) > 1:
            raise UsageError("--topic, --aggregate-type and --shard exclude each other", hint="give one of them")
        part = chosen[0] if chosen else Part()
        part.require_shard(config.relay.shards)
        return part


def _options(
    *,
    topic: Annotated[str, typer.Option("--topic", help="Only events for this topic.")] = "",
    aggregate_type: Annotated[str, typer.Option("--aggregate-type", help="Only events of this aggregate type.")] = "",
    shard: Annotated[int | None, typer.Option("--shard", min=0, help="Only this shard.")] = None,
    reason: PauseReason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """The template of the options."""


changing_pauses = taking(_options, Change, name="change")
"""Gives a command every option of a change to the pauses, as its argument `change`."""


def open_pauses(inv: Invocation) -> "Pauses":
    """The pauses of this outbox, as far as the context may be changed."""
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.services.relay.pauses import Pauses  # noqa: PLC0415

    config = inv.config
    return Pauses(wiring.open_shard_leases(config), Access(config.context, config.read_only), wiring.actor())
