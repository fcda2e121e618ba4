"""Foreign text made safe for a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.text import shorten, terminal_safe

EVIL = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x07\x00\x7f\x9b\u202e\u2066\u200b\ufeff\ue000\ud800\u2028\n\t\r"),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ASCII", "plain ASCII"),
        ("Größe 💺 日本", "Größe 💺 日本"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\nb\tc\r", "a␊b␉c␍"),
        ("\x00\x7f\x9b", "␀␡<U+009B>"),
        ("abc\u202edef\u2066", "abc<U+202E>def<U+2066>"),
        ("\u2028\u2029\ufeff\u200b", "<U+2028><U+2029><U+FEFF><U+200B>"),
        ("\ud800\ue000\U000e0001", "<U+D800><U+E000><U+E0001>"),
    ],
)
def test_what_could_act_is_shown_as_a_symbol(text: str, safe: str) -> None:
    assert terminal_safe(text) == safe


def test_lines_and_tabs_can_stay() -> None:
    assert terminal_safe("a\nb\tc\r\x1b", multiline=True) == "a\nb\tc␍␛"


@given(text=EVIL, multiline=st.booleans())
def test_nothing_that_acts_comes_through(text: str, *, multiline: bool) -> None:
    safe = terminal_safe(text, multiline=multiline)
    allowed = "\n\t" if multiline else ""
    for character in safe:
        assert character in allowed or unicodedata.category(character)[0] != "C"
        assert unicodedata.category(character) not in {"Zl", "Zp"}
    safe.encode()
    assert terminal_safe(safe, multiline=multiline) == safe


@given(text=st.text(max_size=30), width=st.integers(0, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    short = shorten(text, width)
    assert len(short) <= max(width, 1)
    assert short == text or short.endswith("…")
    assert text.startswith(short.removesuffix("…"))
