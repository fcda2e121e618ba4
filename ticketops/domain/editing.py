"""Edits of payloads: numbers that nobody touches keep every digit (merge patch: RFC 7396, JSON Patch: RFC 6902)."""

import base64
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonpatch
import msgspec

from ticketops.domain import json_pretty
from ticketops.errors import UsageError

_STEP: Final = re.compile(r"\.?(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,9}|-)\]")


class EditError(ValueError):
    """An edit does not fit a payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadEdit:
    """What is done to each payload: the whole of it replaced, or a patch and single values."""

    whole: bytes | None = None
    patch: str = ""
    """JSON: an object is a merge patch, an array a JSON Patch; empty: none."""
    sets: tuple[str, ...] = ()
    """PATH=VALUE, in this order, after the patch."""

    def __post_init__(self) -> None:
        for text in self.sets:
            _assignment(text)
        if not (self.patch and _patch(self.patch)) and not self.sets and self.whole is None:
            raise UsageError("the edit changes nothing", why="the patch is empty", hint="say what is to be another")

    def apply(self, payload: bytes | None) -> bytes:
        """The edited payload, its bytes as they were where nothing becomes another. EditError where it does not fit."""
        if self.whole is not None:
            return self.whole
        try:
            value = _load(payload or b"")
            after = _dump(self._changed(value))
        except (ValueError, RecursionError) as error:
            raise EditError(str(error)) from error
        return payload if payload is not None and _means(payload, after) else after

    def _changed(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if self.patch:
            value = _patched(value, _patch(self.patch))
        for text in self.sets:
            value = _set(value, *_assignment(text))
        return value

    def words(self) -> dict[str, object]:
        """What the store keeps, so that a resume makes the same edit."""
        words: dict[str, object] = {}
        if self.whole is not None:
            words["payload"] = base64.b64encode(self.whole).decode()
        if self.patch:
            words["patch"] = self.patch
        if self.sets:
            words["set"] = list(self.sets)
        return words

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> "PayloadEdit":
        """What the store has."""
        whole = base64.b64decode(words["payload"]) if "payload" in words else None
        return cls(whole=whole, patch=words.get("patch", ""), sets=tuple(words.get("set", ())))


def pretty(payload: bytes) -> str:
    """For people and their editors: JSON over several lines, anything else as it is."""
    text = payload.decode(errors="surrogateescape")
    shown = json_pretty.pretty(text)
    return text if shown is None else shown.rstrip("\n") + "\n"


def compact(text: str, like: bytes) -> bytes:
    """What an editor left, as a payload: without the line breaks that `pretty` put in."""
    try:
        _load(like)
    except (ValueError, RecursionError):
        return text.encode(errors="surrogateescape")
    try:
        return _dump(_load(text.encode(errors="surrogateescape")))
    except (ValueError, RecursionError) as error:
        raise EditError(f"it is not JSON any more: {error}") from error


def difference(before: bytes, after: bytes) -> Iterator[str]:
    """The lines that differ, in the unified form."""
    old, new = pretty(before).splitlines(), pretty(after).splitlines()
    yield from difflib.unified_diff(old, new, "before", "after", lineterm="", n=2)


def _load(payload: bytes) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(payload.decode(), parse_float=_exact, parse_constant=_no_constant)


def _dump(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Compact JSON; ValueError for a lone surrogate, which has no UTF-8."""
    data = msgspec.json.encode(value)
    data.decode()
    return data


def _means(payload: bytes, compacted: bytes) -> bool:
    """Whether this is what a payload says, apart from how it is written."""
    try:
        return _dump(_load(payload)) == compacted
    except (ValueError, RecursionError):  # a lone surrogate, which the edit has taken away
        return False


def _exact(digits: str) -> msgspec.Raw:
    return msgspec.Raw(digits.encode())


def _no_constant(name: str) -> object:
    raise EditError(f"{name} is not a JSON number")


def _patch(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        value = _load(text.encode())
        if isinstance(value, list):
            jsonpatch.JsonPatch(value)
        elif not isinstance(value, dict):
            raise EditError("it is neither an object nor an array")
    except (ValueError, RecursionError, jsonpatch.JsonPatchException) as error:
        raise UsageError(
            "the patch cannot be used", why=str(error), hint="write a JSON merge patch {…} or a JSON Patch […]"
        ) from error
    return value


def _patched(value: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(patch, dict):
        return _merged(value, patch)
    try:
        return jsonpatch.JsonPatch(patch).apply(value)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise EditError(f"the patch does not fit: {error}") from error


def _merged(value: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(patch, dict):
        return patch
    kept = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            kept.pop(name, None)
        else:
            kept[name] = _merged(kept.get(name), change)
    return kept


def _assignment(text: str) -> tuple[list[str | int], Any]:
    path, equals, word = text.partition("=")
    steps = _steps(path.strip())
    if not equals or not steps:
        raise UsageError(
            f"--set {text!r} cannot be used", hint="write PATH=VALUE, as in customer.name=Ada or seats[0]=A1"
        )
    try:
        return steps, _load(word.encode())
    except ValueError:
        return steps, word


def _steps(path: str) -> list[str | int]:
    """`a.b[0]` as names and numbers; `[-]` is behind the last; empty where it is no path."""
    steps, at = list[str | int](), 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return []
        index = found["index"]
        steps.append(found["name"] if index is None else -1 if index == "-" else int(index))
        at = found.end()
    return steps


def _set(value: Any, steps: list[str | int], new: Any) -> Any:  # noqa: ANN401 - any JSON value
    step, rest = steps[0], steps[1:]
    if isinstance(step, str) and isinstance(value, dict):
        if rest and step not in value:
            raise EditError(f"there is no {step!r}")
        return {**value, step: _set(value[step], rest, new) if rest else new}
    if isinstance(step, int) and isinstance(value, list):
        if step == -1 and not rest:
            return [*value, new]
        if not 0 <= step < len(value):
            raise EditError(f"there is no [{step}] in a list of {len(value)}")
        return [*value[:step], _set(value[step], rest, new) if rest else new, *value[step + 1 :]]
    kind = "an object" if isinstance(step, str) else "a list"
    raise EditError(f"{step!r} is asked of what is not {kind}")
