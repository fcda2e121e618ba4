"""A machine's subjects in a snapshot: how many are in each state, stuck in it, past their expiry, or moved wrongly."""

from collections.abc import Mapping
from typing import Final

from ticketops.domain.history import breaks
from ticketops.domain.machine import Machine
from ticketops.domain.overview.snapshot import StateFigures
from ticketops.ports.states import StateView

_NEWEST: Final = 2_000
"""Transitions that are judged."""


def figures(view: StateView, machine: Machine, limits: Mapping[str, float]) -> StateFigures:
    """Counts of the states that are not at rest; of those with a limit, how many exceed it and the longest wait."""
    standing = view.standing(limits, newest=_NEWEST)
    late = {one.state: one for one in standing.late}
    nobody = dict.fromkeys((state for state in machine.states if state not in machine.resting), 0)
    return StateFigures(
        machine=machine.name,
        counts=nobody | {one.state: one.count for one in standing.states},
        stuck={state: late[state].count if state in late else 0 for state in limits},
        limits=dict(limits),
        oldest={state: max((standing.at - one.since).total_seconds(), 0.0) for state, one in late.items()},
        expired=sum(one.expired for one in standing.states),
        invalid=sum(move.count for move in standing.moves if breaks(machine, move) is not None),
    )
