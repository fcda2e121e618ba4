"""A machine's subjects in a snapshot: how many are in each state, stuck in it, or past their expiry."""

from collections.abc import Mapping

from ticketops.domain.machine import Machine
from ticketops.domain.overview.snapshot import StateFigures
from ticketops.ports.states import StateView


def figures(view: StateView, machine: Machine, limits: Mapping[str, float]) -> StateFigures:
    """Counts of the states that are not ended; of those with a limit, how many exceed it and the longest wait."""
    now, states = view.now(), view.states()
    stuck, oldest = dict[str, int](), dict[str, float]()
    for state, limit in limits.items():
        number, worst = view.waiting({state: limit}, limit=1)
        stuck[state] = number
        if worst and worst[0].since is not None:
            oldest[state] = max((now - worst[0].since).total_seconds(), 0.0)
    ended = machine.terminal | machine.success
    return StateFigures(
        machine=machine.name,
        counts={state.state: state.count for state in states if state.state not in ended},
        stuck=stuck,
        limits=dict(limits),
        oldest=oldest,
        expired=sum(state.expired for state in states),
    )
