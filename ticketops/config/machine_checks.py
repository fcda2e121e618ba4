"""What of the state machines contradicts itself."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from ticketops.config.problems import Problem, did_you_mean
from ticketops.config.schema import Config
from ticketops.domain.bookings import BOOKING
from ticketops.domain.machine import Machine
from ticketops.errors import ConfigError
from ticketops.options import HistoryColumns, Places

_MAX_IDENTIFIER: Final = 63
"""Bytes in a PostgreSQL identifier (NAMEDATALEN - 1); a longer one is cut silently."""
_OPTIONAL: Final = frozenset({"transition_id", "triggered_by", "reason", "event"})
"""Columns that a history may lack."""


def check(config: Config) -> Iterator[Problem]:
    """Everything that cannot work; asks no backend."""
    yield from _places("state", config.state.places)
    yield from _limits("state", BOOKING, config.state.limits)
    for name, options in config.machines.items():
        section = f"machines.{name}"
        if name == BOOKING.name:
            yield Problem(f"{section} is the built-in machine's name", hint="give it another name")
            continue
        try:
            machine, places = options.machine(name), options.places
        except ConfigError as error:
            yield Problem(f"[{section}]: {error.what}", why=error.why, hint=error.hint)
            continue
        yield from _places(section, places)
        yield from _limits(section, machine, options.limits)


def _limits(section: str, machine: Machine, limits: Mapping[str, float]) -> Iterator[Problem]:
    for state in limits:
        if state not in machine.states:
            hint = did_you_mean(state, machine.states) or f"there are {', '.join(machine.states)}"
            yield Problem(f"{section}.limits names {state}, which is no state", hint=hint)


def _places(section: str, places: Places) -> Iterator[Problem]:
    columns, recorded = places.columns, places.history_columns
    needed = {"table": places.table, "history_table": places.history_table}
    needed |= {f"columns.{name}": getattr(columns, name) for name in ("key", "state")}
    needed |= {
        f"history_columns.{item.name}": getattr(recorded, item.name)
        for item in fields(HistoryColumns)
        if item.name not in _OPTIONAL
    }
    for key, name in needed.items():
        if not name:
            yield Problem(f"{section}.{key} is empty", hint="name it")
    named = needed | {f"columns.{item.name}": getattr(columns, item.name) for item in fields(columns)}
    for key, name in named.items():
        if len(name.encode(errors="replace")) > _MAX_IDENTIFIER or "\0" in name:
            yield Problem(
                f"{section}.{key} is no PostgreSQL name", why=f"a name has at most {_MAX_IDENTIFIER} bytes, and no NUL"
            )
        elif "%" in name:
            yield Problem(f"{section}.{key} holds a %", why="statements with parameters cannot hold it")
