import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ticketops.config.redact import HIDDEN, passwords_in, redact, redact_value, redacting_processor, spellings
from ticketops.config.schema import Config
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions

_LETTERS = st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc", "Cf"], exclude_characters="*")
PASSWORDS = st.text(_LETTERS, min_size=5, max_size=20).map(lambda text: f"{text}Zq7")
"""What no form below holds by itself."""
URLS = (
    "postgresql://app:{}@db:5432/booking?sslmode=require",
    "postgresql://app:{}@a:1,b:2/booking",
    "postgresql:///booking?host=/tmp&password={}&user=app",
    "jdbc:postgresql://db/booking?user=app&password={}",
    "redis://:{}@cache:6379/0",
    "rediss://app:{}@cache/0",
    "unix://app:{}@/run/redis.sock?db=1",
    "https://registry.example?access_token={}&x=1",
)
QUOTED = (
    "host=db user=app password='{}' dbname=booking",
    '{{"kafka": {{"password": "{}"}}}}',
    '{{"sasl.password": "{}", "client.id": "x"}}',
    "{{'sasl.password': '{}'}}",
    'sasl.jaas.config=org.apache.kafka.ScramLoginModule required username="app" password="{}";',
    'ssl.key.password = "{}"',
)
BARE = (
    "password={}",
    "PGPASSWORD={} psql",
    "sasl.password={}",
    "ssl.key.password: {}",
    "my_api_key={}",
    "Authorization: Bearer {}",
)


@given(password=PASSWORDS)
@pytest.mark.parametrize("form", URLS)
def test_a_password_in_a_url_is_hidden(form: str, password: str) -> None:
    secret = quote(password, safe="")
    shown = redact(f"could not connect to {form.format(secret)}, gave up")
    assert secret not in shown
    assert HIDDEN in shown
    assert shown.startswith("could not connect to ")
    assert shown.endswith("gave up")


@given(PASSWORDS)
@example("p@ss@word")
@example("pa/ss?wo#rd")
@example("12/34@567")
@example("p@s?s@word")
@pytest.mark.parametrize("form", ["postgresql://app:{}@db:5432/booking", "redis://:{}@cache/0"])
def test_a_password_that_was_not_quoted_is_hidden_too(form: str, password: str) -> None:
    assume(not set(password) & set("\"'<>") and not any(character.isspace() for character in password))
    assert password not in redact(form.format(password))


@given(password=PASSWORDS)
@pytest.mark.parametrize("form", QUOTED)
def test_a_quoted_password_is_hidden(form: str, password: str) -> None:
    assume(not set(password) & set("\"'\\"))
    shown = redact(form.format(password))
    assert password not in shown
    assert HIDDEN in shown


@given(password=PASSWORDS)
@pytest.mark.parametrize("form", BARE)
def test_a_bare_password_is_hidden(form: str, password: str) -> None:
    assume(not set(password) & set("\"'") and not any(character.isspace() for character in password))
    assert password not in redact(form.format(password))


@given(password=PASSWORDS, text=st.text(max_size=40))
def test_a_known_secret_is_hidden_in_every_spelling(password: str, text: str) -> None:
    secrets = spellings([password])
    for form in (password, quote(password), quote(password, safe=""), quote_plus(password)):
        assert form not in redact(f"{text}{form}{text}", secrets).replace(text, "")


@given(password=PASSWORDS)
@pytest.mark.parametrize("form", URLS)
def test_passwords_are_found_in_urls(form: str, password: str) -> None:
    found = passwords_in(form.format(quote(password, safe="")))
    assert password in found
    assert quote(password, safe="") in found


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://localhost:5432/booking",
        "postgresql://app@a:1,b:2/booking?target_session_attrs=read-write",
        "redis://localhost:6379/0",
        "http://127.0.0.1:9464/metrics and http://[::1]:9464/livez",
        'password authentication failed for user "app"',
        "kafka.password_file = /run/secrets/kafka",
        "ssl.key.location=/etc/key.pem",
        "sasl.oauthbearer.token.endpoint.url=https://login.example/token",
        "retry 12 events in booking-events",
        "",
    ],
)
def test_what_holds_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_several_in_one_text() -> None:
    text = "tried postgresql://a:one11111@x/d, postgresql://b:two22222@y/d; sasl.password=three333\nredis://:four4444@z"
    shown = redact(text)
    assert not any(secret in shown for secret in ("one11111", "two22222", "three333", "four4444"))
    assert "@y/d" in shown
    assert "@z" in shown


def test_values_are_shown_by_their_key() -> None:
    assert redact_value("kafka.password", "hunter22") == HIDDEN
    assert redact_value("kafka.password", "") == ""
    assert redact_value("kafka.password_file", "/run/x") == "/run/x"
    assert redact_value("postgres.url", "postgresql://u:p@h/d") == "postgresql://u:***@h/d"
    assert redact_value("postgres.url", "host=h password=hunter22") == "host=h password=***"
    properties = {"sasl.password": "x", "sasl.jaas.config": "y", "client.id": "z", "ssl.key.pem": "-----BEGIN"}
    assert redact_value("kafka.properties", properties) == {
        "sasl.password": HIDDEN,
        "sasl.jaas.config": HIDDEN,
        "client.id": "z",
        "ssl.key.pem": HIDDEN,
    }


def test_the_repr_of_the_configuration_holds_no_secret() -> None:
    password = "Tr0ub4dor-and-3"  # noqa: S105 - the secret that must not be seen
    config = Config(
        postgres=PostgresOptions(url=f"postgresql://u:{password}@h/d"),
        kafka=KafkaOptions(password=password, properties={"sasl.password": password}),
        redis=RedisOptions(url=f"redis://:{password}@h"),
    )
    assert password not in repr(config)


def test_the_log_processor_redacts_nested_values() -> None:
    processor = redacting_processor(spellings(["hunter22"]))
    event = processor(
        None,
        "info",
        {
            "event": "connecting to redis://:swordfish@h",
            "password": "x",
            "error": ValueError("hunter22"),
            "settings": {"sasl.password": "y", "hosts": ["a", "redis://:swordfish@b"]},
            "count": 3,
        },
    )
    text = json.dumps(event)
    assert "hunter22" not in text
    assert "swordfish" not in text
    assert event["password"] == HIDDEN
    assert event["count"] == 3
