import sys
from pathlib import Path

import pytest

from ticketops.embedded import installed, jars
from ticketops.errors import BackendError, BackendUnavailable, NotFoundError


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jars, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_jars_that_are_there_need_no_network(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = empty_cache / f"kafka-{jars.KAFKA_VERSION}-jars" / "some.jar"
    jar.parent.mkdir()
    jar.touch()
    monkeypatch.setitem(sys.modules, "jgo", None)

    assert jars.kafka_jars() == [jar]


@pytest.mark.usefixtures("empty_cache")
def test_without_network_the_first_start_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    told: list[jars.Download] = []

    with pytest.raises(BackendUnavailable) as raised:
        jars.kafka_jars(told.append)

    assert "needs the network" in raised.value.hint
    assert told == [jars.Download(0, 45)]
    assert not jars.are_jars_here()


def test_a_jar_with_other_bytes_is_refused(tmp_path: Path) -> None:
    jar = tmp_path / "some.jar"
    jar.write_bytes(b"other")

    with pytest.raises(BackendError, match="locked"):
        jars._verified(jar, "0" * 64)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == "jgo" else name)

    with pytest.raises(NotFoundError) as raised:
        installed.require()

    assert raised.value.why == "missing: jgo"
    assert raised.value.hint == "pip install 'ticketops[embedded]'"
