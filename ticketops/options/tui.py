"""The dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class TuiOptions:
    """The dashboard: `ticketops tui`."""

    every: Annotated[float, Meta(ge=1)] = 5.0
    """Seconds after which a source is asked again; --every wins."""
    theme: Literal["dark", "light"] = "dark"
    """`dark` or `light`; --theme wins, and NO_COLOR in the environment takes all colors away."""
    snapshots: str = ""
    """The folder that `w` saves snapshots in; empty: the working directory."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Action = its keys, where they are not the usual ones; `?` in the dashboard shows what there is."""
