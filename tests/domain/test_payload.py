import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.payload import checked
from ticketops.errors import InvalidEvent

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
STORABLE = JSON.filter(lambda value: "\\u0000" not in json.dumps(value))


@given(STORABLE, st.booleans())
def test_json_passes_unchanged(value: object, escaped: bool) -> None:
    try:
        text = json.dumps(value, ensure_ascii=escaped)
        text.encode()
        expected = json.loads(text)
    except UnicodeError:
        return
    if "\\ud" in text:
        return
    assert checked(text) == text
    assert json.loads(checked(text)) == expected


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\\n\t\x01\x1f\x7f/ub', max_size=30))
def test_what_is_taken_is_json(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    try:
        checked(text)
    except InvalidEvent:
        return
    assert valid


@pytest.mark.parametrize(
    "text",
    ["", "{", "{'a': 1}", '{"a": NaN}', '"\x01"', '"\n"', "01", "1.", "[1,]", '"\\x"', "\ufeff{}", "1e200000", "nul"],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent):
        checked(text)


@pytest.mark.parametrize("number", ["1e200000", "-1E200000", "1.5e131072", "9" * 131_073, "0." + "1" * 16_384])
@pytest.mark.parametrize("around", ["{}", " {}", "[{}]", "[1,{}]", "[1, {}]", '{{"a":{}}}', '{{"a"\t:\n{}}}'])
def test_a_number_that_the_server_cannot_store_is_found_wherever_it_stands(number: str, around: str) -> None:
    with pytest.raises(InvalidEvent, match="number"):
        checked(around.format(number))


def test_digits_in_an_id_are_no_number() -> None:
    text = '{"id": "3e200000-1e99-4000-8000-' + "9" * 200_000 + '"}'
    assert checked(text) == text
