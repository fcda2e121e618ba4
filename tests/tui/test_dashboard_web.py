"""The dashboard in a browser: a server process, its page over loopback, its websocket, and its end."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
import pytest

from support.waiting import eventually
from ticketops.cli.exits import ExitCode
from ticketops.cli.main import run as command

PRIVATE = "hunter2-not-to-be-seen"


class Served:
    """`ticketops tui --web` as a process."""

    def __init__(self, folder: Path) -> None:
        config = folder / "own.toml"
        config.write_text(
            'context = "north"\n'
            '[postgres]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'
            '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n'
            '[redis]\nurl = "redis://127.0.0.1:1/0"\n'
            f'[status]\ntimeout = 1.0\n[lag]\nhistory_file = "{folder / "ring.sqlite3"}"\n'
            "[contexts.north]\nread_only = true\n"
        )
        self.log = folder / "log"
        words = [sys.executable, "-m", "ticketops", "--config", str(config)]
        words += ["tui", "--web", "--port", "0", "--proxy", "ops.example", "--theme", "light", "--every", "3"]
        environment = {**os.environ, "TICKETOPS_POSTGRES_URL": f"postgresql://nobody:{PRIVATE}@127.0.0.1:1/none"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, stderr=log, stdout=log, env=environment)
        eventually(lambda: "?key=" in self.log.read_text(), 60)
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?key=\S+?(?=;)", self.log.read_text())
        assert found
        self.address, self.port = found[0], int(found[1])

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        if self.process.poll() is None:
            for child in self.children():
                child.kill()
            self.process.kill()
        self.process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


def test_the_page_needs_the_key_and_loads_nothing_from_elsewhere(served: Served) -> None:
    assert httpx.get(served.root, timeout=20).status_code == 403
    assert httpx.get(f"{served.root}/?key=wrong", timeout=20).status_code == 403
    with httpx.Client(follow_redirects=True, timeout=20) as browser:
        answer = browser.get(served.address)
        assert str(answer.url) == f"{served.root}/"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert f'data-session-websocket-url="ws://127.0.0.1:{served.port}/ws"' in answer.text
        assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)
        for found in re.findall(r"(?:static/[\w./-]+)", answer.text):
            assert browser.get(f"{served.root}/{found}").status_code == 200
        assert browser.get(served.root, headers={"Host": "evil.example"}).status_code == 403
        proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ops.example", "Origin": "https://ops.example"}
        assert "wss://ops.example/ws" in browser.get(served.root, headers=proxied).text
        assert browser.get(f"{served.root}/ws", headers={"Origin": "http://evil.example"}).status_code == 403


async def page(served: Served, scene: Callable[[Any], Any]) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(served.address) as answer:
            assert answer.status == 200
        async with session.ws_connect(f"{served.root}/ws?width=100&height=30", origin=served.root) as socket:
            await scene(socket)


async def drawn(socket: Any, text: str) -> None:
    seen = ""
    async with asyncio.timeout(60):
        while text not in seen:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            seen = (seen + re.sub(r"\x1b\[[\d;?]*[A-Za-z$]+", "", message.data.decode(errors="replace")))[-200_000:]


def test_a_page_is_a_dashboard_with_the_same_configuration_that_ends_with_it(served: Served) -> None:
    async def scene(socket: Any) -> None:
        await drawn(socket, "ticketops north")
        (child,) = served.children()
        line = child.cmdline()
        assert line[line.index("tui") :] == ["tui", "--every", "3.0", "--theme", "light"]
        assert PRIVATE not in " ".join(line)
        assert child.environ()["TICKETOPS_POSTGRES_URL"].count(PRIVATE) == 1
        await drawn(socket, "LOST")
        await socket.send_str(json.dumps(["stdin", "W"]))
        await drawn(socket, "is read-only")
        await socket.send_str(json.dumps(["stdin", "|"]))
        await drawn(socket, "cannot be lent")

    asyncio.run(page(served, scene))
    eventually(lambda: not served.children(), 30)
    assert PRIVATE not in served.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_dashboards_end_with_the_server(served: Served, number: signal.Signals) -> None:
    gone: list[psutil.Process] = []

    async def scene(socket: Any) -> None:
        await drawn(socket, "ticketops north")
        gone.extend(served.children())
        served.process.send_signal(number)
        async with asyncio.timeout(30):
            while (await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass

    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        asyncio.run(page(served, scene))
    code = served.process.wait(30)
    assert code == (0 if number == signal.SIGINT else -number)
    assert len(gone) == 1
    eventually(lambda: not gone[0].is_running(), 30)


def test_a_dashboard_that_hangs_is_ended_with_its_page(served: Served) -> None:
    async def scene(socket: Any) -> None:
        await drawn(socket, "ticketops north")
        served.children()[0].suspend()

    asyncio.run(page(served, scene))
    eventually(lambda: not served.children(), 30)


def test_a_port_that_is_taken_is_told(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["tui", "--web", "--port", str(served.port)]) == ExitCode.USAGE
    assert "choose another with --port" in capsys.readouterr().err


def test_without_the_extra_the_way_to_it_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ticketops.tui.web", raising=False)
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    assert command(["tui", "--web"]) == ExitCode.USAGE
    assert "pip install 'ticketops[web]'" in capsys.readouterr().err


def test_where_to_listen_is_for_the_web_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["tui", "--port", "1"]) == ExitCode.USAGE
    assert "--web" in capsys.readouterr().err
