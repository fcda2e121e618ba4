"""`ticketops dlq edit`: other payloads, in an editor or by a patch; the difference is shown first."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.dlq.changing import Change, change_selected
from ticketops.cli.dlq.desk import opener
from ticketops.cli.dlq.options import Consent, consenting
from ticketops.cli.dlq.selecting import SaidOfLetters, selecting
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.operation_run import open_desk
from ticketops.errors import InterruptedByUser, NotFoundError, RefusedError, TicketOpsError, UsageError

if TYPE_CHECKING:
    from ticketops.domain.deadletters import DeadLetter
    from ticketops.domain.editing import PayloadEdit
    from ticketops.services.dlq.changing import Report
    from ticketops.services.dlq.choosing import Choice

_SHOWN: Final = 3
"""Items whose difference is shown."""


@selecting
@consenting
def edit(
    ctx: typer.Context,
    said: SaidOfLetters,
    consent: Consent,
    *,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Set one value, as in seats[0]=A1; repeatable."),
    ] = None,
    patch: Annotated[
        Path | None, typer.Option("--patch", metavar="FILE", help="A JSON merge patch or a JSON Patch; - is stdin.")
    ] = None,
    requeue: Annotated[bool, typer.Option("--requeue", help="Requeue what was edited.")] = False,
) -> int:
    """Give dead letters another payload: in $EDITOR, or by --set and --patch. The old one is kept."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.editing import PayloadEdit  # noqa: PLC0415
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    inv = invocation(ctx)
    wanted = PayloadEdit(patch=_text(patch), sets=tuple(sets or ())) if sets or patch else None
    by_id = bool(said.ids)
    change = Change(
        admission=Admission(verb=Verb.EDIT, past_holds=by_id),
        consent=consent,
        settings={"past_holds": True} if by_id else {},
        prepare=lambda change, choice: _prepared(inv, change, choice, wanted),
        after=(lambda report: _requeue(inv, consent, report)) if requeue else None,
    )
    return change_selected(inv, said, change)


def _text(patch: Path | None) -> str:
    if patch is None:
        return ""
    try:
        return sys.stdin.read() if str(patch) == "-" else patch.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"{patch} cannot be read", why=why or "", hint="--patch takes a file, or - for stdin"
        ) from error


def _prepared(inv: Invocation, change: Change, choice: "Choice", wanted: "PayloadEdit | None") -> Change:
    """The change with the edit, and the difference that it makes."""
    chosen = wanted if wanted is not None else _in_editor(inv, choice)
    words = {**change.settings, "edit": chosen.words()}
    return replace(change, settings=words, notes=[*change.notes, *_differences(inv, choice, chosen)])


def _differences(inv: Invocation, choice: "Choice", edit: "PayloadEdit") -> Iterator[str]:
    from ticketops.domain.editing import EditError, difference  # noqa: PLC0415 - `--help` must not pay for it

    for found in _letters(inv, choice, _SHOWN):
        yield f"{found.letter.id}:"
        try:
            after = edit.apply(found.letter.payload)
        except EditError as error:
            yield f"  cannot be edited: {error}"
            continue
        if why := found.refusal(after):
            yield f"  its consumer would refuse it, so it will be left: {why}"
        yield from (f"  {line}" for line in difference(found.letter.payload or b"", after))
    if (more := choice.plan.tally.meant - _SHOWN) > 0:
        yield f"and {more} more"


@dataclass(frozen=True, slots=True)
class _Found:
    inv: Invocation
    letter: "DeadLetter"

    def refusal(self, payload: bytes) -> str | None:
        with closing(opener(self.inv)(self.letter.queue)) as queue:
            return queue.refusal(self.letter, payload)


def _letters(inv: Invocation, choice: "Choice", most: int) -> Iterator[_Found]:
    """The first items that the change means, as they are."""
    for item in islice((item for item in choice.plan.items if item.left is None), most):
        with closing(opener(inv)(item.queue)) as queue:
            found = list(queue.get([item.id]))
        yield from (_Found(inv, letter) for letter in found if item.digest in {"", letter.digest})


def _in_editor(inv: Invocation, choice: "Choice") -> "PayloadEdit":
    from ticketops.domain.editing import PayloadEdit  # noqa: PLC0415 - `--help` must not pay for it

    if choice.plan.tally.meant != 1:
        raise UsageError(
            f"{choice.plan.tally.meant} items do not fit into an editor", hint="name one, or give --set or --patch"
        )
    found = next(_letters(inv, choice, 1), None)
    if found is None:
        raise NotFoundError("the dead letter is gone, or changed meanwhile", hint="look again")
    before = found.letter.payload or b""
    after = _until_accepted(inv, found, before)
    if after == before:
        raise InterruptedByUser("nothing was edited")
    return PayloadEdit(whole=after)


def _until_accepted(inv: Invocation, found: _Found, before: bytes) -> bytes:
    from ticketops.domain.editing import EditError, compact, pretty  # noqa: PLC0415 - `--help` must not pay for it

    shown = text = pretty(before)
    while True:
        text = _edited(text)
        if text == shown:
            return before
        try:
            after = compact(text, before)
            why = found.refusal(after)
        except EditError as error:
            why = str(error)
        if not why:
            return after
        inv.out.note(f"its consumer would refuse it: {why}")
        if not sys.stdin.isatty() or not _again():
            raise RefusedError("not edited", why=why)


def _again() -> bool:
    sys.stderr.write("Edit again? [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"", "y", "yes"}


def _edited(text: str) -> str:
    """What the user's editor makes of a text."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    descriptor, name = tempfile.mkstemp(prefix="ticketops-", suffix=".json")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", errors="surrogateescape") as file:
            file.write(text)
        try:
            ended = subprocess.run([*words, name], check=False).returncode  # noqa: S603 - the user's own editor
        except OSError as error:
            raise TicketOpsError(f"{words[0]} cannot be started", why=str(error), hint="set EDITOR") from error
        if ended:
            raise InterruptedByUser(f"the editor ended with {ended}; nothing was changed")
        return path.read_text(errors="surrogateescape")
    finally:
        path.unlink(missing_ok=True)


def _requeue(inv: Invocation, consent: Consent, report: "Report") -> int:
    """Put back what was edited."""
    from ticketops.domain.admission import Admission  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.domain.deadletters import Outcome  # noqa: PLC0415
    from ticketops.domain.operations import Verb  # noqa: PLC0415

    with open_desk(inv) as desk:
        done = [one.item for one in desk.store.items(report.operation.id) if one.outcome is Outcome.DONE]
    said = SaidOfLetters(ids=[item.id for item in done], queue=list(report.operation.queues))
    admission = Admission(verb=Verb.REQUEUE, cap=inv.config.dlq.requeue_cap)
    return change_selected(inv, said, Change(admission=admission, consent=replace(consent, yes=True)))
