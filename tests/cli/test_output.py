import csv
import io
import json

import pytest
import yaml

from support.cli import Cli
from support.probe import HOSTILE, ID
from ticketops.cli import cells

UNSAFE = {"\x1b", "\x07", "\u202e", "\x9b", "\r"}


def test_json_is_documented_whole_and_exact(probe: Cli) -> None:
    done = probe("probe", "list", "-o", "json")
    assert done.json["kind"] == "probe"
    assert done.json["version"] == 1
    (item,) = done.json["items"]
    assert item == {
        "id": str(ID),
        "text": HOSTILE,
        "count": 1204,
        "age_seconds": 252.5,
        "created_at": "2026-11-23T10:10:54.947711Z",
        "missing": None,
        "more": {"ключ": ["é", 1]},
        "hidden": True,
    }
    assert not UNSAFE & set(done.out)
    assert "ключ" in done.out


def test_jsonl_is_an_item_a_line(probe: Cli) -> None:
    lines = probe("probe", "list", "--count", "3", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == [HOSTILE] * 3


def test_yaml_says_what_json_says(probe: Cli) -> None:
    done = probe("probe", "list", "-o", "yaml")
    assert yaml.safe_load(done.out) == probe("probe", "list", "-o", "json").json
    assert not UNSAFE & set(done.out)


def test_csv_has_a_header_and_exact_values(probe: Cli) -> None:
    header, row = csv.reader(io.StringIO(probe("probe", "list", "-o", "csv").out, newline=""))
    assert header == ["id", "text", "count", "age_seconds", "created_at", "missing", "more"]
    assert row[:4] == [str(ID), HOSTILE.replace("\r\n", "\n"), "1204", "252.5"]
    assert json.loads(row[6]) == {"ключ": ["é", 1]}


def test_name_is_an_id_a_line(probe: Cli) -> None:
    assert probe("probe", "list", "--count", "2", "-o", "name").out == f"{ID}\n{ID}\n"


@pytest.mark.parametrize("form", ["table", "wide"])
def test_a_pipe_gets_whole_fields_without_art(probe: Cli, form: str) -> None:
    (line,) = probe("probe", "list", "-o", form).out.splitlines()
    fields = line.split("\t")
    assert len(fields) == 7
    assert fields[0] == str(ID)
    assert fields[3:6] == ["252.5", "2026-11-23T10:10:54.947711Z", ""]
    assert not UNSAFE & set(line)


@pytest.mark.parametrize("columns", [80, 100])
def test_a_terminal_gets_a_table_that_fits(probe: Cli, columns: int) -> None:
    done = probe.terminal("probe", "list", "--no-color", columns=columns)
    heading, row = done.out.splitlines()
    assert heading.split()[:5] == ["ID", "TEXT", "COUNT", "AGE", "CREATED"]
    assert str(ID) in row
    assert "1 204" in row
    assert "4m12s" in row
    assert "…" in row
    assert "[" in row
    assert len(row) <= columns
    assert not UNSAFE & set(done.out)


def test_wide_cuts_nothing_and_has_every_column(probe: Cli) -> None:
    done = probe.terminal("probe", "list", "-o", "wide", "--no-color", columns=60)
    assert "MORE" in done.out
    assert "[red]x[/red]" in done.out
    assert "…" not in done.out


@pytest.mark.parametrize("form", ["table", "wide", "json", "jsonl", "yaml", "csv", "name"])
@pytest.mark.parametrize("verb", ["list", "show"])
def test_nothing_foreign_reaches_a_terminal_raw(probe: Cli, form: str, verb: str) -> None:
    done = probe.terminal("probe", verb, "-o", form, "--no-color")
    assert done.code == 0
    assert not UNSAFE & set(done.out)


def test_colors_are_for_terminals_that_want_them(probe: Cli) -> None:
    assert "\x1b[" in probe.terminal("probe", "list").out
    assert "\x1b[" not in probe.terminal("probe", "list", "--no-color").out
    assert "\x1b[" not in probe.terminal("probe", "list", env={"NO_COLOR": "1"}).out
    assert "\x1b[" not in probe.terminal("probe", "list", env={"TERM": "dumb"}).out
    assert "\x1b[" not in probe("probe", "list").out


def test_one_record_in_every_format(probe: Cli) -> None:
    assert probe("probe", "show", "-o", "json").json == {
        "kind": "probe",
        "version": 1,
        "id": str(ID),
        "text": HOSTILE,
        "none": None,
        "age_seconds": 1.5,
    }
    assert probe("probe", "show").out.splitlines()[0] == f"id\t{ID}"
    assert probe.terminal("probe", "show").out.splitlines()[0] == f"id:          {ID}"
    assert probe("probe", "show", "-o", "name").out == f"{ID}\n"
    assert len(probe("probe", "show", "-o", "jsonl").out.splitlines()) == 1


def test_a_report_is_tables_for_people_and_one_object_for_machines(probe: Cli) -> None:
    assert probe("probe", "report", "-o", "json").json["relays"] == ["a"]
    assert probe("probe", "report").out == "relays\ta\nshards\t1\ta\n"
    shown = probe.terminal("probe", "report", "--no-color").out
    assert shown == "relays\nNAME\na\n\nshards\nSLOT  OWNER\n1     a\n"


def test_an_ascii_stdout_is_no_error(probe: Cli) -> None:
    done = probe("probe", "list", "-o", "csv", env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "\\u043a" in done.out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "0.2s"), (12, "12s"), (252.5, "4m12s"), (10_950, "3h02m"), (446_400, "5d04h"), (-75, "-1m15s")],
)
def test_ages(seconds: float, text: str) -> None:
    assert cells.age(seconds) == text
