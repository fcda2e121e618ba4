from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketops.config import Config, Settings, load
from ticketops.config.example import example
from ticketops.config.origins import Source
from ticketops.config.schema import keys, value_of
from ticketops.domain.outbox import FailurePolicy
from ticketops.errors import ConfigError

NO_ENVIRONMENT: Mapping[str, str] = {"TICKETOPS_TEST_POSTGRES": "ignored"}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))


def loaded(
    folder: Path,
    text: str = "",
    *assignments: str,
    environ: Mapping[str, str] = NO_ENVIRONMENT,
    context: str | None = None,
) -> Settings:
    file = folder / "given.toml"
    file.write_text(text)
    return load(file=file, environ=environ, assignments=assignments, context=context, directory=folder)


def refused(
    folder: Path, text: str = "", *assignments: str, environ: Mapping[str, str] = NO_ENVIRONMENT
) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, *assignments, environ=environ)
    return caught.value


def test_without_a_file_everything_is_default(tmp_path: Path) -> None:
    settings = load(environ={}, directory=tmp_path)
    assert settings.config == Config()
    assert settings.file is None
    assert {origin.source for origin in settings.origins.values()} == {Source.DEFAULT}


def test_the_example_is_the_defaults(tmp_path: Path) -> None:
    settings = loaded(tmp_path, example())
    assert settings.config == Config()
    assert {name for name, origin in settings.origins.items() if origin.source is Source.DEFAULT} == set()


def test_the_stored_example_is_made_from_the_options() -> None:
    assert (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8") == example()


def test_every_key_of_the_example_is_explained() -> None:
    tables = {f"[{name}]" for name, key in keys().items() if key.is_map}
    section = ""
    for before, line in pairwise(example().splitlines()):
        section = line if line.startswith("[") else section
        if " = " in line and not line.startswith("#") and section not in tables:
            assert before.startswith("# "), line


def test_files_are_looked_for_in_order(tmp_path: Path) -> None:
    user = tmp_path / "xdg" / "ticketops" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[relay]\nshards = 1")
    assert load(environ={}, directory=tmp_path).config.relay.shards == 1
    (tmp_path / "ticketops.toml").write_text("[relay]\nshards = 2")
    assert load(environ={}, directory=tmp_path).config.relay.shards == 2
    (tmp_path / "named.toml").write_text("[relay]\nshards = 3")
    environ = {"TICKETOPS_CONFIG": str(tmp_path / "named.toml")}
    assert load(environ=environ, directory=tmp_path).config.relay.shards == 3
    (tmp_path / "flag.toml").write_text("[relay]\nshards = 4")
    assert load(file=tmp_path / "flag.toml", environ=environ, directory=tmp_path).config.relay.shards == 4


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_named_file_must_be_there(tmp_path: Path, how: str) -> None:
    missing = tmp_path / "missing.toml"
    flag = missing if how == "flag" else None
    environ = {} if flag else {"TICKETOPS_CONFIG": str(missing)}
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read"):
        load(file=flag, environ=environ, directory=tmp_path)


LAYERS = ("file", "context", "environment", "flag")


@given(values=st.dictionaries(st.sampled_from(LAYERS), st.integers(1, 1024), max_size=4))
def test_the_strongest_layer_wins(tmp_path_factory: pytest.TempPathFactory, values: dict[str, int]) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = f"[relay]\nshards = {values['file']}\n" if "file" in values else ""
    text += "[contexts.x]\n"
    text += f"[contexts.x.relay]\nshards = {values['context']}\n" if "context" in values else ""
    environ = {"TICKETOPS_RELAY_SHARDS": str(values["environment"])} if "environment" in values else {}
    flags = [f"relay.shards={values['flag']}"] if "flag" in values else []
    settings = loaded(folder, text, *flags, environ=environ, context="x")
    strongest = next((layer for layer in reversed(LAYERS) if layer in values), None)
    assert settings.config.relay.shards == (values[strongest] if strongest else 16)
    assert settings.origins["relay.shards"].source == (strongest or "default")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("relay.batch_size", "12", 12),
        ("relay.poll_interval", "0.5", 0.5),
        ("relay.poll_interval", "1", 1.0),
        ("relay.shadow", "true", True),
        ("relay.shadow", "0", False),
        ("relay.id", "12", "12"),
        ("outbox.columns.seq", "", ""),
        ("outbox.on_failure", "park", FailurePolicy.PARK),
        ("relay.aggregate_types", "BOOKING, PAYMENT", ("BOOKING", "PAYMENT")),
        ("relay.aggregate_types", '["BOOKING"]', ("BOOKING",)),
        ("relay.aggregate_types", "", ()),
        ("outbox.topics", "BOOKING=a,*=b", {"BOOKING": "a", "*": "b"}),
        ("outbox.topics", '{"BOOKING": "a=b"}'.replace("=", "-"), {"BOOKING": "a-b"}),
        ("kafka.properties", '{"linger.ms": 5}', {"linger.ms": 5}),
    ],
)
def test_variables_and_flags_are_read_as_the_key_wants(tmp_path: Path, name: str, text: str, value: object) -> None:
    by_variable = loaded(tmp_path, environ={keys()[name].variable: text})
    by_flag = loaded(tmp_path, "", f"{name}={text}")
    assert value_of(by_variable.config, name) == value_of(by_flag.config, name) == value


def test_every_key_has_a_variable_of_its_own() -> None:
    variables = [key.variable for key in keys().values()]
    assert len(set(variables)) == len(variables)
    assert "TICKETOPS_OUTBOX_COLUMNS_SEQ" in variables


def test_a_flag_can_set_one_entry_of_a_table(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "", "outbox.topics.REFUND=refund-events", "kafka.properties.security.protocol=SSL")
    assert settings.config.outbox.topics["REFUND"] == "refund-events"
    assert settings.config.outbox.topics["BOOKING"] == "booking-events"
    assert settings.config.kafka.properties == {"security.protocol": "SSL"}


def test_kafka_properties_need_no_quotes(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[kafka.properties]\nsecurity.protocol = "SSL"\n"linger.ms" = 5\n')
    assert settings.config.kafka.properties == {"security.protocol": "SSL", "linger.ms": 5}


def test_the_configuration_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(FrozenInstanceError):
        loaded(tmp_path).config.relay.shards = 3  # type: ignore[misc]


CONTEXTS = """
context = "staging"
[relay]
shards = 4
lanes = 1
[outbox.topics]
BOOKING = "b"
[contexts.staging.relay]
shards = 8
[contexts.prod]
read_only = true
[contexts.prod.outbox.topics]
PAYMENT = "p"
"""


def test_contexts_are_laid_over_the_file(tmp_path: Path) -> None:
    staging = loaded(tmp_path, CONTEXTS)
    assert (staging.config.context, staging.config.relay.shards, staging.config.relay.lanes) == ("staging", 8, 1)
    assert staging.origins["relay.shards"].place.endswith("given.toml:9 (context staging)")
    assert staging.contexts == ("default", "staging", "prod")
    prod = loaded(tmp_path, CONTEXTS, context="prod")
    assert prod.config.read_only
    assert prod.config.relay.shards == 4
    assert prod.config.outbox.topics == {"BOOKING": "b", "PAYMENT": "p"}
    assert loaded(tmp_path, CONTEXTS, context="default").config.relay.shards == 4


def test_the_context_comes_from_flag_variable_or_file(tmp_path: Path) -> None:
    environ = {"TICKETOPS_CONTEXT": "prod"}
    assert loaded(tmp_path, CONTEXTS, environ=environ).config.context == "prod"
    assert loaded(tmp_path, CONTEXTS, environ=environ, context="default").config.context == "default"
    assert loaded(tmp_path, CONTEXTS, environ=environ).origins["context"].place == "TICKETOPS_CONTEXT"


def test_an_unknown_context_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no context prodd") as caught:
        loaded(tmp_path, CONTEXTS, context="prodd")
    assert "default, staging, prod" in caught.value.why
    assert caught.value.hint == "did you mean prod?"
    with pytest.raises(ConfigError, match="there is no context prod"):
        load(environ={"TICKETOPS_CONTEXT": "prod"}, directory=tmp_path)


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_only_the_file_lifts_read_only(tmp_path: Path, how: str) -> None:
    def said(value: str) -> tuple[list[str], dict[str, str]]:
        return ([f"read_only={value}"], {}) if how == "flag" else ([], {"TICKETOPS_READ_ONLY": value})

    flags, environ = said("false")
    assert "cannot lift read_only" in refused(tmp_path, "read_only = true", *flags, environ=environ).what
    flags, environ = said("true")
    assert loaded(tmp_path, "", *flags, environ=environ).config.read_only
    assert not loaded(tmp_path, "read_only = true\n[contexts.x]\nread_only = false", context="x").config.read_only


def test_a_variable_that_agrees_does_not_open_the_way_for_a_flag(tmp_path: Path) -> None:
    environ = {"TICKETOPS_READ_ONLY": "true"}
    for text in ("read_only = true", ""):
        assert "cannot lift read_only" in refused(tmp_path, text, "read_only=0", environ=environ).what


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[relay]\nbatchsize = 1", "given.toml:2: unknown key relay.batchsize", "did you mean relay.batch_size?"),
        ("[realy]\nshards = 1", "given.toml:1: unknown section realy", "did you mean relay?"),
        ("shards = 1", "given.toml:1: unknown key shards", "did you mean relay.shards?"),
        ("[outbox.column]\nid = 'x'", "given.toml:1: unknown section outbox.column", "did you mean outbox.columns?"),
        (
            "[contexts.x.relay]\nshard = 1\n[contexts.y]",
            "given.toml:2 (context x): unknown key relay.shard",
            "did you mean relay.shards?",
        ),
        ("relay = 3", "given.toml:1: relay must be a table", "write [relay]"),
    ],
)
def test_unknown_keys_name_file_line_and_the_nearest(tmp_path: Path, text: str, what: str, hint: str) -> None:
    (tmp_path / "given.toml").write_text(text)
    context = "x" if "contexts.x" in text else None
    with pytest.raises(ConfigError) as caught:
        load(file=tmp_path / "given.toml", environ={}, context=context)
    assert caught.value.what.endswith(what)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "expected", "got"),
    [
        ("[relay]\nbatch_size = 'many'", "an integer from 1 to 50 000", 'the text "many"'),
        ("[relay]\nbatch_size = 0", "an integer from 1 to 50 000", "the number 0"),
        ("[relay]\nshadow = 1", "true or false", "the number 1"),
        ("[relay]\npoll_interval = inf", "a number above 0", "the number inf"),
        ("[relay]\naggregate_types = 'BOOKING'", "a list of texts", 'the text "BOOKING"'),
        ("[outbox]\ntopics = ['x']", "a table of texts", "a list"),
        ("[outbox]\non_published = 'keep'", 'one of "mark", "delete"', 'the text "keep"'),
        (
            "[outbox.on_failure_by_topic]\nx = 'y'",
            'a table of texts, each one of "block", "dead_letter", "park"',
            "a table",
        ),
        ("[http]\nport = 70000", "an integer from 0 to 65 535", "the number 70000"),
        ("context = 3", "text", "the number 3"),
        ("[log]\nlevel = 2026-11-23", 'one of "debug", "info", "warning", "error"', "a date or time"),
    ],
)
def test_wrong_types_name_file_key_expected_and_got(tmp_path: Path, text: str, expected: str, got: str) -> None:
    error = refused(tmp_path, text)
    assert "given.toml:" in error.what
    assert error.why == f"expected {expected}, got {got}"


def test_a_secret_of_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    assert "31337" not in str(refused(tmp_path, "[kafka]\npassword = 31337").why)


@pytest.mark.parametrize("text", ["[relay", "a = ", "[relay]\nshards = 1\nshards = 2", "contexts = 3"])
def test_broken_toml_names_the_file(tmp_path: Path, text: str) -> None:
    assert "given.toml" in refused(tmp_path, text).what


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "given.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(file=tmp_path / "given.toml", environ={})


def test_all_problems_are_counted(tmp_path: Path) -> None:
    error = refused(tmp_path, "[relay]\nx = 1\ny = 2\nshards = 'z'")
    assert error.what.endswith("unknown key relay.x")
    assert "2 more problems" in error.why
    assert "config check" in error.hint


def test_an_unknown_variable_is_a_warning(tmp_path: Path) -> None:
    settings = loaded(tmp_path, environ={"TICKETOPS_RELAY_SHARD": "3", "TICKETOPS_TEST_KAFKA": "x", "OTHER": "y"})
    assert settings.warnings == (
        "the variable TICKETOPS_RELAY_SHARD means nothing to TicketOps; did you mean TICKETOPS_RELAY_SHARDS?",
    )


@pytest.mark.parametrize(
    ("assignment", "what"),
    [
        ("relay.shards", "there is no ="),
        ("relay.shard=3", "there is no such key"),
        ("context=prod", "cannot choose the context"),
        ("kafka.password=hunter22", "would show a secret"),
        ("postgres.url=postgresql://u:hunter22@h/d", "would show a secret"),
        ("postgres.url=host=h password=hunter22", "would show a secret"),
        ("redis.url=redis://:hunter22@h", "would show a secret"),
        ("kafka.properties.sasl.password=hunter22", "would show a secret"),
        ('kafka.properties={"sasl.password": "hunter22"}', "would show a secret"),
        ("kafka.properties=sasl.password=hunter22", "would show a secret"),
    ],
)
def test_flags_that_are_refused(tmp_path: Path, assignment: str, what: str) -> None:
    error = refused(tmp_path, "", assignment)
    assert what in error.what
    assert "hunter22" not in f"{error} {error.hint}"


def test_flags_without_a_secret_are_taken(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "", "postgres.url=postgresql://app@db/booking", "kafka.password_file=")
    assert settings.config.postgres.url == "postgresql://app@db/booking"


def test_properties_of_the_origin(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "[relay]\n\nshards = 3", "relay.lanes=1", environ={"TICKETOPS_RELAY_ID": "r"})
    places = {name: settings.origins[name].place for name in ("relay.shards", "relay.lanes", "relay.id", "relay.wake")}
    assert places == {
        "relay.shards": f"{tmp_path / 'given.toml'}:3",
        "relay.lanes": "--set relay.lanes",
        "relay.id": "TICKETOPS_RELAY_ID",
        "relay.wake": "default",
    }
