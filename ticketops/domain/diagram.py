"""A machine drawn from its table: Mermaid, Graphviz dot, or text."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ticketops.domain.machine import Machine


class Drawing(StrEnum):
    """How a diagram is written."""

    MERMAID = "mermaid"
    DOT = "dot"
    TEXT = "text"


def draw(machine: Machine, drawing: Drawing) -> str:
    """The diagram, with a newline at its end."""
    return "\n".join(_DRAWN[drawing](machine)) + "\n"


def _edges(machine: Machine) -> Mapping[tuple[str, str], list[str]]:
    """(from, to) = its events, in the order of the table."""
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for rule in machine.rules:
        edges[rule.source, rule.target].append(rule.event)
    return edges


def _mermaid(machine: Machine) -> Iterator[str]:
    names = {state: f"s{number}" for number, state in enumerate(machine.states)}
    yield "stateDiagram-v2"
    for state, name in names.items():
        yield f"    state {_quoted(state)} as {name}"
    yield f"    [*] --> {names[machine.initial]}: {_plain(machine.creation)}"
    for (source, target), events in _edges(machine).items():
        yield f"    {names[source]} --> {names[target]}: {', '.join(_plain(event) for event in events)}"
    for state in machine.states:
        if state in machine.resting:
            yield f"    {names[state]} --> [*]"


def _dot(machine: Machine) -> Iterator[str]:
    yield f"digraph {_quoted(machine.name)} {{"
    yield "    rankdir=LR;"
    yield "    node [shape=box, style=rounded];"
    for state in machine.states:
        marks = "peripheries=2" if state in machine.terminal else "penwidth=2" if state in machine.success else ""
        yield f"    {_quoted(state)}{f' [{marks}]' if marks else ''};"
    for (source, target), events in _edges(machine).items():
        yield f"    {_quoted(source)} -> {_quoted(target)} [label={_quoted(', '.join(events))}];"
    yield "}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the drawing as text."""

    text: str
    state: str
    """The state that it names, or leads to."""
    heading: bool
    """True where a state begins; the moves that lead out of it follow."""


def outline(machine: Machine) -> Iterator[Line]:
    """The drawing as text, line by line."""
    width = max(len(rule.event) for rule in machine.rules) if machine.rules else 0
    for state in machine.states:
        yield Line(f"{state}{_note(machine, state)}", state, heading=True)
        for rule in machine.rules:
            if rule.source == state:
                yield Line(f"    {rule.event:<{width}} -> {rule.target}", rule.target, heading=False)


def _text(machine: Machine) -> Iterator[str]:
    return (line.text for line in outline(machine))


def _note(machine: Machine, state: str) -> str:
    notes = [
        word
        for word, states in (
            ("initial", {machine.initial}),
            ("terminal", machine.terminal),
            ("success", machine.success),
        )
        if state in states
    ]
    return f" ({', '.join(notes)})" if notes else ""


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(name: str) -> str:
    """A label in Mermaid ends at a line's end, and a semicolon starts a statement."""
    return name.replace("\n", " ").replace(";", ",")


_DRAWN: Mapping[Drawing, Callable[[Machine], Iterator[str]]] = {
    Drawing.MERMAID: _mermaid,
    Drawing.DOT: _dot,
    Drawing.TEXT: _text,
}
