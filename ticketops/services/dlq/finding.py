"""Dead letters of several queues, streamed: a queue that does not answer is told, the others go on."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter
from ticketops.errors import BackendError, BackendUnavailable, DeniedError, TicketOpsError
from ticketops.ports.deadletters import DeadLetterQueue

Opener = Callable[[str], DeadLetterQueue]
"""Opens a queue by its name."""

_LOOKED_AT = 200
"""Items that do not match which are asked why; more would cost as much as the search."""


@dataclass(slots=True)
class Doubts:
    """Whether items failed the condition, or could not be put to it."""

    asked: int = 0
    unfit: int = 0
    """Items for which nothing could be computed, of those that were asked."""
    objection: str = ""
    """Why, for the first of them."""

    def ask(self, selector: DeadLetterSelector, letter: DeadLetter) -> None:
        """Look at an item that does not match, as long as there were few."""
        if self.asked < _LOOKED_AT:
            objection = selector.objection(letter)
            self.add(Doubts(1, int(bool(objection)), objection))

    def add(self, other: "Doubts") -> None:
        """Take another's in."""
        self.asked += other.asked
        self.unfit += other.unfit
        self.objection = self.objection or other.objection


@dataclass(slots=True)
class Trouble:
    """What went wrong on the way; the search goes on."""

    queues: dict[str, TicketOpsError] = field(default_factory=dict)
    """Queues that did not answer, or not to the end."""
    doubts: Doubts = field(default_factory=Doubts)

    @property
    def unreachable(self) -> bool:
        """True where a backend did not answer."""
        return any(isinstance(error, BackendUnavailable) for error in self.queues.values())


class Search:
    """One search over queues, in their order; each is opened when its turn comes, and closed after it."""

    def __init__(self, opener: Opener, queues: Sequence[str], selector: DeadLetterSelector) -> None:
        self._opener = opener
        self._queues = queues
        self._selector = selector
        self.trouble = Trouble()
        self.found: set[str] = set()
        """The ids that were named and are there."""
        self.more = False
        """True where the limit cut something off."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Named ids that are in none of the queues; after the end only. One in trouble may have them."""
        return tuple(letter_id for letter_id in self._selector.ids if letter_id not in self.found)

    def letters(self, *, bodies: bool = True) -> Iterator[DeadLetter]:
        """Every item that is meant, in each queue the oldest first; named ids in their order."""
        count = 0
        for name in self._queues:
            with closing(self._of_queue(name, bodies=bodies)) as letters:
                for letter in letters:
                    if count == self._selector.limit:
                        self.more = True
                        return
                    count += 1
                    yield letter

    def _of_queue(self, name: str, *, bodies: bool) -> Generator[DeadLetter]:
        with troubled(name, self.trouble.queues), closing(self._opener(name)) as queue:
            for letter in meant(queue, self._selector, bodies=bodies, rejected=self._ask):
                if self._selector.ids:
                    self.found.add(letter.id)
                yield letter

    def _ask(self, letter: DeadLetter) -> None:
        if self._selector.ids:
            self.found.add(letter.id)
        self.trouble.doubts.ask(self._selector, letter)


def meant(
    queue: DeadLetterQueue,
    selector: DeadLetterSelector,
    *,
    bodies: bool = True,
    rejected: Callable[[DeadLetter], None] = lambda _: None,
) -> Iterator[DeadLetter]:
    """Every item of one queue that the selector means, whatever its limit; `rejected` gets the others that it read."""
    read = queue.get(selector.ids) if selector.ids else queue.scan(selector.narrowing(bodies=bodies))
    for letter in read:
        if selector.matches(letter):
            yield letter
        else:
            rejected(letter)


@contextmanager
def troubled(name: str, queues: dict[str, TicketOpsError]) -> Iterator[None]:
    """Note what a queue's backend says against us, and go on; errors of our own making pass."""
    try:
        yield
    except (BackendUnavailable, BackendError, DeniedError) as error:
        queues[name] = error


def words(trouble: Mapping[str, TicketOpsError]) -> Iterator[str]:
    """What to tell of queues in trouble, a line each."""
    for name, error in trouble.items():
        yield f"queue {name}: {error}" + (f"; {error.hint}" if error.hint else "")
