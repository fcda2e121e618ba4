"""Why a line of home is as it is, from the snapshot: partitions, reasons, figures."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from rich.text import Text

from ticketops.domain.lag.verdicts import Grade, Verdict
from ticketops.domain.overview.check import Check, Unit
from ticketops.domain.overview.snapshot import GroupLag, PartitionLag, Snapshot
from ticketops.tui.looks import STYLES, SYMBOLS, age_of, number, safe, sparkline

_PARTITIONS: Final = 3
_REASONS: Final = 4
_BARS: Final = 14
"""Of a partition's sparkline: what 80 columns leave."""
_RANKS: Final = {Grade.BAD: 0, Grade.WARN: 1, Grade.UNKNOWN: 2, Grade.OK: 3}


def reasons(line: Check, snapshot: Snapshot, *, utf8: bool) -> Iterator[Text]:
    """Lines of text, the most telling first."""
    if line.stale_seconds is not None:
        yield Text(f"last good answer {age_of(line.stale_seconds)} ago", STYLES[Grade.UNKNOWN])
    match line.area:
        case "lag":
            yield from _lag(line, snapshot, utf8=utf8)
        case "dlq":
            yield from _letters(line, snapshot)
        case "outbox":
            yield from _outbox(snapshot)
        case _:
            pass
    if line.note:
        yield Text(safe(line.note))


def figure(line: Check, snapshot: Snapshot) -> str:
    """What stands in the pane's title: the group's state, or what the value is measured by."""
    group = group_of(snapshot, line.subject) if line.area == "lag" else None
    if group is not None:
        return f"group {safe(group.state)}, members {group.members}"
    if line.threshold is None:
        return ""
    return f"limit {age_of(line.threshold) if line.threshold_unit is Unit.SECONDS else number(line.threshold)}"


def _lag(line: Check, snapshot: Snapshot, *, utf8: bool) -> Iterator[Text]:
    group = group_of(snapshot, line.subject)
    if line.word in Verdict.__members__:
        said = Verdict(line.word).explanation
        yield Text(said.meaning + (f"; {said.cause}" if said.cause else ""))
    if group is None:
        return
    worst = sorted(group.partitions, key=lambda one: (_RANKS[one.judgment.grade], -(one.judgment.lag or 0)))
    yield Text(f"{'PART':>5} {'COMMITTED':>12} {'END':>12} {'LAG':>9} {'AGE':>8}  STATUS    10 MIN", "bold dim")
    yield from (_partition(part, utf8=utf8) for part in worst[:_PARTITIONS])
    if len(worst) > _PARTITIONS:
        yield Text(f"{len(worst) - _PARTITIONS} more partitions; Enter shows them", "dim")


def group_of(snapshot: Snapshot, name: str) -> GroupLag | None:
    """A consumer group by its name; None where it is not known."""
    groups = snapshot.lag.value if snapshot.lag is not None and snapshot.lag.value else ()
    return next((group for group in groups if group.group == name), None)


def _partition(part: PartitionLag, *, utf8: bool) -> Text:
    judgment = part.judgment
    committed = "-" if part.committed is None else number(part.committed)
    behind = "-" if judgment.lag is None else number(judgment.lag)
    age = age_of(part.age.seconds if part.age else None)
    told = Text(f"{part.partition:>5} {committed:>12} {number(part.end):>12} {behind:>9} {age:>8}  ", no_wrap=True)
    grade = judgment.grade
    told.append(f"{SYMBOLS[grade]} {judgment.verdict:8}", STYLES[grade])
    return told.append(sparkline(part.sparkline[-_BARS:], utf8=utf8))


def _letters(line: Check, snapshot: Snapshot) -> Iterator[Text]:
    reading = snapshot.dead_letters.get(line.subject)
    if reading is None or reading.value is None:
        return
    value = reading.value
    came = ", ".join(f"{number(count)} in {window}" for window, count in value.arrivals.items())
    if came:
        yield Text(f"came: {came}")
    top = sorted(value.reasons.items(), key=lambda pair: -pair[1])
    for reason, count in islice(top, _REASONS):
        share = 100 * count / max(value.depth, sum(value.reasons.values()), 1)  # more came between two questions
        yield Text(f"{number(count):>9} {share:4.0f} %  ", no_wrap=True, overflow="ellipsis").append(safe(reason))
    if len(top) > _REASONS:
        yield Text(f"{len(top) - _REASONS} more reasons; Enter shows causes", "dim")


def _outbox(snapshot: Snapshot) -> Iterator[Text]:
    value = snapshot.outbox.value if snapshot.outbox else None
    if value is not None:
        yield Text(
            f"{number(value.pending)} pending, {number(value.held_back)} aggregates held back, "
            f"{number(value.dead)} dead letters"
        )
