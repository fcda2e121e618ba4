"""Looks at a snapshot with every rule, keeps what became of each alert, and queues what is to be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ticketops.domain.alerts.facts import Fact, facts
from ticketops.domain.alerts.lifecycle import Alert, Message, Next, Notice, Silence, ended, step
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
        changes = {_key(one): self._step(one, known, silences, now) for one in judged}
        changes |= {key: ended(known[key], now) for key in self._orphans(known, judged, snapshot)}
        gone = [alert for key, after in changes.items() if after.alert is None and (alert := known.get(key))]
        kept = [after.alert for key, after in changes.items() if after.alert and after.alert != known.get(key)]
        messages = [told for after in changes.values() for told in self._messages(after, now)]
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
            patience=timedelta(seconds=2 * LEASE * self._options.interval + self._options.delivery_timeout),
            silenced=any(silence.covers(one.rule.name, one.fact.subject, now) for silence in silences),
        )

    def _orphans(
        self, known: Mapping[tuple[str, str], Alert], judged: Sequence[Judged], snapshot: Snapshot
    ) -> Iterator[tuple[str, str]]:
        """Alerts of rules that were removed, or of subjects that a source which answered no longer has."""
        seen = {_key(one) for one in judged}
        silent = [fact for fact in facts(snapshot) if fact.values is None]
        areas = {one.rule.name: one.fact.area for one in judged}
        for key, alert in known.items():
            hidden = any(fact.area == areas.get(alert.rule) and _has(fact, alert.subject) for fact in silent)
            if key not in seen and not hidden and alert.resolved_at is None:
                yield key

    def _messages(self, after: Next, now: datetime) -> Iterator[Message]:
        if after.alert is None or after.notice is None:
            return
        alert = after.alert
        rule = self._options.rules.get(alert.rule) or RuleOptions(when="")
        for name, target in self._options.targets.items():
            if rule.severity in target.severities:
                yield Message(
                    target=name,
                    notice=Notice(after.notice),
                    rule=alert.rule,
                    subject=alert.subject,
                    severity=rule.severity,
                    text=alert.message,
                    labels=tuple(rule.labels.items()),
                    at=now,
                    since=alert.since,
                    due=now,
                )


def _has(silent: Fact, subject: str) -> bool:
    """Whether a source that did not answer may have the subject: all of its area, or those of its machine."""
    return not silent.subject or subject.startswith(f"{silent.subject}/")


def _key(one: Judged) -> tuple[str, str]:
    return one.rule.name, one.fact.subject
