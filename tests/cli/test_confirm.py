import pytest

from support.cli import Cli
from ticketops.cli.exits import ExitCode


def test_yes_changes_and_tells_the_plan_on_stderr(probe: Cli) -> None:
    done = probe("probe", "change", "--yes")
    assert (done.code, done.out) == (0, "id\tchanged\n")
    assert "retry 12 events\n" in done.err
    assert "context: default\n" in done.err
    assert "\x1b" not in done.err


def test_dry_run_prints_the_plan_and_changes_nothing(probe: Cli) -> None:
    done = probe("probe", "change", "--dry-run", "--yes")
    assert done.code == 0
    assert "changed" not in done.out
    assert done.out.startswith("retry 12 events\n")
    assert done.out.endswith("context: default\n")


def test_dry_run_is_json_under_json(probe: Cli) -> None:
    plan = probe("probe", "change", "--dry-run", "-o", "json").json
    assert plan["kind"] == "plan"
    assert plan["context"] == "default"
    assert plan["lines"][0] == "retry 12 events"


def test_without_a_terminal_nothing_is_changed(probe: Cli) -> None:
    done = probe("probe", "change", text="y\n")
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert "--yes" in done.err


@pytest.mark.parametrize("form", ["json", "jsonl", "yaml", "csv", "name"])
def test_machines_are_never_asked(probe: Cli, form: str) -> None:
    done = probe.terminal("probe", "change", "-o", form, typed="y\n")
    assert done.code == ExitCode.REFUSED
    assert "Go on" not in done.out


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("y\n", 0),
        ("YES\n", 0),
        ("\n", ExitCode.INTERRUPTED),
        ("n\n", ExitCode.INTERRUPTED),
        ("\x04", ExitCode.INTERRUPTED),
    ],
)
def test_a_terminal_is_asked_and_the_default_is_no(probe: Cli, typed: str, code: int) -> None:
    done = probe.terminal("probe", "change", typed=typed)
    assert done.code == code
    assert "Go on in context default? [y/N]" in done.out
    assert ("id: changed" in done.out) == (code == 0)


@pytest.mark.parametrize(
    ("typed", "code"),
    [("prod 12\n", 0), ("y\n", ExitCode.REFUSED), ("prod\n", ExitCode.REFUSED), ("\n", ExitCode.INTERRUPTED)],
)
def test_a_phrase_must_be_typed(probe: Cli, typed: str, code: int) -> None:
    done = probe.terminal("probe", "change", "--phrase", "prod 12", typed=typed)
    assert done.code == code
    assert "Type prod 12 to go on:" in done.out


def test_the_context_stands_in_the_question(probe: Cli) -> None:
    (probe.folder / "ticketops.toml").write_text("[contexts.prod-eu]\nread_only = false\n")
    done = probe.terminal("probe", "change", "--context", "prod-eu", typed="y\n")
    assert "Go on in context prod-eu?" in done.out
