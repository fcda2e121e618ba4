"""The file of an import: read once for the plan, and again in the order of the operation's items."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ticketops.domain.dead_letter_file import read
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.operations import Operation, OperationItem, Verb
from ticketops.errors import InvalidEvent, RefusedError, UsageError

_CHUNK: Final = 1 << 20


class LetterFile:
    """Exported dead letters in a file."""

    def __init__(self, path: Path, queue: str | None = None) -> None:
        """`queue`: the name of the queue that all of them go to, whatever the file says."""
        self.path = path.absolute()
        self.queue = queue

    def settings(self) -> dict[str, object]:
        """What a resume must know to read the same again."""
        return {"file": str(self.path), "sha256": self._digest(), "queue": self.queue}

    def letters(self) -> Iterator[DeadLetter]:
        """Every item, streamed. InvalidEvent, with its number, for a line that cannot be read."""
        try:
            with self.path.open("rb") as file:
                for letter in read(file):
                    yield letter if self.queue is None else replace(letter, queue=self.queue)
        except InvalidEvent as error:
            error.hint = f"{self.path} is no export, or was cut off: nothing of it was imported; export it again"
            raise
        except OSError as error:
            raise self._unreadable(error) from error

    def pick(self) -> "FilePick":
        """A reader in the order of an operation's items."""
        return FilePick(self.letters())

    @classmethod
    def of(cls, operation: Operation) -> "LetterFile":
        """The file of an import that is resumed; RefusedError where it is not the same any more."""
        settings = operation.settings
        queue = settings.get("queue")
        file = cls(Path(str(settings["file"])), None if queue is None else str(queue))
        if file._digest() != settings["sha256"]:
            raise RefusedError(
                f"operation {operation.id} cannot go on", why=f"{file.path} is not the file that it began with"
            )
        return file

    def _digest(self) -> str:
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def _unreadable(self, error: OSError) -> UsageError:
        hint = "give what `ticketops dlq export --to FILE` wrote; an import that goes on needs the file it began with"
        return UsageError(f"{self.path} cannot be read", why=error.strerror or "", hint=hint)


def pick_of(operation: Operation) -> "FilePick | None":
    """What a resumed operation reads its items from; None where they are in their queues. RefusedError."""
    return LetterFile.of(operation).pick() if operation.verb is Verb.IMPORT else None


class FilePick:
    """Gives the letters of items; a line of the file and an item of the operation have the same number."""

    def __init__(self, letters: Iterator[DeadLetter]) -> None:
        self._letters = enumerate(letters, 1)

    def __call__(self, items: Sequence[OperationItem]) -> Mapping[str, DeadLetter]:
        """The letters of these items, which come in order."""
        return {letter.id: letter for letter in map(self._numbered, items) if letter is not None}

    def _numbered(self, item: OperationItem) -> DeadLetter | None:
        for number, letter in self._letters:
            if number == item.number:
                return letter
        return None
