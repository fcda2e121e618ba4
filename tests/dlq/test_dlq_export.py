"""`dlq export` on the booking worker's dead letters."""

import io
import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

from support.dlq_cli import Bookings, write_config
from ticketops.cli.exits import ExitCode
from ticketops.domain.dead_letter_file import read
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.options import RedisOptions


def exported(bookings: Bookings, *words: object) -> list[DeadLetter]:
    done = bookings("export", *words)
    assert done.code == 0, done.err
    return list(read(io.BytesIO(done.out.encode())))


def lasting(letter: DeadLetter) -> DeadLetter:
    """Without what the time changes."""
    return replace(letter, place={name: value for name, value in letter.place.items() if name != "ttl_ms"})


def test_every_byte_of_every_item_is_exported(bookings: Bookings) -> None:
    fine = bookings.box.die("E1", message="a\x1b[0m\u2028 é", age=30)
    broken = bookings.box.die("E2", age=20)
    gone = bookings.box.die("E3", age=10)
    bookings.box.spoil(broken)
    bookings.box.lose_body(gone)
    there = list(bookings.box.queue.scan(Narrowing()))
    assert list(map(lasting, exported(bookings))) == list(map(lasting, there))
    assert [letter.id for letter in there] == [fine, broken, gone]
    assert there[0].stored == bookings.box.worker.body(fine)


def test_a_selection_is_exported(bookings: Bookings) -> None:
    bookings.box.die("E1", reason="timeout", age=10)
    chosen = bookings.box.die("E2", reason="unknown", age=5)
    assert [letter.id for letter in exported(bookings, "--reason", "unknown")] == [chosen]
    assert len(exported(bookings, "--limit", "1")) == 1
    assert [letter.id for letter in exported(bookings, chosen)] == [chosen]
    done = bookings("export", "dlq:none:1")
    assert (done.code, done.out) == (ExitCode.NOT_FOUND, "")


def test_a_file_is_written_whole_for_its_owner_alone(bookings: Bookings) -> None:
    bookings.box.die("E1")
    done = bookings("export", "--to", "out.ndjson")
    assert (done.code, done.out) == (0, "")
    assert "exported 1 dead letters to out.ndjson" in done.err
    file = bookings.cli.folder / "out.ndjson"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes().splitlines()) == 1
    assert not (bookings.cli.folder / "out.ndjson.part").exists()
    assert bookings("export", "--to", "out.ndjson").code == ExitCode.REFUSED
    bookings.box.die("E1")
    assert bookings("export", "--to", "out.ndjson", "--force").code == 0
    assert len(file.read_bytes().splitlines()) == 2
    assert bookings("export", "--to", "nowhere/out").code == ExitCode.FAILED


def test_a_queue_that_is_down_leaves_no_file_that_looks_complete(bookings: Bookings, redis_prefix: str) -> None:
    write_config(bookings.cli.folder, RedisOptions(url="redis://127.0.0.1:9/0"), redis_prefix)
    done = bookings("export", "--to", "out.ndjson")
    assert done.code == ExitCode.UNREACHABLE
    assert "incomplete" in done.err
    assert not (bookings.cli.folder / "out.ndjson").exists()


def test_the_format_is_ndjson_alone(bookings: Bookings) -> None:
    assert bookings("export", "-o", "yaml").code == ExitCode.USAGE
    assert bookings("export", "-o", "jsonl").code == 0


def test_lines_stand_for_themselves(bookings: Bookings) -> None:
    for number in range(3):
        bookings.box.die(f"E{number}", age=number)
    lines = bookings("export").out.splitlines()
    assert all(json.loads(line)["dead_letter"] == 1 for line in lines)
    assert len(list(read(line.encode() for line in reversed(lines)))) == 3


def test_memory_stays_flat(bookings: Bookings, tmp_path: Path) -> None:
    box = bookings.box
    body = box.worker.body(box.die("E1", message="x" * 2000))
    assert body
    with box.worker.redis.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            letter_id = f"dlq:many:{number}"
            pipe.set(box.worker.key(f"booking:dlq:{letter_id}"), body)
            pipe.zadd(box.worker.key("booking:dlq:items"), {letter_id: 1_700_000_000 + number})
            if number % 2000 == 0:
                pipe.execute()
        pipe.execute()
    script = (
        "import pathlib, sys\nfrom ticketops.cli.main import run\n"
        "code = run(['dlq', 'export', '--to', 'big.ndjson'])\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"  # ru_maxrss knows the parent before exec, too
        "sys.stderr.write(f'peak {int(status.partition(\"VmHWM:\")[2].split()[0]) // 1024}')\nsys.exit(code)"
    )
    done = subprocess.run(
        [bookings.cli.command([])[0], "-c", script], cwd=bookings.cli.folder, env=bookings.cli.environment(None),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "big.ndjson").stat().st_size > 100_000_000
    assert int(done.stderr.rpartition("peak ")[2]) < 150
