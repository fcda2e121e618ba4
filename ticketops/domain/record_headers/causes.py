"""What really went wrong: the deepest cause of a stack trace, and a message without its wrappers."""

import re

_CLASS = r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+"
_CAUSED = "\nCaused by: "
_HEAD = re.compile(rf'^(?:Exception in thread "[^"]*" )?({_CLASS})(?::|$)', re.MULTILINE)
_CAUSE = re.compile(rf"Caused by: ({_CLASS})")
_FRAME = re.compile(r"^[ \t]{1,8}at [^\n]*", re.MULTILINE)
_PYTHON_FRAME = re.compile(r'^[ \t]+File "[^"\n]*", line \d+, in \S+', re.MULTILINE)
_PYTHON_ERROR = re.compile(r"^[A-Za-z_][\w.]*(?:: [^\n]*)?$", re.MULTILINE)
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
    """The class of the last "Caused by" that is not inside a suppressed exception; else the first class at a line."""
    at = stack.rfind(_CAUSED, 0, _LONGEST_STACK)
    while at >= 0:
        if match := _CAUSE.match(stack, at + 1):
            return match[1]
        at = stack.rfind(_CAUSED, 0, at)
    match = _HEAD.search(stack, 0, _LONGEST_STACK)
    return match[1] if match else ""


def stack_outline(stack: str) -> str:
    """What identifies a failure: the first line, and the deepest cause with its first frame.

    Of a Python traceback the frame that raised it, with its error. Short where the stack is long.
    """
    whole = stack[:_LONGEST_STACK]
    if frames := list(_PYTHON_FRAME.finditer(whole)):
        return _python_outline(whole, frames[-1])
    head = whole.partition("\n")[0]
    at = whole.rfind(_CAUSED) + 1
    cause = whole[at:].partition("\n")[0] if at else ""
    frame = _FRAME.search(whole, at) or _FRAME.search(whole)
    parts = (head, cause, frame[0] if frame else "")
    return "\n".join(part[:_LONGEST_LINE] for part in parts if part)


def _python_outline(stack: str, frame: re.Match[str]) -> str:
    errors = _PYTHON_ERROR.findall(stack)
    parts = ("Traceback (most recent call last):", frame[0], errors[-1] if errors else "")
    return "\n".join(part[:_LONGEST_LINE] for part in parts if part)


def plain_message(message: str) -> str:
    """Without prefixes such as `Listener failed; `; the whole of it where nothing else is left."""
    rest = message
    while match := _PREFIXES.match(rest):
        rest = rest[match.end() :]
    return rest or message
