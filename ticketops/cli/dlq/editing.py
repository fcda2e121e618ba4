"""`ticketops dlq edit`: other payloads, in an editor or by a patch; the difference is shown first."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ticketops.cli.dlq.changing import Change, change_selected
from ticketops.cli.dlq.desk import opener
from ticketops.cli.dlq.options import Consent, consenting
from ticketops.cli.dlq.selecting import SaidOfLetters, selecting
from ticketops.cli.frame import Invocation, invocation
from ticketops.cli.operation_run import open_desk
from ticketops.errors import InterruptedByUser, RefusedError, UsageError

if TYPE_CHECKING:
    from ticketops.domain.deadletters import DeadLetter
    from ticketops.domain.editing import PayloadEdit
    from ticketops.services.dlq.changing import Report
    from ticketops.services.dlq.choosing import Choice
    from ticketops.services.dlq.edit_preview import EditPreview

REQUEUE: Final = "requeue"
"""In an edit's settings: what was edited is to be requeued."""


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
        settings=({"past_holds": True} if by_id else {}) | ({REQUEUE: True} if requeue else {}),
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
    from ticketops.services.dlq.edit_preview import EditPreview  # noqa: PLC0415 - `--help` must not pay for it

    preview = EditPreview(opener(inv), choice.plan)
    chosen = wanted if wanted is not None else _in_editor(inv, preview)
    words = {**change.settings, "edit": chosen.words()}
    return replace(change, settings=words, notes=[*change.notes, *preview.differences(chosen)])


def _in_editor(inv: Invocation, preview: "EditPreview") -> "PayloadEdit":
    from ticketops.domain.editing import PayloadEdit  # noqa: PLC0415 - `--help` must not pay for it

    letter = preview.only()
    after = _until_accepted(inv, preview, letter)
    if after == (letter.payload or b""):
        raise InterruptedByUser("nothing was edited")
    return PayloadEdit(whole=after)


def _until_accepted(inv: Invocation, preview: "EditPreview", letter: "DeadLetter") -> bytes:
    from ticketops.domain.editing import EditError, pretty  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.services.editor import edited  # noqa: PLC0415

    before = letter.payload or b""
    shown = text = pretty(before)
    while True:
        text = edited(text)
        if text == shown:
            return before
        try:
            return preview.taken(letter, text)
        except EditError as error:
            why = str(error)
        inv.out.note(f"its consumer would refuse it: {why}")
        if not sys.stdin.isatty() or not _again():
            raise RefusedError("not edited", why=why)


def _again() -> bool:
    sys.stderr.write("Edit again? [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"", "y", "yes"}


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
