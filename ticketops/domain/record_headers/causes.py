"""What really went wrong: the deepest cause of a stack trace, and a message without its wrappers."""

import re

_CLASS = r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+"
_HEAD = re.compile(rf'(?:Exception in thread "[^"]*" )?({_CLASS})(?::|$)')
_CAUSE = re.compile(rf"Caused by: ({_CLASS})")
_FRAME = re.compile(r"\s+at ")
_PREFIXES = re.compile(
    r"(?:Listener failed"
    r"|Listener method '[^']*' threw exception"
    r"|[Ee]rror occurred in message handler \[[^\n]*?\](?=[;,])"
    r"|[Ee]rror occurred during processing message in '[^']*' \[[^\n]*?\](?=[;,]))[;,:]\s+"
    rf"|nested exception is {_CLASS}:\s+"
)
_LONGEST_STACK = 1_000_000
"""Characters looked at; a cause beyond them is not found."""
_LONGEST_LINE = 300


def deepest_class(stack: str) -> str:
    """The class of the last "Caused by" that is not inside a suppressed exception; else the first line's class."""
    found = ""
    for line in _lines(stack):
        if match := _CAUSE.match(line) or (None if found else _HEAD.match(line)):
            found = match[1]
    return found


def stack_outline(stack: str) -> str:
    """The exception's line, and its deepest cause's line and first frame: what identifies a failure."""
    head, cause, frame = "", "", ""
    for line in _lines(stack):
        if not head:
            head = line[:_LONGEST_LINE]
        if _CAUSE.match(line):
            cause, frame = line[:_LONGEST_LINE], ""
        elif not frame and _FRAME.match(line):
            frame = line[:_LONGEST_LINE]
    return "\n".join(part for part in (head, cause, frame) if part)


def plain_message(message: str) -> str:
    """Without prefixes such as `Listener failed; `; the whole of it where nothing else is left."""
    rest = message
    while match := _PREFIXES.match(rest):
        rest = rest[match.end() :]
    return rest or message


def _lines(stack: str) -> list[str]:
    return stack[:_LONGEST_STACK].splitlines()
