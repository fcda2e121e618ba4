"""Edits of payloads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.editing import EditError, PayloadEdit, compact, difference, pretty
from ticketops.errors import UsageError

PAYLOAD = b'{"id":12345678901234567890123,"amount":10.00,"tiny":1E-7,"seats":["A1","A2"],"who":{"name":"\xc3\x89va"}}'


def edited(*sets: str, patch: str = "") -> bytes:
    return PayloadEdit(sets=sets, patch=patch).apply(PAYLOAD)


def test_what_is_not_touched_keeps_every_digit() -> None:
    assert edited("who.name=Ada") == PAYLOAD.replace("Éva".encode(), b"Ada")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seats[0]=B7", ("seats", 0), "B7"),
        ("seats[-]=B7", ("seats", 2), "B7"),
        ("who.age=7", ("who", "age"), 7),
        ("who=null", ("who",), None),
        ('who={"a":[1]}', ("who",), {"a": [1]}),
        ("who.name=", ("who", "name"), ""),
        ('who.name="7"', ("who", "name"), "7"),
    ],
)
def test_a_value_is_set_by_its_path(text: str, path: tuple[str | int, ...], value: object) -> None:
    found = json.loads(edited(text))
    for step in path:
        found = found[step]
    assert found == value


@pytest.mark.parametrize("text", ["seats[2]=x", "nobody.name=x", "seats.name=x", "who[0]=x", "seats[-].x=1"])
def test_a_path_that_does_not_fit_is_said(text: str) -> None:
    with pytest.raises(EditError):
        edited(text)


@pytest.mark.parametrize("text", ["", "=1", "who", "a..b=1", "a[x]=1", "a[=1", "a]=1"])
def test_a_path_that_is_none_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError):
        PayloadEdit(sets=(text,))


def test_an_object_is_a_merge_patch_and_an_array_a_json_patch() -> None:
    merged = json.loads(edited(patch='{"who":null,"amount":10.50,"new":{"a":null,"b":1}}'))
    assert "who" not in merged
    assert merged["new"] == {"b": 1}
    assert b'"amount":10.50' in edited(patch='{"amount":10.50}')
    patch = '[{"op":"test","path":"/amount","value":10.00},{"op":"remove","path":"/seats/0"}]'
    assert json.loads(edited(patch=patch))["seats"] == ["A2"]
    with pytest.raises(EditError, match="does not fit"):
        edited(patch='[{"op":"remove","path":"/nothing"}]')


@pytest.mark.parametrize("patch", ["{", "7", '[{"op":"dance"}]', "[1]", "NaN"])
def test_a_patch_that_is_none_is_refused_at_once(patch: str) -> None:
    with pytest.raises(UsageError):
        PayloadEdit(patch=patch)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000, None, b'{"b":"\\ud800"}'])
def test_what_is_not_json_cannot_be_patched(payload: bytes | None) -> None:
    with pytest.raises(EditError):
        PayloadEdit(sets=("a=1",)).apply(payload)


def test_the_store_keeps_the_whole_edit() -> None:
    for edit in (PayloadEdit(whole=b"\x00\xff"), PayloadEdit(patch='{"a":1}', sets=("b=2", "c=3"))):
        assert PayloadEdit.of(json.loads(json.dumps(edit.words()))) == edit


def test_the_difference_is_of_lines() -> None:
    lines = list(difference(PAYLOAD, edited("who.name=Ada")))
    assert '-    "name": "Éva"' in lines
    assert '+    "name": "Ada"' in lines


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(json_values)
def test_an_editor_that_changes_nothing_changes_nothing(value: object) -> None:
    payload = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
    try:
        payload.decode()
    except UnicodeDecodeError:
        return
    assert json.loads(compact(pretty(payload), payload)) == json.loads(payload)


@given(st.binary())
def test_bytes_that_are_no_json_pass_an_editor(payload: bytes) -> None:
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        assert compact(pretty(payload), payload) == payload
