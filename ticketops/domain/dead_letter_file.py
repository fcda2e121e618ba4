"""Dead letters as lines of a file: NDJSON, complete, every byte of every item.

Each line stands for itself, so that a file can be filtered, split and joined by any tool. Bytes are text where they are
UTF-8 and base64 where they are not. Fields that are at their default are left out. docs/dlq.md describes the format.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, Final

from ticketops.domain.deadletters import BodyState, DeadLetter, QueueKind
from ticketops.domain.selectors import show_moment
from ticketops.errors import InvalidEvent, TicketOpsError

VERSION: Final = 1
"""In each line as `dead_letter`; raised when an older reader would take a line for something else."""
_MARK: Final = "dead_letter"
_BASE64: Final = "base64"
_LONGEST_SHOWN: Final = 60
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_DEFAULTS: Final = tuple(
    (item.name, item.default if item.default_factory is MISSING else item.default_factory())
    for item in fields(DeadLetter)
)
"""Each field with what is left out."""


class UnreadableLine(InvalidEvent):
    """A line that is no dead letter."""


def dump(letter: DeadLetter) -> bytes:
    """One line with its end; ASCII, so that no terminal obeys anything in it."""
    said: dict[str, object] = {_MARK: VERSION}
    for name, default in _DEFAULTS:
        value = getattr(letter, name)
        if value != default:
            said[name] = value if type(value) is str else _plain(value)
    return f"{_ENCODER.encode(said)}\n".encode()


def load(line: bytes) -> DeadLetter:
    """The dead letter of a line. Raises InvalidEvent, which says what is wrong with it."""
    said = _object(line)
    version = said.pop(_MARK, None)
    if not isinstance(version, int) or isinstance(version, bool):
        raise _unreadable("it is no exported dead letter", hint=f'each line begins with {{"{_MARK}":{VERSION},')
    if version > VERSION:
        raise _unreadable(f"its version is {version}, this program reads up to {VERSION}", hint="use a newer TicketOps")
    required = {item.name for item in fields(DeadLetter) if item.default is item.default_factory is MISSING}
    if absent := required - said.keys():
        raise _unreadable(f"it has no {', '.join(sorted(absent))}")
    return DeadLetter(**{name: _field(name, value) for name, value in said.items() if name in _READERS})


def read(lines: Iterable[bytes]) -> Iterator[DeadLetter]:
    """The dead letters of a file, streamed; empty lines are passed over. Raises InvalidEvent with the line's number."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield load(line)
            except InvalidEvent as error:
                raise UnreadableLine(f"line {number} cannot be read", why=error.why, hint=error.hint) from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"it is not JSON: {error}"[:200]) from None
    if not isinstance(said, dict):
        raise _unreadable("it is no JSON object")
    return said


def _plain(value: object) -> object:
    match value:
        case bytes():
            return _text_or_base64(value)
        case datetime():
            return show_moment(value)
        case tuple():
            return [[name, None if content is None else _text_or_base64(content)] for name, content in value]
        case Mapping():
            return dict(value)
        case _:
            return value


def _text_or_base64(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {_BASE64: base64.b64encode(value).decode()}


def _field(name: str, value: object) -> Any:  # noqa: ANN401 - of the field's own type
    try:
        return _READERS[name](value)
    except (TypeError, ValueError, binascii.Error):
        shown = json.dumps(value)[:_LONGEST_SHOWN]
        raise _unreadable(f"its {name} is {shown}") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment


def _bytes(value: object) -> bytes:
    if isinstance(value, dict) and value.keys() == {_BASE64}:
        return base64.b64decode(_text(value[_BASE64]), validate=True)
    return _text(value).encode()


def _headers(value: object) -> tuple[tuple[str, bytes | None], ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple((_text(name), None if content is None else _bytes(content)) for name, content in value)


def _mapping(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {name: _text(item) for name, item in value.items()}


def _optional(reader: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else reader(value)


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "id": _text,
    "queue": _text,
    "kind": lambda value: QueueKind(_text(value)),
    "key": _text,
    "origin": _text,
    "reason": _text,
    "error_class": _text,
    "error_message": _text,
    "stack": _text,
    "attempts": _optional(_count),
    "requeues": _count,
    "failed_at": _optional(_moment),
    "last_attempt_at": _optional(_moment),
    "payload": _optional(_bytes),
    "headers": _headers,
    "metadata": _mapping,
    "body": lambda value: BodyState(_text(value)),
    "problem": _text,
    "destination": _text,
    "stored": _bytes,
    "place": _mapping,
    "digest": _text,
}
"""How each field of a line is read; a field that is not here comes from a newer program and is passed over."""


def _unreadable(why: str, hint: str = "") -> TicketOpsError:
    return InvalidEvent("the line cannot be read", why=why, hint=hint)
