"""Consumer lag."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from ticketops.options.types import Natural, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LagOptions:
    """Consumer lag: which groups and topics count, and how a trend is told."""

    groups: tuple[str, ...] = (".*",)
    """Only groups that one of these regular expressions matches as a whole."""
    ignore_groups: tuple[str, ...] = ("console-consumer-.*",)
    """Groups to leave out."""
    topics: tuple[str, ...] = (".*",)
    """Only topics that one of these regular expressions matches as a whole."""
    ignore_topics: tuple[str, ...] = ("__.*",)
    """Topics to leave out."""
    bound: Natural = 0
    """Records up to which a consumer counts as caught up."""
    bound_by_topic: Mapping[str, Natural] = field(default_factory=dict)
    """Topic = bound, where it differs."""
    window: Annotated[float, Meta(ge=30)] = 600.0
    """Seconds that a verdict looks back; a consumer that caught up once within them is fine."""
    interval: Seconds = 10.0
    """Seconds between two looks of `lag watch` and of a daemon."""
    history_file: str = ""
    """Where earlier looks are kept, so that a single command can tell a trend; empty: in the user's state folder."""
