"""What a command means, out of queues, the archive or a file, as a plan."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from ticketops.domain.admission import Admission
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter, Guarantee
from ticketops.domain.fingerprint import group_of
from ticketops.domain.operations import Verb
from ticketops.errors import RefusedError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import Annotations
from ticketops.services.dlq.finding import Opener, Search, Trouble
from ticketops.services.dlq.planning import Plan, Planner


@dataclass(slots=True)
class Choice:
    """A plan, and what went wrong on the way to it."""

    plan: Plan
    trouble: Trouble = field(default_factory=Trouble)
    missing: Sequence[str] = ()
    """Ids that were named and are nowhere."""


@dataclass(slots=True)
class _Noted:
    """What is learned of queues while they are open."""

    opener: Opener
    guarantees: dict[str, Guarantee] = field(default_factory=dict)
    moments: list[datetime] = field(default_factory=list)

    def open(self, name: str) -> DeadLetterQueue:
        queue = self.opener(name)
        self.guarantees[name] = queue.guarantee
        self.moments.append(queue.now())
        return queue


def require_selector(verb: Verb, selector: DeadLetterSelector) -> None:
    """RefusedError where it is not said which dead letters are meant."""
    if selector.selects or selector.everything:
        return
    raise RefusedError(
        f"it is not said which dead letters to {verb}",
        why="a change without a selector would meet every one",
        hint="give ids or a selector such as --reason or --group, or --all if you mean all",
    )


def choose(
    admission: Admission,
    selector: DeadLetterSelector,
    *,
    opener: Opener,
    queues: Sequence[str],
    annotations: Annotations,
    now: datetime,
) -> Choice:
    """The plan of a change to what is in queues; one that does not answer is left out, and told if it matters."""
    noted = _Noted(opener)
    search = Search(noted.open, queues, selector)
    plan = _planner(annotations).plan(
        admission, search.letters(), selector=selector.words(), cutoff=now, guarantees=noted.guarantees
    )
    plan = replace(plan, cutoff=min(noted.moments, default=now))
    trouble = Trouble() if selector.ids and not search.missing else search.trouble
    return Choice(plan, trouble, search.missing)


def choose_archived(
    admission: Admission,
    selector: DeadLetterSelector,
    *,
    queues: Sequence[str],
    annotations: Annotations,
    now: datetime,
    until: datetime | None = None,
) -> Choice:
    """The plan of a change to what is in the archive; `until`: only what was discarded before."""
    found = set[str]()

    def letters() -> Iterator[DeadLetter]:
        for queue in queues:
            for archived, letter in annotations.archived(queue, selector.ids or None):
                if selector.matches(letter) and (until is None or archived.at < until):
                    found.add(letter.id)
                    yield letter

    plan = _planner(annotations).plan(
        admission, islice(letters(), selector.limit), selector=selector.words(), cutoff=now, guarantees={}
    )
    return Choice(plan, missing=[id_ for id_ in selector.ids if id_ not in found])


def choose_read(
    admission: Admission, letters: Iterable[DeadLetter], *, source: str, annotations: Annotations, now: datetime
) -> Choice:
    """The plan of an import of what `source` has."""
    selector = {"file": source}
    return Choice(_planner(annotations).plan(admission, letters, selector=selector, cutoff=now, guarantees={}))


def _planner(annotations: Annotations) -> Planner:
    return Planner(annotations, lambda letter: group_of(letter).label)
