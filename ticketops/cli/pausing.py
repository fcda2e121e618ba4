"""What `relay pause` and `relay resume` have in common: their options, and the part of the outbox they mean."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketops.cli.frame import Invocation
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


def changing_pauses(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of a change to the pauses; it gets them as its argument `change`."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "change"]
    chosen = list(inspect.signature(_options).parameters.values())
    names = [parameter.name for parameter in chosen]

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:  # noqa: ANN401 - Typer passes what it parsed
        change = Change(**{name: values.pop(name) for name in names})
        return command(change=change, **values)

    wrapped.__signature__ = inspect.Signature([*own, *chosen])  # type: ignore[attr-defined]  # read by Typer
    wrapped.__annotations__ = {p.name: p.annotation for p in (*own, *chosen)} | {"return": None}
    return wrapped


def _options(
    *,
    topic: Annotated[str, typer.Option("--topic", help="Only events for this topic.")] = "",
    aggregate_type: Annotated[str, typer.Option("--aggregate-type", help="Only events of this aggregate type.")] = "",
    shard: Annotated[int | None, typer.Option("--shard", min=0, help="Only this shard.")] = None,
    reason: Annotated[str, typer.Option("--reason-text", help="Why; kept with the pause and in the audit log.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """The template of the options."""


def open_pauses(inv: Invocation) -> "Pauses":
    """The pauses of this outbox, as far as the context may be changed."""
    from ticketops import wiring  # noqa: PLC0415
    from ticketops.services.guard import Access  # noqa: PLC0415
    from ticketops.services.relay.pauses import Pauses  # noqa: PLC0415

    config = inv.config
    return Pauses(wiring.open_shard_leases(config), Access(config.context, config.read_only), wiring.actor())
