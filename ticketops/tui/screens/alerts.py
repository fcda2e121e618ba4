"""Alerts: which rules hold, since when, and what keeps them quiet."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from ticketops.domain.alerts.lifecycle import Alert, Phase, Silence
from ticketops.domain.alerts.rules import Rule
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.snapshot import AlertFigures
from ticketops.tui.actions import ON_ALERTS, bindings
from ticketops.tui.bar import Bar
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, safe
from ticketops.tui.proposals import Step
from ticketops.tui.screens.inspector import Inspector
from ticketops.tui.screens.reading import ReadScreen, pane
from ticketops.tui.sources import Sources
from ticketops.tui.table import Column, Row

_GRADES: Final = {Phase.FIRING: Grade.BAD, Phase.PENDING: Grade.WARN, Phase.RESOLVED: Grade.OK}


@dataclass(frozen=True, slots=True)
class Known:
    """What the store of alerts says."""

    now: datetime
    alerts: Sequence[Alert]
    silences: Sequence[Silence]
    figures: AlertFigures


class AlertsScreen(ReadScreen[Known]):
    """Alerts that are pending, fire or were resolved within a day; then the rules that do not hold."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*ON_ALERTS)]

    COLUMNS: ClassVar[Sequence[Column]] = (
        Column("", most=10),
        Column("RULE", most=22),
        Column("SUBJECT", most=18),
        Column("SINCE", right=True, most=8),
        Column("SEVERITY", most=8, spare=True),
        Column("MESSAGE", most=80, rest=True),
    )

    def __init__(self, sources: Sources) -> None:
        super().__init__("alerts")
        self._sources = sources

    def below(self) -> ComposeResult:
        """See TabledScreen."""
        yield pane("2 SILENCES")
        yield Inspector(3)

    def read(self) -> Known:
        """See ReadScreen."""
        with closing(self._sources.alerts()) as store:
            return Known(store.now(), store.alerts(), store.silences(), store.figures())

    def filled(self, found: Known) -> None:
        """See ReadScreen."""
        rules = {rule.name: rule for rule in self._sources.rules}
        quiet = set(rules) - {alert.rule for alert in found.alerts}
        rows = [_alert_row(alert, rules.get(alert.rule), found) for alert in found.alerts]
        rows += [_rule_row(rule) for rule in self._sources.rules if rule.name in quiet]
        figures = found.figures
        self.show_rows(rows, f"{figures.firing} firing, {figures.pending} pending, {len(rules)} rules")
        self.query_one("#why-bar", Bar).show("2 SILENCES", str(len(found.silences)))
        self.query_one("#why", Static).update(Text("\n").join(_told(found)))

    def words(self) -> tuple[str, ...]:
        """See TabledScreen."""
        return ("alerts",)

    def command(self) -> str:
        """See TabledScreen."""
        return "ticketops alerts list"

    def planned(self, verb: str, keys: tuple[str, ...]) -> Step | None:
        """See TabledScreen."""
        alerts = self._sources.verbs.alerts
        if verb == "unsilence":
            return alerts.unsilence
        key = self.one(keys, "alert")
        if key is None:
            return None
        rule, _, subject = key.partition("\0")
        return partial(alerts.silence, rule, subject)


def _alert_row(alert: Alert, rule: Rule | None, found: Known) -> Row:
    grade = _GRADES[alert.phase]
    since = (found.now - alert.since).total_seconds()
    quiet = any(one.covers(alert.rule, alert.subject, found.now) for one in found.silences)
    cells = (
        f"{SYMBOLS[grade]} {alert.phase.value}",
        safe(alert.rule),
        safe(alert.subject, 200),
        age_of(since),
        safe(rule.severity.value) if rule else "",
        ("silenced: " if quiet else "") + safe(alert.message, 1000),
    )
    order = (float(grade is Grade.BAD) * 2 + float(grade is Grade.WARN), None, None, since)
    return Row(f"{alert.rule}\0{alert.subject}", cells, (STYLES[grade],), order)


def _rule_row(rule: Rule) -> Row:
    hold = f" for {age_of(rule.hold)}" if rule.hold else ""
    cells = (". quiet", safe(rule.name), "", "", safe(rule.severity.value), f"{safe(rule.when)}{hold}")
    return Row(rule.name, cells, (STYLES[Grade.OK],), (-1.0,))


def _told(found: Known) -> Iterator[Text]:
    figures = found.figures
    if figures.evaluated_seconds is None:
        yield Text("! nothing was evaluated yet; start `ticketops alerts run`", STYLES[Grade.WARN])
    else:
        yield Text(f"evaluated {age_of(figures.evaluated_seconds)} ago", "dim")
    if figures.undelivered:
        told = f"X {figures.undelivered} messages could not be delivered: {safe(figures.last_error, 300)}"
        yield Text(told, STYLES[Grade.BAD])
    for one in found.silences:
        left = age_of((one.until - found.now).total_seconds())
        yield Text(f"{one.id}: {safe(one.rule)}, {safe(one.subject)}, {left} left, by {safe(one.by)}: ").append(
            safe(one.reason, 300)
        )
    if not found.silences:
        yield Text("no silence is in force; `ticketops alerts silence RULE --for 1h` makes one", "dim")
