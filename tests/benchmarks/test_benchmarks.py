import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.figures import Sample, percentile, ratios, slope, spread, steady_rate
from benchmarks.report import Figure, Goal, Report, Verdict

REPORT = Report(
    "rate",
    "events/s",
    [Figure("relay", spread([900.0, 1100.0, 1000.0]), "events/s"), Figure("its peer", spread([2000.0]), "events/s")],
    [
        Verdict("relay ÷ peer", spread([0.5]), goal=Goal(0.9)),
        Verdict("latency", spread([4.0]), "ms", Goal(5, at_least=False)),
        Verdict("no goal", spread([1.0])),
    ],
    ["A note."],
    {"relay": [900.0, 1100.0, 1000.0]},
)
SURROUNDINGS: Mapping[str, object] = {"date": "2026-01-01T00:00:00+00:00", "machine": {"cpus": 2}}


def test_a_spread_has_the_median_and_the_range() -> None:
    found = spread([3.0, 1.0, 2.0])
    assert (found.median, found.low, found.high, found.rounds) == (2.0, 1.0, 3.0, 3)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)])
def test_percentiles_are_values_that_were_measured(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 99) == 7.0


def test_the_steady_rate_leaves_out_the_start_and_the_end() -> None:
    slow_start = [Sample(0, 0), Sample(10, 100)]
    steady = [Sample(10 + second, 100 + 100 * second) for second in range(1, 9)]
    slow_end = [Sample(100, 1000)]
    assert steady_rate([*slow_start, *steady, *slow_end]) == pytest.approx(100)


def test_the_steady_rate_of_few_samples_uses_all_of_them() -> None:
    assert steady_rate([Sample(0, 0), Sample(1, 500), Sample(2, 1000)]) == pytest.approx(500)


def test_the_steady_rate_of_one_sample_is_unknown() -> None:
    assert math.isnan(steady_rate([Sample(1, 1000)]))


def test_the_slope_is_the_growth_per_second() -> None:
    assert slope([Sample(second, 50 + 2 * second) for second in range(5)]) == pytest.approx(2)
    assert slope([Sample(1, 50)]) == 0


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios([1.0, 4.0], [2.0, 2.0]) == [0.5, 2.0]


def test_the_table_has_every_figure_and_says_which_goals_are_missed() -> None:
    lines = report.render(REPORT).splitlines()
    assert any(line.split() == ["relay", "1,000", "900", "1,100", "3", "events/s"] for line in lines)
    assert any(line.startswith("relay ÷ peer") and line.endswith("≥ 0.9  MISSED") for line in lines)
    assert any(line.startswith("latency") and line.endswith("≤ 5     met") for line in lines)
    assert lines[-1] == "A note."


def test_columns_line_up() -> None:
    rows = report.lines([("", "a"), ("name", "1"), ("n", "1,000")])
    assert rows == ["          a", "name      1", "n     1,000"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "?"), (0.123456, "0.123"), (12.345, "12.3"), (123.4, "123"), (1234.5, "1,234"), (0.0, "0")],
)
def test_numbers_have_no_more_digits_than_they_deserve(value: float, text: str) -> None:
    assert report.number(value) == text


def test_the_json_says_where_and_when_and_what(tmp_path: Path) -> None:
    path = report.write(tmp_path / "results", REPORT, SURROUNDINGS)
    found = json.loads(path.read_text())
    assert path.name == "rate.json"
    assert found["date"] == SURROUNDINGS["date"]
    assert found["machine"] == {"cpus": 2}
    assert found["figures"][0] == {
        "name": "relay", "unit": "events/s", "median": 1000.0, "low": 900.0, "high": 1100.0, "rounds": 3,
    }  # fmt: skip
    assert [verdict["met"] for verdict in found["verdicts"]] == [False, True, None]
    assert found["details"] == {"relay": [900.0, 1100.0, 1000.0]}


def test_an_unknown_figure_meets_no_goal() -> None:
    assert not Goal(0.9).is_met(math.nan)
    assert not Goal(5, at_least=False).is_met(math.nan)


def test_an_unknown_benchmark_is_refused_before_anything_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["no-such"])
    assert ended.value.code == 2
    assert "none of: mark-rate" in capsys.readouterr().err


@pytest.mark.parametrize("module", command.MODULES)
def test_every_benchmark_has_a_name_a_title_and_a_limit(module: str) -> None:
    benchmark = command.load(module)
    assert command.name_of(module) == benchmark.NAME
    assert benchmark.TITLE
    assert 0 < benchmark.SECONDS <= 900
