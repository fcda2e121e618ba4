"""What is wrong with a configuration, collected, so that one run tells all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ticketops.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in the words of an error."""

    what: str
    why: str = ""
    hint: str = ""


def refuse(problems: Sequence[Problem]) -> None:
    """Raise ConfigError for the first problem and count the others; nothing where there is none."""
    if not problems:
        return
    first, others = problems[0], len(problems) - 1
    if not others:
        raise ConfigError(first.what, why=first.why, hint=first.hint)
    more = f"{others} more {'problem' if others == 1 else 'problems'}"
    raise ConfigError(
        first.what, why=f"{first.why} (and {more})" if first.why else f"there {'is' if others == 1 else 'are'} {more}",
        hint=f"{first.hint}; ticketops config check lists all" if first.hint else "ticketops config check lists all",
    )  # fmt: skip


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to `word`; empty where none is near."""
    import difflib  # noqa: PLC0415 - every command loads this module, and few are misspelled

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""
