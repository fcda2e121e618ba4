import json
import stat

from support.cli import Cli
from ticketops.cli.exits import ExitCode
from ticketops.config.example import example
from ticketops.config.schema import keys

SECRET = "Tr0ub4dor-and-3"  # noqa: S105 - the secret that must not be seen


def write(cli: Cli, text: str) -> None:
    (cli.folder / "ticketops.toml").write_text(text)


def test_show_tells_every_value_and_its_origin(cli: Cli) -> None:
    write(cli, "[relay]\nshards = 4\n[contexts.prod]\nread_only = true\n[contexts.prod.relay]\nlanes = 1\n")
    done = cli(
        *("config", "show", "-o", "json", "--context", "prod", "--set", "relay.batch_size=7"),
        env={"TICKETOPS_RELAY_ID": "r1"},
    )
    items = {item["key"]: item for item in done.json["items"]}
    assert set(items) == set(keys())
    shown = {name: (items[name]["value"], items[name]["origin"], items[name]["source"]) for name in items}
    assert shown["relay.shards"] == (4, "ticketops.toml:2", "file")
    assert shown["relay.lanes"] == (1, "ticketops.toml:6 (context prod)", "context")
    assert shown["read_only"] == (True, "ticketops.toml:4 (context prod)", "context")
    assert shown["relay.batch_size"] == (7, "--set relay.batch_size", "flag")
    assert shown["relay.id"] == ("r1", "TICKETOPS_RELAY_ID", "environment")
    assert shown["context"] == ("prod", "--context", "flag")
    assert shown["outbox.topics"][0]["BOOKING"] == "booking-events"
    assert shown["log.level"] == ("info", "default", "default")


def test_show_takes_sections_and_keys(cli: Cli) -> None:
    assert cli("config", "show", "log", "relay.id", "-o", "name").out == "relay.id\nlog.format\nlog.level\n"
    done = cli("config", "show", "relay.shard")
    assert done.code == ExitCode.USAGE
    assert "did you mean relay.shards?" in done.err


def test_show_hides_secrets_in_every_format(cli: Cli) -> None:
    write(cli, f'[postgres]\nurl = "postgresql://u:{SECRET}@h/d"\n[kafka.properties]\nsasl.password = "{SECRET}"\n')
    for form in ("table", "wide", "json", "jsonl", "yaml", "csv"):
        done = cli(
            "config", "show", "-o", form, env={"TICKETOPS_KAFKA_PASSWORD": SECRET, "TICKETOPS_KAFKA_USERNAME": "u"}
        )
        assert done.code == 0
        assert SECRET not in done.out + done.err
        assert "***" in done.out


def test_show_works_where_secret_files_and_values_are_not_usable(cli: Cli) -> None:
    write(cli, '[postgres]\nurl_file = "/nowhere"\n[relay]\nshards = "many"\n')
    done = cli("config", "show")
    assert done.code == 0
    assert "postgres.url_file\t/nowhere\tticketops.toml:2\n" in done.out
    assert "postgres.url\t***\tticketops.toml:2\n" in done.out
    assert "problem: ticketops.toml:4" in done.err


def test_check_says_that_all_is_well(cli: Cli) -> None:
    write(cli, example())
    done = cli("config", "check")
    assert (done.code, done.out) == (0, "")
    assert "nothing wrong in default" in done.err


def test_check_finds_everything_in_every_context(cli: Cli) -> None:
    write(cli, "[relay]\nshard = 1\n[contexts.a.relay]\nlanes = 99\n[contexts.b]\n")
    done = cli("config", "check", "-o", "json")
    assert done.code == ExitCode.USAGE
    found = [(item["contexts"], item["problem"]) for item in done.json["items"]]
    assert found == [
        (["default", "a", "b"], "ticketops.toml:2: unknown key relay.shard"),
        (["a"], "ticketops.toml:4 (context a): relay.lanes cannot be used"),
    ]


def test_check_reads_the_secrets_of_the_chosen_context_alone(cli: Cli) -> None:
    write(cli, '[contexts.prod.postgres]\nurl_file = "/nowhere"\n')
    assert cli("config", "check").code == 0
    done = cli("config", "check", "--context", "prod")
    assert done.code == ExitCode.USAGE
    assert "/nowhere cannot be used" in done.out


def test_warnings_go_to_stderr(cli: Cli) -> None:
    done = cli("config", "check", env={"TICKETOPS_RELAY_SHARD": "3"})
    assert done.code == 0
    assert "warning: the variable TICKETOPS_RELAY_SHARD" in done.err


def test_broken_toml_is_three_lines(cli: Cli) -> None:
    write(cli, "[relay\n")
    done = cli("config", "check")
    assert done.code == ExitCode.USAGE
    assert [line[:5] for line in done.err.splitlines()] == ["error", "  why", "  try"]
    assert json.loads(cli("config", "check", "-o", "json").err)["error"]["type"] == "ConfigError"


def test_init_writes_a_file_for_its_owner_alone_and_overwrites_nothing(cli: Cli) -> None:
    file = cli.folder / "ticketops.toml"
    assert cli("config", "init").code == 0
    assert file.read_text(encoding="utf-8") == example()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("# mine")
    assert cli("config", "init").code == ExitCode.REFUSED
    assert file.read_text() == "# mine"
    assert cli("config", "init", "--force").code == 0
    assert file.read_text(encoding="utf-8") == example()


def test_init_to_stdout_and_to_another_place(cli: Cli) -> None:
    assert cli("config", "init", "--stdout").out == example()
    assert list(cli.folder.iterdir()) == []
    assert cli("config", "init", "a/b.toml").code == 0
    assert (cli.folder / "a" / "b.toml").exists()


def test_check_tells_alert_rules_that_are_no_condition(cli: Cli) -> None:
    write(
        cli,
        '[alerts.rules.a]\nwhen = "dlq.depth >"\n[contexts.prod.lag]\ngroups = ["*"]\n'
        '[contexts.prod.alerts.rules.b]\nwhen = "dlq.deepth > 1"\n',
    )
    done = cli("config", "check", "-o", "json")
    assert done.code == ExitCode.USAGE
    found = {item["problem"]: item["contexts"] for item in done.json["items"]}
    assert found == {
        "alerts.rules.a.when cannot be understood": ["default", "prod"],
        "alerts.rules.b.when names dlq.deepth": ["prod"],
        "lag.groups holds '*', which is no regular expression": ["prod"],
    }
