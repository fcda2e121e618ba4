"""Looks at a snapshot with every rule, keeps what became of each alert, and queues what is to be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ticketops.domain.alerts.facts import Fact, facts
from ticketops.domain.alerts.lifecycle import Alert, Message, Next, Notice, Silence, step
from ticketops.domain.alerts.rules import Condition, Rule, compiled, message
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.options.alerts import AlertsOptions, RuleOptions
from ticketops.ports.alerts import AlertStore

LEASE = 3.0
"""Times the interval that an evaluator may be silent before another takes over."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule on one subject."""

    rule: Rule
    fact: Fact
    holds: bool | None
    """None: the source did not answer."""


def rules_of(options: AlertsOptions) -> tuple[Rule, ...]:
    """The rules that are enabled."""
    return tuple(rule_of(name, rule) for name, rule in options.rules.items() if rule.enabled)


def rule_of(name: str, options: RuleOptions) -> Rule:
    """A rule of the configuration."""
    return Rule(
        name=name,
        when=options.when,
        hold=options.for_seconds,
        severity=options.severity,
        message=options.message,
        labels=options.labels,
    )


class Judge:
    """The rules, compiled once; ExpressionError where one is no condition."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: tuple[tuple[Rule, Condition], ...] = tuple((rule, compiled(rule)) for rule in rules)

    def judge(self, snapshot: Snapshot) -> Iterator[Judged]:
        """Every rule on every subject of its area."""
        known = tuple(facts(snapshot))
        for rule, condition in self._rules:
            for fact in known:
                if fact.area == condition.area:
                    yield Judged(rule, fact, condition.holds(fact))


class Evaluator:
    """The one evaluator among many, while the store says so."""

    def __init__(self, store: AlertStore, options: AlertsOptions, owner: str) -> None:
        self._store = store
        self._options = options
        self._owner = owner
        self._judge = Judge(rules_of(options))

    def evaluate(self, snapshot: Snapshot) -> bool:
        """Look once; False where another process evaluates."""
        if not self._store.lead(self._owner, self._options.interval * LEASE):
            return False
        now = self._store.now()
        known = {(alert.rule, alert.subject): alert for alert in self._store.alerts()}
        silences = self._store.silences()
        judged = list(self._judge.judge(snapshot))
        changes = [(one, self._step(one, known, silences, now)) for one in judged]
        gone = [alert for one, after in changes if after.alert is None and (alert := known.get(_key(one)))]
        gone += self._orphans(known, judged, snapshot)
        kept = [
            after.alert for one, after in changes if after.alert is not None and after.alert != known.get(_key(one))
        ]
        messages = [told for one, after in changes if after.notice for told in self._messages(one, after, now)]
        self._store.save(kept, [alert for alert in gone if alert.resolved_at is None], messages)
        self._store.evaluated(now)
        return True

    def _step(
        self, one: Judged, known: Mapping[tuple[str, str], Alert], silences: Sequence[Silence], now: datetime
    ) -> Next:
        return step(
            known.get(_key(one)),
            one.holds,
            now,
            rule=one.rule.name,
            subject=one.fact.subject,
            message=message(one.rule, one.fact) if one.holds else "",
            hold=timedelta(seconds=one.rule.hold),
            repeat=timedelta(hours=self._options.repeat_hours),
            silenced=any(silence.covers(one.rule.name, one.fact.subject, now) for silence in silences),
        )

    def _orphans(
        self, known: Mapping[tuple[str, str], Alert], judged: Sequence[Judged], snapshot: Snapshot
    ) -> list[Alert]:
        """Alerts of rules that were removed, or of subjects that a source which answered no longer has."""
        seen = {_key(one) for one in judged}
        silent = {fact.area for fact in facts(snapshot) if fact.values is None}
        areas = {one.rule.name: one.fact.area for one in judged}
        return [alert for key, alert in known.items() if key not in seen and areas.get(alert.rule) not in silent]

    def _messages(self, one: Judged, after: Next, now: datetime) -> Iterator[Message]:
        if after.alert is None or after.notice is None:
            return
        text = after.alert.message or message(one.rule, one.fact)
        for name, target in self._options.targets.items():
            if one.rule.severity in target.severities:
                yield Message(
                    target=name,
                    notice=Notice(after.notice),
                    rule=one.rule.name,
                    subject=one.fact.subject,
                    severity=one.rule.severity,
                    text=text,
                    labels=tuple(one.rule.labels.items()),
                    at=now,
                    since=after.alert.since,
                    due=now,
                )


def _key(one: Judged) -> tuple[str, str]:
    return one.rule.name, one.fact.subject
