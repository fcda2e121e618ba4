import json
import os
import signal
import subprocess
import sys

import pytest

from support.cli import Cli, full_device
from support.probe import SECRET
from ticketops import errors
from ticketops.cli.exits import ExitCode, exit_code
from ticketops.cli.nouns import NOUNS

HEAVY = (
    "psycopg",
    "redis",
    "confluent_kafka",
    "sqlalchemy",
    "alembic",
    "rich",
    "textual",
    "msgspec",
    "yaml",
    "cel",
    "opentelemetry",
)


def test_help_lists_every_noun_with_its_help(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    assert done.err == ""
    for noun in NOUNS:
        assert f"  {noun.name} " in done.out
        assert noun.help in done.out


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["nonsense"]])
def test_the_frame_loads_no_driver_and_no_renderer(words: list[str]) -> None:
    script = f"""
import sys
from ticketops.cli.main import run
run({words!r})
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_rules_are_compiled_by_the_commands_that_need_them() -> None:
    own = ["--set", "alerts.rules.mine.when=dlq.depth > 7"]
    for words, loaded in (
        ([*own, "config", "check"], "['cel']"),
        (["config", "check"], "[]"),
        ([*own, "config", "show", "log"], "[]"),
    ):
        script = f"import sys\nfrom ticketops.cli.main import run\nrun({words!r})\n"
        script += "print([name for name in ('cel',) if name in sys.modules], file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == loaded


def test_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("ticketops 0.")


def test_a_command_left_out_shows_the_help_on_stderr(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err.startswith("Usage: ticketops")


def test_an_unknown_command_names_the_nearest(cli: Cli) -> None:
    done = cli("confg", "show")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "config" in done.err.splitlines()[0]
    assert done.err.startswith("error: ")
    assert "  try: ticketops --help" in done.err


def test_a_noun_that_is_not_in_the_build_is_an_error(probe: Cli) -> None:
    done = probe("gone", "run")
    assert done.code == ExitCode.USAGE
    assert done.err.startswith("error: ticketops gone is not in this build")


@pytest.mark.parametrize(
    "words", [["--timeout", "x"], ["--timeout", "0"], ["-o", "xml"], ["--nonsense"], ["-o"], ["--set"]]
)
def test_bad_options_are_usage_errors_without_a_traceback(probe: Cli, words: list[str]) -> None:
    for placed in ([*words, "probe", "flags"], ["probe", "flags", *words]):
        done = probe(*placed)
        assert done.code == ExitCode.USAGE, placed
        assert "Traceback" not in done.err
        assert done.err.startswith("error: ")


def test_usage_errors_are_json_where_json_was_asked_for(probe: Cli) -> None:
    for words in (
        ["probe", "flags", "--bad", "-o", "json"],
        ["-ojson", "prob"],
        ["--output=json", "probe", "flags", "x"],
    ):
        done = probe(*words)
        assert done.code == ExitCode.USAGE
        assert json.loads(done.err)["error"]["type"] == "UsageError"
        assert done.out == ""


def test_options_count_before_the_noun_and_after_the_verb(probe: Cli) -> None:
    before = probe("--context", "a", "--timeout", "2", "--set", "x=1", "-o", "json", "probe", "flags")
    after = probe("probe", "flags", "--context", "a", "--timeout", "2", "--set", "x=1", "-o", "json")
    between = probe("probe", "--context", "a", "--timeout", "2", "--set", "x=1", "flags", "-ojson")
    assert before.json == after.json == between.json
    assert before.json["context"] == "a"
    assert before.json["timeout"] == 2.0


def test_the_deeper_option_wins_and_assignments_add_up(probe: Cli) -> None:
    done = probe(
        "--context", "a", "--set", "x=1", "-o", "yaml", "probe", "flags", "--set", "y=2", "--context", "b", "-o", "json"
    )
    assert done.json["context"] == "b"
    assert done.json["set"] == ["x=1", "y=2"]
    assert done.json["timeout"] == 5.0


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("UsageError", 2),
        ("ConfigError", 2),
        ("InvalidEvent", 1),
        ("NotFoundError", 5),
        ("DeniedError", 4),
        ("RefusedError", 6),
        ("InterruptedByUser", 130),
        ("BackendError", 1),
        ("LockTimeout", 1),
        ("RelayIdTaken", 1),
    ],
)
def test_exit_codes_by_error(kind: str, code: int) -> None:
    assert exit_code(getattr(errors, kind)("it failed")) == code


def test_exit_codes_of_what_is_not_ours() -> None:
    assert exit_code(errors.BackendUnavailable("Kafka")) == ExitCode.UNREACHABLE
    assert exit_code(KeyboardInterrupt()) == ExitCode.INTERRUPTED
    assert exit_code(ValueError()) == ExitCode.FAILED


def test_a_command_may_return_its_exit_code(probe: Cli) -> None:
    assert probe("probe", "partly").code == ExitCode.PARTLY


def test_an_error_is_three_lines_without_secrets_or_escapes(probe: Cli) -> None:
    done = probe("probe", "fail", "DeniedError")
    assert (done.code, done.out) == (ExitCode.DENIED, "")
    what, why, hint = done.err.splitlines()
    assert what == "error: it failed"
    assert why.startswith("  why: could not reach postgresql://app:***@db/booking")
    assert hint == "  try: try again"
    assert SECRET not in done.err
    assert not set(done.err) & {"\x1b", "\x07", "\u202e", "\x9b"}


def test_an_error_is_one_object_under_json(probe: Cli) -> None:
    done = probe("probe", "fail", "NotFoundError", "-o", "json")
    error = json.loads(done.err)
    assert done.code == error["error"]["exit_code"] == ExitCode.NOT_FOUND
    assert error["kind"] == "error"
    assert error["version"] == 1
    assert error["error"]["hint"] == "try again"
    assert SECRET not in done.err


def test_what_nobody_expected_is_short_and_redacted(probe: Cli) -> None:
    url = f"postgresql://app:{SECRET}@db/booking"
    done = probe("probe", "crash", env={"TICKETOPS_POSTGRES_URL": url})
    assert done.code == ExitCode.FAILED
    assert "Traceback" not in done.err
    assert SECRET not in done.err
    assert "--debug" in done.err


def test_debug_shows_the_traceback_without_locals_and_secrets(probe: Cli) -> None:
    url = f"postgresql://app:{SECRET}@db/booking"
    done = probe("--debug", "probe", "crash", env={"TICKETOPS_POSTGRES_URL": url})
    assert done.code == ExitCode.FAILED
    assert "Traceback" in done.err
    assert "probe.py" in done.err
    assert SECRET not in done.err


def test_an_interrupt_is_told_at_once_and_ends_with_130(probe: Cli) -> None:
    process = probe.start("probe", "wait")
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert err.strip() == "interrupted: stopping"
    assert out == ""


def test_a_reader_that_leaves_is_no_error(probe: Cli) -> None:
    process = probe.start("probe", "list", "--count", "20000")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("018f")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 0
    process.stderr.close()


def test_help_is_fast(cli: Cli) -> None:
    def cpu_seconds() -> float:
        """Of a process that imports everything itself, which one that a test forks does not."""
        before = os.times()
        subprocess.run(cli.command(["--help"]), env=cli.environment(None), stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(cpu_seconds() for _ in range(5)) < 0.15


@pytest.mark.parametrize("words", [["probe", "list"], ["probe", "list", "-o", "wide"], ["--help"], ["--version"]])
def test_stdout_on_a_full_disk_is_a_clear_error(probe: Cli, words: list[str]) -> None:
    done = probe(*words, full_disk=True)
    assert done.code == ExitCode.FAILED
    assert done.err.splitlines()[:2] == [
        "error: the output could not be written to stdout",
        "  why: No space left on device",
    ]


@pytest.mark.parametrize(("redirection", "code"), [(">&-", ExitCode.FAILED), ("2>&-", ExitCode.DONE)])
def test_a_closed_stream_is_no_fault(probe: Cli, redirection: str, code: ExitCode) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *probe.command(["probe", "list", "-o", "name"])],
        env=probe.environment(None),
        cwd=probe.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("could not be written" in done.stderr) == bool(code)


@pytest.mark.parametrize(("words", "code"), [(["probe", "list"], 0), (["gone"], 2), ([], 2)])
def test_stderr_on_a_full_disk_changes_no_exit_code(probe: Cli, words: list[str], code: int) -> None:
    with full_device(wanted=True) as full:
        done = subprocess.run(
            probe.command(words),
            env=probe.environment(None),
            cwd=probe.folder,
            stdout=subprocess.DEVNULL,
            stderr=full,
            check=False,
        )
    assert done.returncode == code
