"""`ticketops dlq edit | import | cleanup | doctor`, as their users have them, on Valkey with a local store."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from support.incidents import Incident


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nsed -i "s/\\"A1\\"/\\"B7\\"/" "$1"\n')
    script.chmod(0o755)
    return script


def payload_of(incident: Incident, id_: str) -> dict[str, object]:
    found = incident.worker.body(id_)
    assert found
    item: dict[str, object] = json.loads(found)["original_item"]
    return item


def test_an_edit_shows_the_difference_and_keeps_the_id(incident: Incident) -> None:
    (id_,) = incident.die(1)
    plan = incident("dlq", "edit", id_, "--set", "SeatNumbers[0]=B7", "--dry-run")
    assert plan.code == 0, plan.err
    assert '+    "B7",' in plan.out
    assert '-    "A1",' in plan.out
    done = incident("dlq", "edit", id_, "--set", "SeatNumbers[0]=B7", "--yes")
    assert done.code == 0, done.err
    assert payload_of(incident, id_)["SeatNumbers"] == ["B7", "A2"]
    assert incident.dead == [id_]


def test_an_edit_that_the_worker_would_refuse_is_left(incident: Incident) -> None:
    (id_,) = incident.die(1)
    refused = incident("dlq", "edit", id_, "--set", 'SeatCount="two"', "--yes", "-o", "json")
    assert refused.code == 1
    assert "its consumer would refuse it" in refused.json["examples"][0]["detail"]
    assert payload_of(incident, id_)["SeatCount"] == 2


def test_an_edit_in_the_editor_is_requeued_if_asked(incident: Incident, editor: Path) -> None:
    first, second = incident.die(2)
    env = {"EDITOR": str(editor)}
    done = incident.cli.here("dlq", "edit", first, "--requeue", "--yes", "-o", "json", env=env)
    assert done.code == 0, done.err
    assert (done.json["verb"], done.json["done"]) == ("requeue", 1)
    assert "edit: 1 of 1 done, operation " in done.err
    assert incident.dead == [second]
    (raw,) = incident.worker.waiting("E1")
    assert json.loads(raw)["SeatNumbers"] == ["B7", "A2"]
    assert incident.cli.here("dlq", "edit", "--all", "--yes", env=env | {"EDITOR": "true"}).code == 130
    assert incident.cli.here("dlq", "edit", second, "--yes", env={"EDITOR": "false"}).code == 130
    assert incident.cli.here("dlq", "edit", second, "--yes", env={"EDITOR": "/no/such/editor"}).code == 1


def test_a_patch_edits_many(incident: Incident, tmp_path: Path) -> None:
    ids = incident.die(5)
    patch = tmp_path / "patch.json"
    patch.write_text('{"Currency":"EUR"}')
    assert incident("dlq", "edit", "--all", "--patch", patch, "--yes").code == 0
    assert {payload_of(incident, id_)["Currency"] for id_ in ids} == {"EUR"}
    patch.write_text("{")
    assert incident("dlq", "edit", "--all", "--patch", patch, "--yes").code == 2


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_an_edit_that_changes_nothing_is_refused(incident: Incident, tmp_path: Path, text: str) -> None:
    incident.die(1)
    patch = tmp_path / "patch.json"
    patch.write_text(text)
    told = incident("dlq", "edit", "--all", "--patch", patch, "--yes")
    assert (told.code, "the edit changes nothing" in told.err) == (2, True)


def test_an_item_that_is_as_the_edit_would_have_it_is_left(incident: Incident) -> None:
    ids = incident.die(2)
    assert incident("dlq", "edit", ids[0], "--set", "Currency=EUR", "--yes").code == 0
    body = incident.worker.body(ids[0])
    planned = incident("dlq", "edit", "--all", "--set", "Currency=EUR", "--dry-run")
    assert planned.err.count("the edit changes nothing") + planned.out.count("the edit changes nothing") == 1
    again = incident("dlq", "edit", "--all", "--set", "Currency=EUR", "--yes", "-o", "json")
    assert (again.code, again.json["done"], again.json["skipped"]) == (0, 1, {"already done": 1})
    assert incident.worker.body(ids[0]) == body
    assert incident("dlq", "show", ids[0], "-o", "json").json["edits"][1:] == []


def test_who_resumes_an_edit_hears_that_a_requeue_was_asked_for(incident: Incident) -> None:
    (id_,) = incident.die(1)
    assert incident("dlq", "edit", id_, "--set", "Currency=EUR", "--requeue", "--yes").code == 0
    (file,) = incident.cli.folder.rglob("*.sqlite3")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:  # as where it was cut off before its end
        connection.execute("update operations set state = 'stopped' where verb = 'edit'")
        ((operation,),) = connection.execute("select id from operations where verb = 'edit'").fetchall()
    resumed = incident("ops", "resume", operation)
    assert resumed.code == 0
    assert f"ops show {UUID(operation)} --outcome done -o name | ticketops dlq requeue - --yes" in resumed.err


def test_what_was_exported_comes_back_byte_for_byte(incident: Incident, tmp_path: Path) -> None:
    ids = incident.die(5)
    bodies = [incident.worker.body(id_) for id_ in ids]
    file = tmp_path / "dead.ndjson"
    assert incident("dlq", "export", "--all", "--to", file).code == 0
    assert incident("dlq", "purge", "--all", "--from", "queue", "--confirm", "bookings").code == 0
    assert incident.dead == []
    assert incident("dlq", "import", file, "--dry-run").code == 0
    assert incident.dead == []
    done = incident("dlq", "import", file, "--yes", "-o", "json")
    assert (done.code, done.json["done"]) == (0, 5), done.err
    assert sorted(incident.dead) == sorted(ids)
    assert [incident.worker.body(id_) for id_ in ids] == bodies
    again = incident("dlq", "import", file, "--yes", "-o", "json")
    assert (again.code, again.json["done"], again.json["skipped"]) == (0, 0, {"already done": 5})
    assert incident("dlq", "edit", ids[0], "--set", "Currency=EUR", "--yes").code == 0
    assert incident("dlq", "purge", ids[1], "--from", "queue", "--yes").code == 0
    again = incident("dlq", "import", file, "--yes", "-o", "json")
    assert (again.code, again.json["done"], again.json["skipped"]) == (3, 1, {"already done": 3, "exists": 1})
    assert payload_of(incident, ids[0])["Currency"] == "EUR"


def test_a_file_that_cannot_be_imported_is_told(incident: Incident, tmp_path: Path) -> None:
    file = tmp_path / "dead.ndjson"
    file.write_text('{"dead_letter":1}\n')
    broken = incident("dlq", "import", file, "--yes")
    assert (broken.code, str(file) in broken.err) == (1, True)
    for missing in (tmp_path / "nothing", tmp_path):
        told = incident("dlq", "import", missing, "--yes")
        assert (told.code, "dlq export --to" in told.err) == (2, True)


def test_retention_moves_old_items_to_the_archive_and_then_ends_them(incident: Incident) -> None:
    old = incident.die(2, age=40 * 86_400)
    young = incident.die(1)
    assert "requeue" not in incident("dlq", "cleanup", "--dry-run").out
    done = incident("dlq", "cleanup", "--yes", "-o", "json")
    assert done.code == 0, done.err
    assert done.json["dead_letters"]["done"] == 2
    assert incident.dead == young
    assert incident("dlq", "restore", old[0], "--yes").code == 0
    gone = incident("dlq", "cleanup", "--older-than", "0s", "--drop", "--yes", "-o", "json")
    assert gone.code == 0, gone.err
    assert (gone.json["dead_letters"]["done"], gone.json["archive"]["done"]) == (2, 1)
    assert incident.dead == []
    assert incident("dlq", "restore", "--all", "--yes").code == 0
    assert incident.dead == []


def test_doctor_says_what_is_wrong_and_mends_it(incident: Incident) -> None:
    orphan, fine = incident.die(2, age=3600)
    incident.worker.redis.delete(incident.worker.key(f"booking:dlq:{orphan}"))
    found = incident("dlq", "doctor", "-o", "json")
    assert found.code == 8, found.err
    kinds = {item["kind"]: item for item in found.json["items"]}
    assert kinds["id without body"]["subject"] == orphan
    assert "another one sees none" in kinds["local store"]["found"]
    assert incident("dlq", "doctor", "--fix").code == 6
    assert incident("dlq", "doctor", "--fix", "--dry-run").code == 0
    assert orphan in incident.dead
    mended = incident("dlq", "doctor", "--fix", "--yes", "-o", "json")
    assert mended.code == 0, mended.err
    assert incident.dead == [fine]
    assert incident("dlq", "doctor").code == 0


def test_doctor_discards_what_no_decoder_accepts_and_restore_brings_it_back(incident: Incident) -> None:
    worker = incident.worker
    bad = worker.dead_letter(worker.item("E1"), body=b'{"id":', age=3600)
    held = worker.dead_letter(worker.item("E1"), body=b"{", age=3600)
    fresh = worker.dead_letter(worker.item("E1"), body=b"{", age=0)
    (fine,) = incident.die(1)
    assert incident("dlq", "hold", held, "--yes").code == 0
    worker.redis.delete(worker.key("booking:dlq:stats"))
    plan = incident("dlq", "doctor", "--fix", "--dry-run")
    assert "discard 1 item in bookings" in plan.out, plan.err
    assert set(incident.dead) == {bad, held, fresh, fine}
    mended = incident("dlq", "doctor", "--fix", "--yes", "-o", "json")
    assert mended.code == 8, mended.err
    assert {item["subject"]: item["mended"] for item in mended.json["items"] if item["queue"]} == {
        bad: True,
        held: False,
    }
    assert set(incident.dead) == {held, fresh, fine}
    assert incident("dlq", "restore", bad, "--yes").code == 0
    assert worker.body(bad) == b'{"id":'
