"""What a command gets of its invocation: the configuration, the renderer and the question before a change."""

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

import typer

from ticketops.cli.flags import Flags
from ticketops.cli.output import Out
from ticketops.domain.text import terminal_safe
from ticketops.errors import InterruptedByUser, RefusedError

if TYPE_CHECKING:
    from ticketops.config import Config, Settings

READ_TIMEOUT: Final = 5.0
"""Seconds that a command waits for an answer where nothing is said."""


class Invocation(Flags):
    """One run of the command line: its flags, and what follows from them on first use."""

    @cached_property
    def settings(self) -> "Settings":
        """The configuration with the origin of every value; ConfigError where it cannot be used."""
        settings = self.load()
        self.note_warnings(settings)
        return settings

    def load(self, context: str | None = None, *, strict: bool = True, read_secrets: bool = True) -> "Settings":
        """Read the configuration as the flags say, or in another context."""
        from ticketops.config import load  # noqa: PLC0415 - `--help` must not pay for it

        return load(
            file=self.config_file,
            context=context or self.context,
            assignments=self.assignments,
            strict=strict,
            read_secrets=read_secrets,
        )

    def note_warnings(self, settings: "Settings") -> None:
        """Tell what the configuration says without effect."""
        for warning in settings.warnings:
            self.out.note(f"warning: {warning}")

    @property
    def config(self) -> "Config":
        """The frozen options."""
        return self.settings.config

    @property
    def timeout(self) -> float:
        """Seconds to wait for an answer."""
        return READ_TIMEOUT if self.seconds is None else self.seconds

    @cached_property
    def out(self) -> Out:
        """The renderer: data to stdout in the format asked for, notes to stderr."""
        return Out(self.output, stdout=sys.stdout, stderr=sys.stderr, color=self._colored())

    @property
    def known_secrets(self) -> frozenset[str]:
        """What must never be shown, as far as the configuration was read."""
        settings: Settings | None = self.__dict__.get("settings")
        return settings.secrets if settings else frozenset()

    def confirm(
        self, plan: Sequence[str], *, yes: bool = False, dry_run: bool = False, phrase: str | None = None
    ) -> None:
        """Return when the change may be made; `plan` says what it would do, a line each.

        `dry_run` prints the plan on stdout and ends the command. `phrase` must be typed where no `yes` was given.
        RefusedError where nobody can be asked or the phrase is another, InterruptedByUser where the answer is no.
        """
        lines = [*plan, f"context: {self.config.context}"]
        if dry_run:
            self._print_plan(lines)
            raise typer.Exit
        for line in lines:
            self.out.note(terminal_safe(line))
        if not yes:
            self._ask(phrase)

    def _print_plan(self, lines: Sequence[str]) -> None:
        if self.out.form.human:
            self.out.text("plan", "\n".join(terminal_safe(line) for line in lines))
        else:
            self.out.record("plan", {"context": self.config.context, "lines": lines}, name="context")

    def _ask(self, phrase: str | None) -> None:
        if not self.out.form.human:
            raise RefusedError(
                "not confirmed", why=f"-o {self.out.form} never asks", hint="look with --dry-run, then give --yes"
            )
        if not sys.stdin.isatty():
            raise RefusedError(
                "not confirmed", why="there is no terminal to ask on", hint="look with --dry-run, then give --yes"
            )
        wanted, question = _question(phrase, self.config.context)
        answer = _read_answer(question)
        if answer.strip().lower() in wanted if phrase is None else answer.strip() in wanted:
            return
        if phrase is not None and answer.strip():
            raise RefusedError("not confirmed", why="what was typed is not what was asked for")
        raise InterruptedByUser("not confirmed; nothing was changed")

    def _colored(self) -> bool:
        plain = self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return sys.stdout.isatty() and not plain


def invocation(ctx: typer.Context) -> Invocation:
    """The invocation that `ctx` belongs to; the same object in every call."""
    found = ctx.find_object(Invocation)
    if found is None:
        found = ctx.find_root().ensure_object(Invocation)
    return found


def _question(phrase: str | None, context: str) -> tuple[frozenset[str], str]:
    if phrase is None:
        return frozenset({"y", "yes"}), f"Go on in context {terminal_safe(context)}? [y/N] "
    return frozenset({phrase}), f"Type {terminal_safe(phrase)} to go on: "


def _read_answer(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
    return answer
