"""Configuration: TOML, contexts, environment and flags, made into frozen options.

The names below are loaded on first use, so that `ticketops.config.redact` costs nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ticketops.config.loader import Settings, load
    from ticketops.config.schema import Config

__all__ = ["Config", "Settings", "load"]

_HOMES: Final = {"Config": "schema", "Settings": "loader", "load": "loader"}


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
