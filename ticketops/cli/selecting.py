"""The options that choose outbox events, the same for every verb of `ticketops outbox`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from ticketops.cli.parameters import ids_from_stdin, taking
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.domain.selectors import Selector, TimeOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the command line said of the events it means."""

    ids: list[str] | None = None
    status: list[str] | None = None
    failed: bool = False
    dead: bool = False
    state: str | None = None
    aggregate_type: str | None = None
    event_type: str | None = None
    key: str | None = None
    since: str | None = None
    until: str | None = None
    older_than: str | None = None
    match: str | None = None
    limit: int | None = None
    everything: bool = False

    @property
    def has_times(self) -> bool:
        """True where a time must be resolved."""
        return bool(self.since or self.until or self.older_than)

    def selector(self, now: Callable[[], datetime], time_of: "TimeOf | None" = None) -> "Selector":
        """The conditions, with times resolved against one `now`; UsageError where they make no sense."""
        from ticketops.domain.selectors import Selector, TimeOf, parse_range  # noqa: PLC0415 - `--help` must not pay

        times = (self.since, self.until, self.older_than)
        since, until = parse_range(*times, now()) if self.has_times else (None, None)
        return Selector(
            ids=tuple(_parsed(self.ids or ())),
            statuses=self._statuses(),
            aggregate_type=self.aggregate_type,
            event_type=self.event_type,
            key=self.key,
            since=since,
            until=until,
            time_of=time_of or TimeOf.CREATED,
            match=self.match,
            dead=self.dead,
            state=_state(self.state),
            limit=self.limit,
            everything=self.everything,
        )

    def _statuses(self) -> frozenset[Any]:
        from ticketops.domain.outbox import Status  # noqa: PLC0415

        words = [word.strip().upper() for text in self.status or () for word in text.split(",")]
        if self.failed:
            words.append(Status.FAILED)
        try:
            return frozenset(Status(word) for word in words)
        except ValueError:
            raise UsageError(
                f"{', '.join(words)} is no status", hint=f"write {', '.join(Status)}, comma-separated"
            ) from None


def _options(  # noqa: PLR0913 - one argument per option
    *,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Event ids; `-` reads them from stdin, one a line.")
    ] = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="PENDING, PUBLISHED or FAILED; comma-separated or repeated.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Status FAILED.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters: FAILED, and past their attempts.")] = False,
    state: Annotated[str | None, typer.Option("--state", help="retrying, blocked, parked or dead.")] = None,
    aggregate_type: Annotated[str | None, typer.Option("--type", help="Aggregate type.")] = None,
    event_type: Annotated[str | None, typer.Option("--event-type", help="Event type.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Aggregate id, the record key.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Not before: 15m, 2h, 3d ago, or RFC 3339.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Before: 15m, 2h, 3d ago, or RFC 3339.")
    ] = None,
    older_than: Annotated[str | None, typer.Option("--older-than", metavar="TIME", help="The same as --until.")] = None,
    match: Annotated[str | None, typer.Option("--match", metavar="TEXT", help="Text in the last error.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the first in order.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every event; said on purpose.")] = False,
) -> None:
    """The template of the selector's options."""


selecting = taking(_options, Said)
"""Gives a command every option of the selector; it gets them as its argument `said`."""


def read_ids(said: Said) -> Said:
    """The same with `-` replaced by the ids on stdin."""
    return replace(said, ids=ids_from_stdin(said.ids, "ticketops outbox list --dead -o name"))


def _parsed(words: Iterable[str]) -> Iterable[UUID]:
    """Each id once, in the order given."""
    for word in dict.fromkeys(words):
        try:
            yield UUID(word)
        except ValueError:
            raise UsageError(
                f"{word!r} is no event id", hint="ids are UUIDs; `ticketops outbox list -o name` prints them"
            ) from None


def _state(word: str | None) -> Any:  # noqa: ANN401 - FailureState is not loaded for `--help`
    from ticketops.domain.outbox import FailureState  # noqa: PLC0415

    if word is None:
        return None
    try:
        return FailureState(word.lower())
    except ValueError:
        raise UsageError(f"{word!r} is no state", hint=f"write {', '.join(FailureState)}") from None
