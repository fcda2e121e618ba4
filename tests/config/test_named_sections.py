import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.cli import Cli
from ticketops.config import Settings, load
from ticketops.config.origins import Source
from ticketops.domain.deadletters import QueueKind
from ticketops.errors import ConfigError
from ticketops.options import DlqOptions, QueueOptions

EU = '[dlq.queues.eu]\nkind = "redis"\nprefix = "eu:"\n'


def loaded(
    folder: Path,
    text: str = "",
    *assignments: str,
    environ: Mapping[str, str] | None = None,
    context: str | None = None,
) -> Settings:
    file = folder / "given.toml"
    file.write_text(text)
    return load(file=file, environ=environ or {}, assignments=assignments, context=context, directory=folder)


def refused(folder: Path, text: str, *assignments: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, *assignments)
    return caught.value


def test_the_defaults_are_what_the_services_have(tmp_path: Path) -> None:
    queues = loaded(tmp_path).config.dlq.queues
    assert queues == DlqOptions().queues
    assert {name: queue.kind.value for name, queue in queues.items()} == {
        "bookings": "redis", "outbox": "outbox", "compensations": "compensations", "payments": "kafka",
        "emails": "kafka",
    }  # fmt: skip


def test_a_file_that_names_queues_has_no_others(tmp_path: Path) -> None:
    settings = loaded(tmp_path, EU)
    assert settings.config.dlq.queues == {"eu": QueueOptions(kind=QueueKind.REDIS, prefix="eu:")}
    assert settings.origins["dlq.queues.eu.prefix"].place.endswith("given.toml:3")
    assert not any(name.startswith("dlq.queues.bookings") for name in settings.origins)
    assert loaded(tmp_path, "[dlq.queues]\n").config.dlq.queues == {}
    assert loaded(tmp_path, "[dlq]\nrequeue_cap = 1\n").config.dlq.queues == DlqOptions().queues


def test_a_queue_of_the_defaults_keeps_what_the_file_leaves_out(tmp_path: Path) -> None:
    queues = loaded(tmp_path, "[dlq.queues.payments]\n[dlq.queues.bookings]\nprefix = 'eu:'\n").config.dlq.queues
    assert queues == {
        "payments": QueueOptions(kind=QueueKind.KAFKA, topic="payment-events.dlq"),
        "bookings": QueueOptions(kind=QueueKind.REDIS, prefix="eu:"),
    }


def test_contexts_variables_and_flags_add_and_override(tmp_path: Path) -> None:
    text = EU + '[contexts.x.dlq.queues.eu]\nprefix = "x:"\n[contexts.x.dlq.queues.more]\nkind = "outbox"\n'
    assert set(loaded(tmp_path, text).config.dlq.queues) == {"eu"}
    settings = loaded(tmp_path, text, context="x")
    assert settings.config.dlq.queues["eu"].prefix == "x:"
    assert set(settings.config.dlq.queues) == {"eu", "more"}
    environ = {"TICKETOPS_DLQ_QUEUES_EU_PREFIX": "env:"}
    settings = loaded(tmp_path, text, context="x", environ=environ)
    assert settings.config.dlq.queues["eu"].prefix == "env:"
    assert settings.origins["dlq.queues.eu.prefix"].source is Source.ENVIRONMENT
    assert settings.warnings == ()
    flags = ("dlq.queues.eu.prefix=flag:", "dlq.queues.new.kind=kafka", "dlq.queues.new.topic=t")
    settings = loaded(tmp_path, text, *flags, environ=environ)
    assert settings.config.dlq.queues["eu"].prefix == "flag:"
    assert settings.config.dlq.queues["new"] == QueueOptions(kind=QueueKind.KAFKA, topic="t")


def test_a_context_adds_to_the_defaults_where_the_file_has_no_queue(tmp_path: Path) -> None:
    text = '[contexts.x.dlq.queues.bookings]\nprefix = "x:"\n'
    queues = loaded(tmp_path, text, context="x").config.dlq.queues
    assert queues["bookings"].prefix == "x:"
    assert set(queues) == set(DlqOptions().queues)


def test_a_name_with_a_hyphen_has_a_variable(tmp_path: Path) -> None:
    text = '[dlq.queues.my-queue]\nkind = "redis"\n'
    environ = {"TICKETOPS_DLQ_QUEUES_MY_QUEUE_PREFIX": "p:"}
    assert loaded(tmp_path, text, environ=environ).config.dlq.queues["my-queue"].prefix == "p:"


@pytest.mark.parametrize(
    ("text", "what", "more"),
    [
        ("[dlq.queues.eu]\nkind='redis'\nprefx='x'", ":3: unknown key dlq.queues.eu.prefx", "dlq.queues.eu.prefix"),
        ("[dlq.queues.eu]\nkind='redi'", "given.toml:2: dlq.queues.eu.kind", '"redis", "outbox"'),
        ("[dlq.queues.eu]\nprefix='x'", "given.toml:2: dlq.queues.eu has no kind", '"redis", "outbox"'),
        ("[dlq.queues.eu]", "[dlq.queues.eu]: dlq.queues.eu has no kind", "expected"),
        ("[dlq.queues.eu]\nkind='redis'\ntopic='x'", "given.toml:3: dlq.queues.eu.topic means nothing", "kind, prefix"),
        ("[dlq.queues]\neu='redis'", "given.toml:2: dlq.queues.eu must be a table", "[dlq.queues.eu]"),
        ("[dlq]\nqueues=1", "given.toml:2: dlq.queues must be a table", "[dlq.queues]"),
        ("[dlq.queues.'a b']\nkind='redis'", "a b cannot be the name", "letters, digits"),
        ("[dlq.queue.eu]\nkind='redis'", "unknown section dlq.queue", "dlq.queues"),
        ("[dlq]\nrequeue_caps=1", "given.toml:2: unknown key dlq.requeue_caps", "dlq.requeue_cap"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_place_and_what_was_meant(tmp_path: Path, text: str, what: str, more: str) -> None:
    error = refused(tmp_path, text)
    assert what in error.what
    assert more in error.why + error.hint


@pytest.mark.parametrize(
    ("assignment", "what", "hint"),
    [
        ("dlq.queues.eu.prefx=x", "--set dlq.queues.eu.prefx: there is no such key", "dlq.queues.eu.prefix"),
        ("dlq.queues.eu.topic=x", "dlq.queues.eu.topic means nothing", "leave it out"),
        ("dlq.queues.new.topic=x", "dlq.queues.new has no kind", ""),
        ("dlq.queues.a.b.kind=redis", "there is no such key", ""),
        ("dlq.queues.eu=redis", "there is no such key", ""),
    ],
)
def test_a_flag_with_a_mistake(tmp_path: Path, assignment: str, what: str, hint: str) -> None:
    error = refused(tmp_path, EU, assignment)
    assert what in error.what
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[dlq.queues.t]\nkind='kafka'", "dlq.queues.t.topic is empty"),
        ("[dlq.queues.t]\nkind='kafka'\ntopic='a b'", "dlq.queues.t.topic is no topic name"),
        ("[dlq.queues.t]\nkind='kafka'\ntopic='booking-events'", "which the relay publishes to"),
        ("[dlq.queues.t]\nkind='redis'\nprefix=\"a\\u0000\"", "control character"),
        ("[dlq.queues.a]\nkind='outbox'\n[dlq.queues.b]\nkind='outbox'", "b and dlq.queues.a are the same place"),
        (EU + EU.replace("queues.eu", "queues.b"), "dlq.queues.b and dlq.queues.eu are the same place"),
    ],
)  # fmt: skip
def test_queues_that_cannot_work(tmp_path: Path, text: str, what: str) -> None:
    assert what in refused(tmp_path, text).what


def test_the_same_place_by_its_default_name(tmp_path: Path) -> None:
    text = "[dlq.queues.a]\nkind='compensations'\n[dlq.queues.b]\nkind='compensations'\ntable='failed_compensations'\n"
    assert "same place" in refused(tmp_path, text).what


def test_a_context_without_a_kind_is_told_with_the_others(tmp_path: Path) -> None:
    error = refused(tmp_path, "[dlq.queues.a]\n[dlq.queues.b]\n[relay]\nshard = 1\n")
    assert "2 more problems" in error.why


def test_config_show_has_the_queues_with_their_origins(cli: Cli) -> None:
    (cli.folder / "ticketops.toml").write_text(EU)
    done = cli("config", "show", "dlq.queues", "-o", "json")
    assert done.code == 0
    shown = {item["key"]: (item["value"], item["origin"]) for item in json.loads(done.out)["items"]}
    assert shown == {
        "dlq.queues.eu.kind": ("redis", "ticketops.toml:2"), "dlq.queues.eu.prefix": ("eu:", "ticketops.toml:3"),
    }  # fmt: skip
    assert cli("config", "show", "dlq.queues.eu.kind", "-o", "name").out == "dlq.queues.eu.kind\n"
    done = cli("config", "show", "dlq.queues.eu.kin")
    assert done.code == 2
    assert "did you mean dlq.queues.eu.kind?" in done.err
    assert cli("config", "show", "dlq.queues.bookings").code == 2
