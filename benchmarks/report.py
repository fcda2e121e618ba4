"""What a benchmark found, as a table for people and as JSON for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Spread


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing."""

    name: str
    spread: Spread
    unit: str


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure is held against."""

    bound: float
    at_least: bool = True

    def is_met(self, value: float) -> bool:
        """True where the value keeps the bound; an unknown value does not."""
        return not math.isnan(value) and (value >= self.bound if self.at_least else value <= self.bound)

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ratio or a figure, and its goal if it has one."""

    name: str
    spread: Spread
    unit: str = "times"
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one benchmark."""

    name: str
    title: str
    figures: Sequence[Figure]
    verdicts: Sequence[Verdict]
    notes: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """Raw measurements, for the JSON."""


def number(value: float) -> str:
    """A number with three or four significant digits and thousands separators."""
    if math.isnan(value):
        return "?"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        text.ljust(width) if i == 0 else text.rjust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def render(report: Report) -> str:
    """The report for people."""
    head = ("", "median", "lowest", "highest", "rounds", "unit")
    figures = [(figure.name, *_cells(figure.spread), figure.unit) for figure in report.figures]
    verdicts = [
        (verdict.name, *_cells(verdict.spread), verdict.unit, *_goal_cells(verdict)) for verdict in report.verdicts
    ]
    parts = [f"{report.name}: {report.title}", "", *lines([head, *figures])]
    if verdicts:
        parts += ["", *lines([(*head, "goal", ""), *verdicts])]
    return "\n".join([*parts, *(["", *report.notes] if report.notes else [])])


def _cells(found: Spread) -> tuple[str, str, str, str]:
    return number(found.median), number(found.low), number(found.high), str(found.rounds)


def _goal_cells(verdict: Verdict) -> tuple[str, str]:
    if verdict.goal is None:
        return "", ""
    return str(verdict.goal), "met" if verdict.goal.is_met(verdict.spread.median) else "MISSED"


def as_json(report: Report, surroundings: Mapping[str, Any]) -> dict[str, Any]:
    """The report for machines, with where and when it was made."""
    return {
        **surroundings,
        "benchmark": report.name,
        "title": report.title,
        "figures": [{"name": f.name, "unit": f.unit, **_spread_json(f.spread)} for f in report.figures],
        "verdicts": [_verdict_json(verdict) for verdict in report.verdicts],
        "notes": list(report.notes),
        "details": dict(report.details),
    }


def _spread_json(found: Spread) -> dict[str, Any]:
    return {"median": found.median, "low": found.low, "high": found.high, "rounds": found.rounds}


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    goal = verdict.goal
    bound = {"goal": str(goal), "met": goal.is_met(verdict.spread.median)} if goal else {"goal": None, "met": None}
    return {"name": verdict.name, "unit": verdict.unit, **_spread_json(verdict.spread), **bound}


def write(folder: Path, report: Report, surroundings: Mapping[str, Any]) -> Path:
    """Write the JSON; answers its path, which the next run replaces."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.name}.json"
    path.write_text(json.dumps(as_json(report, surroundings), indent=2, ensure_ascii=False) + "\n")
    return path
