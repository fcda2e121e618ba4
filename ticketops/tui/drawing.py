"""A state machine as text, with what is in each state now."""

from collections.abc import Iterator, Mapping

from rich.style import Style
from rich.text import Text

from ticketops.domain.diagram import Line, outline
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.machine import Machine
from ticketops.domain.overview.snapshot import StateFigures
from ticketops.tui.looks import STYLES, age_of, number, safe


def drawn(machine: Machine, counts: Mapping[str, int], figures: StateFigures | None) -> Text:
    """The drawing of `ticketops state diagram -o text`; a state with its count, in the color of its grade.

    `counts`: of all states, where they are known.
    """
    return Text("\n").join(_lines(machine, counts, figures))


def _lines(machine: Machine, counts: Mapping[str, int], figures: StateFigures | None) -> Iterator[Text]:
    for line in outline(machine):
        if not line.heading:
            yield _move(line, figures)
            continue
        grade = _grade(line.state, figures)
        style = STYLES[grade] if grade is not Grade.OK else Style(bold=True)
        told = Text(f"{safe(line.text):30}", style, no_wrap=True)
        if (count := counts.get(line.state)) is not None:
            told.append(f"{number(count):>9}", style)
        yield told.append(_stuck(line.state, figures), STYLES[Grade.WARN])


def _move(line: Line, figures: StateFigures | None) -> Text:
    said, arrow, target = safe(line.text).rpartition(" -> ")
    told = Text(said + arrow, "dim", no_wrap=True)
    grade = _grade(line.state, figures)
    return told.append(target, STYLES[grade] if grade is not Grade.OK else Style(dim=False))


def _grade(state: str, figures: StateFigures | None) -> Grade:
    return Grade.WARN if figures is not None and figures.stuck.get(state) else Grade.OK


def _stuck(state: str, figures: StateFigures | None) -> str:
    stuck = figures.stuck.get(state) if figures else None
    if not stuck or figures is None:
        return ""
    limit = figures.limits.get(state)
    return f"  ! {number(stuck)} stuck" + (f" > {age_of(limit)}" if limit else "")
