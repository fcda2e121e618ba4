"""Foreign text made safe for a terminal.

Everything that came from a payload, a header, a key or an error passes through here before it is shown.
"""

import unicodedata

_ALLOWED = frozenset("\n\t")


def terminal_safe(text: str, *, multiline: bool = False) -> str:
    """`text` with control, escape, bidirectional and unprintable characters shown as symbols.

    Newlines and tabs stay where `multiline` is true; elsewhere they too become symbols.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character, multiline=multiline) for character in text)


def _shown(character: str, *, multiline: bool) -> str:
    if multiline and character in _ALLOWED:
        return character
    code = ord(character)
    if code < 0x20:  # noqa: PLR2004 - the C0 block
        return chr(0x2400 + code)
    if code == 0x7F:  # noqa: PLR2004 - DEL has a picture of its own
        return "␡"
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return f"<U+{code:04X}>"
    return character


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
