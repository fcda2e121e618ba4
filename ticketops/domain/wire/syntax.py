"""JSON as Go's decoder takes it: the values with their places in the bytes, so that bytes can be kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ticketops.errors import WireError

MAX_DEPTH: Final = 10_000
"""Levels of nesting that Go's decoder takes."""

STRING: Final = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
"""A string; bytes that are no UTF-8 are allowed, as in Go."""
NUMBER: Final = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"

_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_SCALAR: Final = re.compile(
    rb"(?P<string>%b)|(?P<number>%b)|(?P<true>true)|(?P<false>false)|(?P<null>null)" % (STRING, NUMBER)
)
_NAME: Final = re.compile(STRING)
_ESCAPE: Final = re.compile(
    r"\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u(?P<unit>[0-9a-fA-F]{4})|\\(?P<short>.)"
)
_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NO_UTF8: Final = re.compile("[\ud800-\udfff]")
_FOLDED: Final = str.maketrans({"\u017f": "s", "\u212a": "k"})
_OBJECT: Final = ord("{")
_BRACKETS: Final = {ord("{"): ord("}"), ord("["): ord("]")}
_BLANKS: Final = frozenset(b" \t\r\n")
_COMMA: Final = ord(",")
_COLON: Final = ord(":")


class Kind(StrEnum):
    """What a value is."""

    OBJECT = "an object"
    ARRAY = "an array"
    STRING = "a string"
    NUMBER = "a number"
    TRUE = "true"
    FALSE = "false"
    NULL = "null"


_SCALARS: Final = {kind.name.lower(): kind for kind in Kind}


@dataclass(slots=True)  # not frozen: a document can have a million of them
class Node:
    """A value in its bytes."""

    kind: Kind
    start: int
    end: int
    names: tuple[str, ...] = ()
    """Of an object's members, in their order; one can repeat."""
    values: tuple["Node", ...] = ()
    """Of an object's members, or an array's elements."""

    def members(self, name: str) -> Iterator["Node"]:
        """The values of the members that Go takes for the field `name`: in any case, in their order."""
        wanted = folded(name)
        return (value for key, value in zip(self.names, self.values, strict=True) if folded(key) == wanted)

    def of(self, data: bytes) -> bytes:
        """Its bytes."""
        return data[self.start : self.end]


@dataclass(slots=True)
class _Open:
    """An object or array whose end was not read yet."""

    start: int
    closing: int
    names: list[str] = field(default_factory=list)
    values: list[Node] = field(default_factory=list)

    def closed(self, end: int) -> Node:
        kind = Kind.OBJECT if self.closing == _BRACKETS[_OBJECT] else Kind.ARRAY
        return Node(kind, self.start, end, tuple(self.names), tuple(self.values))


def folded(name: str) -> str:
    """A name as Go compares it with its fields' names."""
    return name.translate(_FOLDED).lower() if not name.isascii() else name.lower()


def text_of(raw: bytes) -> str:
    """What a string (with its quotes) spells; what has no UTF-8 form is U+FFFD, as Go reads it."""
    try:
        text = raw[1:-1].decode()
    except UnicodeDecodeError:
        text = _NO_UTF8.sub("\ufffd", raw[1:-1].decode("utf-8", "surrogateescape"))
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    if match["short"]:
        return _SHORT.get(match["short"], match["short"])
    if match["high"]:
        return chr(0x10000 + ((int(match["high"], 16) - 0xD800) << 10) + int(match["low"], 16) - 0xDC00)
    character = chr(int(match["unit"], 16))
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character


def parse(data: bytes) -> Node:
    """The one value in `data`; WireError where it is not JSON."""
    return _Parser(data).run()


class _Parser:
    """Without recursion, so that deep nesting ends in an error and not in a crash."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._open: list[_Open] = []

    def run(self) -> Node:
        self._skip()
        while True:
            done = self._value()
            while done is not None and self._open:
                done = self._attach(done)
            if done is not None:
                break
        self._skip()
        if self._at != len(self._data):
            raise self._wrong("something follows the value")
        return done

    def _value(self) -> Node | None:
        """A whole value; None where an object or array was entered."""
        opening = self._peek()
        if opening in _BRACKETS:
            return self._enter(opening)
        found = _SCALAR.match(self._data, self._at)
        if found is None:
            raise self._wrong("a value is expected")
        self._at = found.end()
        return Node(_SCALARS[found.lastgroup or ""], found.start(), self._at)

    def _enter(self, opening: int) -> Node | None:
        if len(self._open) >= MAX_DEPTH:
            raise self._wrong("it is nested too deeply")
        entered = _Open(self._at, _BRACKETS[opening])
        self._at += 1
        self._skip()
        if self._peek() == entered.closing:
            self._at += 1
            return entered.closed(self._at)
        self._open.append(entered)
        self._name(entered)
        return None

    def _attach(self, node: Node) -> Node | None:
        """Add a whole value to what is open; that, where it ends here, else None."""
        parent = self._open[-1]
        parent.values.append(node)
        self._skip()
        mark = self._peek()
        if mark not in (_COMMA, parent.closing):
            raise self._wrong(f"a comma or {chr(parent.closing)} is expected")
        self._at += 1
        if mark == parent.closing:
            self._open.pop()
            return parent.closed(self._at)
        self._skip()
        self._name(parent)
        return None

    def _name(self, parent: _Open) -> None:
        """Read the name of the next member, where it is an object's."""
        if parent.closing != _BRACKETS[_OBJECT]:
            return
        found = _NAME.match(self._data, self._at)
        if found is None:
            raise self._wrong("a name in quotes is expected")
        parent.names.append(text_of(found[0]))
        self._at = found.end()
        self._skip()
        if self._peek() != _COLON:
            raise self._wrong("a colon is expected")
        self._at += 1
        self._skip()

    def _peek(self) -> int:
        return self._data[self._at] if self._at < len(self._data) else -1

    def _skip(self) -> None:
        if self._peek() in _BLANKS and (found := _SPACE.match(self._data, self._at)):
            self._at = found.end()

    def _wrong(self, why: str) -> WireError:
        end = " (the text ends there)" if self._at >= len(self._data) else ""
        return WireError("it is not JSON", why=f"byte {self._at}: {why}{end}")
