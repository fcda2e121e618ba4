"""Starts one engine and ends it when its owner is gone, also when the owner was killed.

Run as a script, by path, so that it needs nothing but the standard library and psutil. It reads one JSON
line from stdin (an `Order` of process.py), answers with one JSON line on stdout, `{"pid": …, "started": …}`
or `{"error": …}`, and stays as the engine's parent. Its stdin is the lifeline: the owner holds the other end;
one more byte dismisses the guard.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_LOOK_AT_OWNER = 1.0
_POLL = 0.01
_CLOCK_STEP = 5.0
"""Seconds by which a corrected clock may move a start time that the kernel counts from boot."""


def is_alive(pid: int, started: float) -> bool:
    """Say whether the process of that id and start time runs; a zombie does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < _CLOCK_STEP and _runs(process)
    except psutil.Error:
        return False


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def family(pid: int) -> list[psutil.Process]:
    """Return the process and everything that it started, the eldest first."""
    try:
        eldest = psutil.Process(pid)
        return [eldest, *eldest.children(recursive=True)]
    except psutil.Error:
        return []


def signal_family(pid: int, number: int) -> list[psutil.Process]:
    """Send a signal to the process and everything that it started."""
    members = family(pid)
    for member in members:
        try:
            member.send_signal(number)
        except psutil.Error:
            continue
    return members


def kill_family(pid: int) -> list[psutil.Process]:
    """Kill the process and everything that it started; PostgreSQL's backends are no process group."""
    signal_family(pid, signal.SIGSTOP)  # what is stopped starts no more children
    return signal_family(pid, signal.SIGKILL)


def wait_gone(members: list[psutil.Process], seconds: float) -> bool:
    """Wait until none of the processes runs; False when the time is over first."""
    deadline = time.monotonic() + seconds
    while any(_runs(member) for member in members):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def end_family(pid: int, number: int, grace: float) -> None:
    """Ask the process to end with a signal; after `grace` seconds kill it and all that it started."""
    members = signal_family(pid, signal.SIGCONT)
    if not members:
        return
    try:
        members[0].send_signal(number)
    except psutil.Error:
        return
    if not wait_gone(members, grace):
        members += kill_family(pid)
        wait_gone(members, grace)


def main() -> None:
    """Start what stdin orders, report its pid, and watch its owner."""
    order = _read_order()
    if os.fork():
        os._exit(0)
    os.setsid()
    try:
        engine = _start(order)
    except (OSError, subprocess.SubprocessError) as error:
        _answer({"error": str(error)})
        return
    _answer({"pid": engine.pid, "started": psutil.Process(engine.pid).create_time()})
    if order["owner"] is None:
        os._exit(0)
    is_owner_gone = threading.Event()
    watcher = threading.Thread(target=_end_with_owner, args=(order, engine.pid, is_owner_gone), daemon=True)
    watcher.start()
    engine.wait()
    if is_owner_gone.is_set():
        watcher.join()


def _read_order() -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit("no order")
        line += part
    order: dict[str, Any] = json.loads(line)
    return order


def _start(order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    account = order["account"]
    drop: dict[str, Any] = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    with Path(order["log"]).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the owner's own command
            order["argv"],
            cwd=order["folder"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **drop,
        )


def _answer(answer: Mapping[str, object]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)


def _end_with_owner(order: Mapping[str, Any], pid: int, is_owner_gone: threading.Event) -> None:
    if not _outlives_owner(order["owner"], lifeline=order["lifeline"]):
        return
    is_owner_gone.set()
    end_family(pid, order["stop_signal"], order["grace"])
    if order["remove"]:
        shutil.rmtree(order["remove"], ignore_errors=True)


def _outlives_owner(owner: tuple[int, float], *, lifeline: bool) -> bool:
    """Wait for the owner's end; False when it dismissed this guard."""
    watched = [0] if lifeline else []
    while True:
        readable, _, _ = select.select(watched, [], [], _LOOK_AT_OWNER)
        if readable:
            return not os.read(0, 1)
        # A fork of the owner may hold the lifeline too, so that its end alone does not tell.
        if not is_alive(*owner):
            return True


if __name__ == "__main__":
    main()
