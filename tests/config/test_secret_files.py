from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from ticketops.config import Settings, load
from ticketops.config.secrets import with_password
from ticketops.errors import ConfigError

PASSWORD = "s3cr:t/@ ?é"  # noqa: S105 - the secret that must arrive and must not be seen


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    file = folder / "given.toml"
    file.write_text(text)
    return load(file=file, environ=environ or {})


def test_files_hold_urls_and_passwords(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://app@db:5433/booking\n")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    settings = loaded(
        tmp_path,
        '[postgres]\nurl_file = "url"\npassword_file = "password"\n'
        '[kafka]\nusername = "app"\npassword_file = "password"\n'
        '[redis]\nurl = "redis://cache/1"\npassword_file = "password"\n',
    )
    parts = conninfo_to_dict(settings.config.postgres.url)
    assert (parts["user"], parts["password"], parts["host"], parts["port"]) == ("app", PASSWORD, "db", "5433")
    assert settings.config.kafka.password == PASSWORD
    assert settings.config.redis.url == "redis://:s3cr%3At%2F%40%20%3F%C3%A9@cache/1"
    assert PASSWORD in settings.secrets
    assert "s3cr" not in repr(settings) + repr(settings.config)


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"postgres\.url_file: .*nowhere cannot be used"):
        loaded(tmp_path, '[postgres]\nurl_file = "nowhere"')
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="it is empty"):
        loaded(tmp_path, '[kafka]\npassword_file = "empty"')


@pytest.mark.parametrize(
    ("section", "plain", "reference"),
    [
        ("postgres", "url", "url_file"),
        ("redis", "url", "url_file"),
        ("redis", "sentinel_password", "sentinel_password_file"),
        ("kafka", "password", "password_file"),
    ],
)
def test_both_ways_in_one_place_contradict_each_other(tmp_path: Path, section: str, plain: str, reference: str) -> None:
    with pytest.raises(ConfigError, match="contradict each other"):
        loaded(tmp_path, f'[{section}]\n{plain} = "hunter22"\n{reference} = "file"')


def test_a_stronger_layer_replaces_the_other_way(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://file/booking")
    text = '[postgres]\nurl_file = "url"'
    by_variable = loaded(tmp_path, text, {"TICKETOPS_POSTGRES_URL": "postgresql://variable/booking"})
    assert by_variable.config.postgres.url == "postgresql://variable/booking"
    assert by_variable.config.postgres.url_file == ""
    by_file = loaded(
        tmp_path, '[postgres]\nurl = "postgresql://a/b"', {"TICKETOPS_POSTGRES_URL_FILE": str(tmp_path / "url")}
    )
    assert by_file.config.postgres.url == "postgresql://file/booking"


def test_two_passwords_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("b")
    with pytest.raises(ConfigError, match="names another"):
        loaded(tmp_path, '[postgres]\nurl = "postgresql://u:a@h/d"\npassword_file = "password"')


@given(password=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app@a:1,b:2/booking?sslmode=require",
        "postgresql://db/booking",
        "postgresql:///booking",
        "host=db user=app",
        "",
    ],
)
def test_libpq_reads_the_password_that_was_put_in(url: str, password: str) -> None:
    completed = with_password(url, password)
    assert completed is not None
    assert conninfo_to_dict(completed)["password"] == password
    before = conninfo_to_dict(url)
    assert {name: value for name, value in conninfo_to_dict(completed).items() if name != "password"} == before
