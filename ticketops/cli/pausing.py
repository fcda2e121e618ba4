"""What `relay pause` and `relay resume` have in common: their options, and the part of the outbox they mean."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticketops.cli.frame import Invocation
from ticketops.domain.records import ANY_TYPE
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.domain.relay import PauseScope
    from ticketops.services.relay.pauses import Pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What the command line said of a change to the pauses."""

    topic: str = ""
    aggregate_type: str = ""
    shard: int | None = None
    reason: str = ""
    dry_run: bool = False
    yes: bool = False

    def scope(self, config: "Config") -> tuple["PauseScope", str]:
        """What is meant, and its value; UsageError where that is not one thing."""
        from ticketops.domain.relay import PauseScope  # noqa: PLC0415 - `--help` must not pay for it

        given = [
            (PauseScope.TOPIC, self.topic),
            (PauseScope.AGGREGATE_TYPE, self.aggregate_type),
            (PauseScope.SHARD, "" if self.shard is None else str(self.shard)),
        ]
        chosen = [(scope, value) for scope, value in given if value]
        if len(chosen) > 1:
            raise UsageError("--topic, --aggregate-type and --shard exclude each other", hint="give one of them")
        shards = config.relay.shards
        if self.shard is not None and self.shard >= shards:
            raise UsageError(f"there is no shard {self.shard}", why=f"relay.shards is {shards}, counted from 0")
        return chosen[0] if chosen else (PauseScope.ALL, "")

    def require_known(self, config: "Config") -> None:
        """UsageError for what is not there: its pause would stop nothing, and its author would not know."""
        topics, kind, topic = config.outbox.topics, self.aggregate_type, self.topic
        if kind and kind not in topics and ANY_TYPE not in topics:
            raise UsageError(f"there is no aggregate type {kind}", hint=f"there are {', '.join(sorted(topics))}")
        if topic and topic not in topics.values() and not any("{type}" in name for name in topics.values()):
            known = ", ".join(sorted(set(topics.values())))
            raise UsageError(f"no events go to topic {topic}", hint=f"they go to {known}")


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


def flags(scope: "PauseScope", value: str) -> str:
    """The same part of the outbox, as a command line says it."""
    return f" --{scope.value.replace('_', '-')} {value}" if value else ""
