"""One dead letter with everything that is known of it."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.deadletters import DeadLetter, SourceRecord
from ticketops.domain.operations import Archived, AuditEntry, Edit, Hold
from ticketops.errors import BackendError, BackendUnavailable, DeniedError, NotFoundError, TicketOpsError
from ticketops.ports.deadletters import SourceAware
from ticketops.ports.operations import Annotations, OperationStore
from ticketops.services.dlq.absent import last_moves, move_words
from ticketops.services.dlq.finding import Opener, Search, Trouble, troubled


@dataclass(slots=True, kw_only=True)
class Detail:
    """One item, and what was done to it."""

    letter: DeadLetter
    archived: Archived | None = None
    """It was discarded: this is what the archive kept."""
    history: list[AuditEntry] = field(default_factory=list)
    """All that was done to it and to its earlier deaths, oldest first."""
    hold: Hold | None = None
    edits: tuple[Edit, ...] = ()
    source: SourceRecord | None = None
    """What it was before it died; None where its place keeps no source, or could not be asked."""
    memory_error: TicketOpsError | None = None
    """Why history, hold and edits are not known; None where they are."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of items; opened when it is asked for."""

    store: Callable[[], OperationStore]
    annotations: Callable[[], Annotations]


class Showing:
    """Finds one item in the queues, or in the archive."""

    def __init__(self, opener: Opener, queues: Sequence[str], memory: Memory) -> None:
        self._opener = opener
        self._queues = queues
        self._memory = memory
        self.trouble = Trouble()

    def show(self, letter_id: str) -> Detail:
        """The item of this id.

        NotFoundError where no queue and no archive has it; BackendUnavailable where a queue could not be asked.
        """
        search = Search(self._opener, self._queues, DeadLetterSelector(ids=(letter_id,)))
        self.trouble = search.trouble
        letter = next(search.letters(), None)
        if letter is None:
            return self._archived(letter_id)
        return self._remembered(self._with_source(Detail(letter=letter)))

    def _with_source(self, detail: Detail) -> Detail:
        letter = detail.letter
        with troubled(letter.queue, self.trouble.queues), closing(self._opener(letter.queue)) as queue:
            if isinstance(queue, SourceAware):
                detail.source = queue.source(letter)
        return detail

    def _archived(self, letter_id: str) -> Detail:
        """What a discarded item was."""
        found = None
        try:
            with closing(self._memory.annotations()) as annotations:
                for queue in self._queues:
                    found = found or next(annotations.archived(queue, [letter_id]), None)
        except (BackendUnavailable, BackendError, DeniedError) as error:
            self.trouble.queues.setdefault("(archive)", error)
        if found is None:
            raise self._nowhere(letter_id)
        archived, letter = found
        return self._remembered(Detail(letter=letter, archived=archived))

    def _nowhere(self, letter_id: str) -> TicketOpsError:
        for name, error in self.trouble.queues.items():
            if isinstance(error, BackendUnavailable):
                return BackendUnavailable(error.backend, why=f"{error.why} (queue {name})", hint=error.hint)
        with suppress(BackendUnavailable, BackendError, DeniedError), closing(self._memory.store()) as store:
            if move := last_moves(store, self._queues, [letter_id]).get(letter_id):
                return NotFoundError(
                    f"the dead letter {letter_id} is not there any more",
                    why=f"it was {move_words(move)}",
                    hint=f"ticketops ops show {move.operation}",
                )
        return NotFoundError(
            f"there is no dead letter {letter_id}",
            why=f"neither in {', '.join(self._queues)} nor in the archive",
            hint="ticketops dlq list shows what there is",
        )

    def _remembered(self, detail: Detail) -> Detail:
        letter = detail.letter
        try:
            with closing(self._memory.store()) as store:
                detail.history = store.history(letter.queue, letter.id, letter.origin)
            with closing(self._memory.annotations()) as annotations:
                detail.hold = annotations.held(letter.queue, [letter.id]).get(letter.id)
                detail.edits = annotations.edits(letter.queue, [letter.id]).get(letter.id, ())
        except (BackendUnavailable, BackendError, DeniedError) as error:
            detail.memory_error = error
        return detail
