"""What a change would meet: counted item by item, told in words."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from ticketops.domain.admission import Left
from ticketops.domain.deadletters import DeadLetter, Guarantee, Outcome
from ticketops.domain.operations import Verb
from ticketops.domain.selectors import show_moment

_TOP = 5
_SAID = {
    Verb.REQUEUE: "requeue",
    Verb.DISCARD: "discard",
    Verb.RESTORE: "restore",
    Verb.PURGE: "delete for good",
    Verb.EDIT: "edit",
    Verb.HOLD: "hold",
    Verb.RELEASE: "release",
    Verb.IMPORT: "import",
    Verb.CLEANUP: "clean up",
    Verb.MEND: "mend",
}


@dataclass(slots=True)
class PlanTally:
    """Counts the items of a plan; memory grows with what is different, not with their number."""

    selected: int = 0
    left: Counter[Outcome] = field(default_factory=Counter)
    queues: Counter[str] = field(default_factory=Counter)
    """Of all items that were selected."""
    touched: Counter[str] = field(default_factory=Counter)
    """Queues of the items that the change would touch."""
    reasons: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    destinations: Counter[str] = field(default_factory=Counter)
    oldest: datetime | None = None
    newest: datetime | None = None

    @property
    def meant(self) -> int:
        """Items that the change would touch."""
        return self.selected - sum(self.left.values())

    def add(self, letter: DeadLetter, group: str, left: Left | None) -> None:
        """Count one item."""
        self.selected += 1
        self.queues[letter.queue] += 1
        if left is not None:
            self.left[left.outcome] += 1
            return
        self.touched[letter.queue] += 1
        self.reasons[letter.reason] += 1
        self.groups[group] += 1
        self.destinations[letter.destination] += 1
        if letter.failed_at is not None:
            self.oldest = min(self.oldest or letter.failed_at, letter.failed_at)
            self.newest = max(self.newest or letter.failed_at, letter.failed_at)


def plan_lines(
    verb: Verb, tally: PlanTally, guarantees: dict[str, Guarantee], selector: dict[str, object]
) -> tuple[str, ...]:
    """The plan in words: how many, how old, why, where to, what is left."""
    lines = [f"{_SAID[verb]} {_items(tally.meant)} in {_pairs(tally.touched or tally.queues)}"]
    if tally.oldest and tally.newest:
        lines.append(f"failed {show_moment(tally.oldest)} … {show_moment(tally.newest)}")
    if tally.reasons:
        lines.append(f"reasons: {_top(tally.reasons)}")
    lines += [f"{_times(number)}: {title}" for title, number in tally.groups.most_common(_TOP) if title]
    if verb is Verb.REQUEUE:
        lines += _where(tally, guarantees)
    lines += [f"left as they are: {number}, {outcome}" for outcome, number in sorted(tally.left.items())]
    lines.append(f"selected by {_pairs(selector) or 'all'}")
    return tuple(lines)


def _where(tally: PlanTally, guarantees: dict[str, Guarantee]) -> list[str]:
    to = [f"to {_top(tally.destinations)}"] if tally.destinations else []
    weak = sorted(name for name in tally.queues if guarantees.get(name) is Guarantee.AT_LEAST_ONCE)
    return to + ([f"at least once: a crash in the middle can repeat items of {', '.join(weak)}"] if weak else [])


def _top(counts: Counter[str]) -> str:
    shown = _pairs(dict(counts.most_common(_TOP)))
    more = len(counts) - _TOP
    return f"{shown} and {more} more" if more > 0 else shown


def _pairs(counts: "dict[str, object] | Counter[str] | dict[str, int]") -> str:
    return ", ".join(f"{name or '-'} {value}" for name, value in counts.items())


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _items(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"
