"""Groups of failures that have one cause: what varies from item to item is masked, what is left is the fingerprint."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.text import shorten

_LONGEST_MESSAGE: Final = 2000
"""Characters of a message that are looked at."""
_LONGEST_STACK: Final = 64_000
"""Characters of a stack that are looked at: the end of it, where the deepest cause is."""
_LABEL: Final = 160
_ID_LENGTH: Final = 8
_HEX_ID: Final = re.compile(r"[0-9a-fA-F]{6,}")
"""An id even where its letters and digits stand apart, as in abc123."""

_CAUSE: Final = re.compile(r"^Caused by: ([\w.$/]{1,300})", re.MULTILINE)
_HEAD: Final = re.compile(r"\A(?:Exception in thread \"[^\"\n]{0,200}\" )?([A-Za-z_][\w.$/]{1,300})(?=[:\s]|\Z)")
_JAVA_FRAME: Final = re.compile(r"^[ \t]{1,8}at ([^\s(]{1,300})\(", re.MULTILINE)
_PYTHON_FRAME: Final = re.compile(r'^[ \t]+File "([^"\n]{1,300})", line \d+, in (\S{1,200})', re.MULTILINE)
_PYTHON_ERROR: Final = re.compile(r"^([A-Za-z_][\w.]{0,200})(?=:|$)", re.MULTILINE)
_LAMBDA: Final = re.compile(r"\$\$?Lambda(?:\$\d{1,9})?(?:/(?:0x)?[0-9a-fA-F]{1,20})?|\blambda\$\w{0,100}\$\d{1,9}")
_PREFIXES: Final = ("Listener failed; ", "Listener failed: ", "Unexpected handler method invocation error; ")

_VARYING: Final = re.compile(
    r"(?P<plain>[^\W\d_]+(?=[\s,;!?)]|\Z))"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<lambda>\$\$?Lambda(?:\$\d{1,9})?(?:/(?:0x)?[0-9a-fA-F]{1,20})?)"
    r"|(?P<hash>@[0-9a-f]{5,16}\b)"
    r"|(?P<quoted>\"[^\"\n]{0,1000}\"|(?<!\w)'[^'\n]{0,1000}'(?!\w)|`[^`\n]{0,1000}`|“[^”\n]{0,1000}”|«[^»\n]{0,1000}»)"
    r"|(?P<mail>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
    r"|(?P<ipv4>\b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d{1,5}\b)?)"
    r"|(?P<ipv6>(?<![\w:])\[?(?:[0-9a-fA-F]{0,4}(?::{1,2}[0-9a-fA-F]{1,4}){3,7}"
    r"|(?:[0-9a-fA-F]{1,4})?::(?:[0-9a-fA-F]{1,4})?)(?!\w)\]?(?::\d{1,5}\b)?)"
    r"|(?P<hex>\b0x[0-9a-fA-F]+\b)"
    r"|(?P<number>(?<![\w<])[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?%?(?!\w))"
    r"|(?P<word>[A-Za-z0-9]*\d[A-Za-z0-9]*)"
)  # fmt: skip
"""A plain word comes first and stays what it is: most of a message is passed over by it in one step."""
_MASKS: Final = {
    "uuid": "<id>", "time": "<time>", "lambda": "$$Lambda", "hash": "@<hash>", "quoted": "<value>", "mail": "<address>",
    "ipv4": "<address>", "ipv6": "<address>", "hex": "<address>", "number": "<n>",
}  # fmt: skip
_DIGITS: Final = str.maketrans("023456789", "1" * 9)
_COUNTED: Final = re.compile(r"([A-Za-z]+(?=\d+\Z)|)\d+([A-Za-z]{0,3})")
"""booking12, utf8, 30000ms: a number with a word."""


class Group(NamedTuple):
    """What failures of one cause have in common."""

    id: str
    """Eight hexadecimal digits; what `--group` takes."""
    label: str
    """The same for people."""


@dataclass(frozen=True, slots=True)
class _Cause:
    error_class: str
    frame: str


def group_of(letter: DeadLetter) -> Group:
    """The group of a dead letter: error class and first frame where there is a stack, else the masked message."""
    return group_of_cause(letter.error_class, letter.error_message, letter.stack, letter.reason)


def group_of_cause(error_class: str, message: str, stack: str, reason: str) -> Group:
    """The same of what a dead letter says of its cause."""
    return _group(error_class, _alike(message[:_LONGEST_MESSAGE]), stack[-_LONGEST_STACK:], reason)


def masked(message: str) -> str:
    """A message without what varies: numbers, ids, times, addresses, quoted values, object hashes, lambda names."""
    text = " ".join(message[:_LONGEST_MESSAGE].split())
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return _VARYING.sub(_mask, text)


def _alike(message: str) -> str:
    """One message for all that differ in their digits alone: no mask looks at what a digit is, but for 0x."""
    return message if "0x" in message else message.translate(_DIGITS)


@lru_cache(maxsize=1024)
def _group(error_class: str, message: str, stack: str, reason: str) -> Group:
    cause = _cause_of(stack)
    if cause is not None:
        said = f"{_short(cause.error_class or error_class)} at {cause.frame}"
        return _made(f"{cause.error_class or error_class}\0{cause.frame}", said)
    text = masked(message)
    said = ": ".join(part for part in (_short(error_class), text) if part) or reason or "no error is known"
    return _made(f"{error_class}\0{text or reason}", said)


def _made(fingerprint: str, label: str) -> Group:
    digest = hashlib.sha256(fingerprint.encode(errors="surrogatepass")).hexdigest()
    return Group(digest[:_ID_LENGTH], shorten(label, _LABEL))


def _cause_of(stack: str) -> _Cause | None:
    """The deepest cause with its first frame; None where no frame can be found."""
    causes = list(_CAUSE.finditer(stack))
    deepest = causes[-1] if causes else None
    start = deepest.start() if deepest else 0
    if frame := _JAVA_FRAME.search(stack, start) or _JAVA_FRAME.search(stack):
        head = deepest or _HEAD.search(stack)
        return _Cause(_steady(head[1]) if head else "", _steady(frame[1]))
    return _python_cause(stack)


def _python_cause(stack: str) -> _Cause | None:
    """The last error of a Python traceback, with the frame that raised it."""
    frames = _PYTHON_FRAME.findall(stack)
    if not frames:
        return None
    names = _PYTHON_ERROR.findall(stack)
    file, function = frames[-1]
    return _Cause(names[-1] if names else "", f"{file}:{function}")


def _steady(name: str) -> str:
    """A class or a frame without the names that the runtime makes up."""
    return re.sub(r"\d+", "<n>", _LAMBDA.sub("$$Lambda", name))


def _short(error_class: str) -> str:
    """The class without its package."""
    return error_class.rpartition(".")[2]


def _mask(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "plain":
            return found[0]
        case "word" | None:
            return _mask_word(found[0])
        case kind:
            return _MASKS[kind]


def _mask_word(word: str) -> str:
    """One mask for numbers and for ids, since an id of letters and digits can happen to have digits alone."""
    counted = None if _HEX_ID.fullmatch(word) else _COUNTED.fullmatch(word)
    return f"{counted[1]}<n>{counted[2]}" if counted else "<n>"
