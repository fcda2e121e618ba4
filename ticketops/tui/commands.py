"""Whole commands after `:`, with their options: the view that shows the same, or why there is none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ticketops.domain.bookings import BOOKING
from ticketops.errors import UsageError
from ticketops.tui.actions import ON_ALERTS, ON_ITEMS, ON_OPERATIONS, ON_OUTBOX, ON_RELAYS, ON_STUCK, Action

Words = tuple[str, ...]
_WHICH: Final = "which events"


@dataclass(frozen=True, slots=True)
class _Form:
    """A command as the words of a view."""

    view: Words
    arguments: Words = ()
    """In the order of the view's; by their options' names, empty where they have none. Each may come by its place."""


_LETTERS: Final = _Form(("dlq",), ("--queue", "--group"))
_EVENTS: Final = _Form(("outbox",), (_WHICH, "--type"))
_HISTORY: Final = _Form(("state", "history"), ("", "--machine"))
_MACHINE: Final = _Form(("state",), ("--machine",))
_FORMS: Final[Mapping[Words, _Form]] = {
    ("status",): _Form(("home",)),
    ("dlq",): _LETTERS,
    ("dlq", "stats"): _LETTERS,
    ("dlq", "list"): _LETTERS,
    ("dlq", "show"): _Form(("dlq", "show"), ("", "--queue")),
    ("lag",): _Form(("lag",), ("--group",)),
    ("lag", "list"): _Form(("lag",)),
    ("lag", "show"): _Form(("lag",), ("",)),
    ("lag", "watch"): _Form(("lag",)),
    ("outbox",): _EVENTS,
    ("outbox", "stats"): _Form(("outbox",)),
    ("outbox", "list"): _EVENTS,
    ("outbox", "show"): _Form(("outbox", "show"), ("",)),
    ("relay", "status"): _Form(("relay",)),
    ("state",): _MACHINE,
    ("state", "stats"): _MACHINE,
    ("state", "diagram"): _MACHINE,
    ("state", "stuck"): _Form(("state", "stuck"), ("--machine", "--state")),
    ("state", "history"): _HISTORY,
    ("state", "show"): _HISTORY,
    ("trace",): _Form(("trace",), ("",)),
    ("ops", "list"): _Form(("ops",)),
    ("ops", "show"): _Form(("ops",), ("",)),
    ("alerts", "list"): _Form(("alerts",)),
}
_OTHERS: Final[Mapping[str, str]] = {
    "doctor": "",
    "metrics": "",
    "tui": "",
    "demo": "",
    "relay": "run pause resume",
    "outbox": "retry skip replay cleanup",
    "dlq": "requeue edit hold release discard restore purge export import cleanup doctor",
    "ops": "cancel resume",
    "state": "fire verify expire",
    "payments": "",
    "db": "",
    "worker": "payments emails bookings pause resume status",
    "config": "",
    "alerts": "run check test silence unsilence",
    "dev": "",
}
"""Commands without a view by their nouns; none of the noun's where its verbs are not named."""
_KEYS: Final[Mapping[str, tuple[Action, ...]]] = {
    "dlq": ON_ITEMS,
    "ops": ON_OPERATIONS,
    "outbox": ON_OUTBOX,
    "relay": ON_RELAYS,
    "state": ON_STUCK,
    "alerts": ON_ALERTS,
}
_SHORT: Final = {"-q": "--queue", "-m": "--machine", "-o": "--output", "-w": "--watch"}
_SHOWING: Final = frozenset({"--output", "--watch", "--limit", "--timeout", "--window"})
"""Options about how it is shown, or how much of it; they have a value."""
_FLAGS: Final = frozenset({"--all", "--no-color", "--debug", "--mermaid", "--raw"})
_EVENTS_OF: Final = {"--dead": "dead", "--failed": "FAILED"}
_PLACES: Final = frozenset({"--context", "--config", "--set"})
"""Options that say which system is meant."""


def understood(words: Sequence[str], own: Sequence[tuple[str, str]]) -> Words:
    """The words of a view, for what somebody wrote; as they are where they are no command.

    `own`: the options with their values that mean the system which is shown. UsageError where a command has no view.
    """
    plain, options = _apart(words, own)
    _refuse_others(plain)
    way = max((way for way in _FORMS if plain[: len(way)] == way), key=len, default=None)
    if way is None:
        if options:
            raise UsageError(f"no view takes {', '.join(options)}")
        return plain
    form = _FORMS[way]
    return (*form.view, *_arguments(form, plain[len(way) :], options))


def commands() -> Iterator[str]:
    """The commands that have views."""
    return (" ".join(way) for way in _FORMS)


def _apart(words: Sequence[str], own: Sequence[tuple[str, str]]) -> tuple[Words, dict[str, str]]:
    plain: list[str] = []
    options: dict[str, str] = {}
    left = iter(words)
    for word in left:
        if word == "--":
            plain += left
        elif not word.startswith("-") or len(word) == 1:
            plain.append(word)
        else:
            name, equals, value = word.partition("=")
            name = _SHORT.get(name, name)
            if name in _EVENTS_OF:
                name, value = _WHICH, _EVENTS_OF[name]
            elif name not in _FLAGS and not equals:
                value = next(left, "")
            _take(name, value, options, own)
    return tuple(plain), options


def _take(name: str, value: str, options: dict[str, str], own: Sequence[tuple[str, str]]) -> None:
    if name in _FLAGS or name in _SHOWING:
        return
    if name in _PLACES:
        if (name, value) not in own:
            raise UsageError(f"{name} {value} is not what is shown here", hint="another dashboard shows that")
        return
    if name == "--status":
        name = _WHICH
    if name in options:
        raise UsageError("a view shows one at a time", why=f"{options[name]} and {value}")
    options[name] = value


def _refuse_others(plain: Words) -> None:
    noun, verb = (*plain, "", "")[:2]
    if noun not in _OTHERS or (_OTHERS[noun] and verb not in _OTHERS[noun].split()):
        return
    name = f"screen.change('{verb}')"
    keys = [action.shown for action in _KEYS.get(noun, ()) if action.name == name]
    hint = f"{keys[0]} does it here, on what is marked" if keys else "run it in a shell"
    raise UsageError(f"ticketops {' '.join(plain[:2])} has no view", hint=hint)


def _arguments(form: _Form, said: Words, options: Mapping[str, str]) -> Words:
    if form is _EVENTS and "--state" in options:
        failure = options["--state"]
        options = {name: value for name, value in options.items() if name != "--state"}
        options = {_WHICH: "dead" if failure == "dead" else "held", **options}
    if unknown := [name for name in options if name not in form.arguments]:
        raise UsageError(f"its view takes no {', '.join(unknown)}", hint="run it in a shell, or filter with /")
    places = iter(said)
    found = [options[name] if name in options else next(places, "") for name in form.arguments]
    while found and not found[-1]:
        found.pop()
    for number, name in enumerate(form.arguments[: len(found)]):
        if not found[number] and name == "--machine":
            found[number] = BOOKING.name
        elif not found[number]:
            raise UsageError(f"{name or 'the first word'} has to be said too")
    return (*found, *places)
