"""`ticketops dlq` changes and `ticketops ops`, as their users have them, on Valkey with a local store."""

import json

from support.incidents import Incident


def test_one_item_is_put_back_by_its_id_alone(incident: Incident) -> None:
    first, second = incident.die(2)
    done = incident("dlq", "requeue", first, "--yes", "-o", "json")
    assert done.code == 0, done.err
    assert (done.json["done"], done.json["state"], done.json["skipped"]) == (1, "done", {})
    assert incident.dead == [second]
    assert incident.waiting == [first.split(":")[1]]
    again = incident("dlq", "requeue", first, "--yes")
    assert again.code == 0
    assert f"{first} was requeued by " in again.err
    assert done.json["operation"] in again.err
    other = incident("dlq", "discard", first, "--yes")
    assert (other.code, "was requeued by " in other.err) == (5, True)
    shown = incident("dlq", "show", first)
    assert (shown.code, "was requeued by " in shown.err) == (5, True)


def test_an_id_is_not_said_to_be_nowhere_where_a_queue_was_not_asked(incident: Incident) -> None:
    (id_,) = incident.die(1)
    down = ("--set", "redis.url=redis://127.0.0.1:9/0")
    for words in (("list", id_), ("requeue", id_, "--yes")):
        done = incident("dlq", *words, *down)
        assert done.code == 7
        assert f"{id_} was not found, but bookings did not answer" in done.err
    assert "there is no dead letter" not in done.err
    assert incident("dlq", "requeue", "dlq:x:1", "--yes").code == 5


def test_a_plan_is_shown_before_anything_happens(incident: Incident) -> None:
    incident.die(3, show="E1")
    incident.die(2, show="E2", reason="invalid_data")
    plan = incident("dlq", "requeue", "--all", "--dry-run")
    assert plan.code == 0
    assert "requeue 5 items in bookings 5" in plan.out
    one = incident("dlq", "requeue", "--all", "--limit", "1", "--dry-run").out
    assert one.startswith("requeue 1 item in bookings 1\n")
    assert "\nonce: no answer\n" in one
    assert "reasons: timeout 3, invalid_data 2" in plan.out
    assert "E1 3" in plan.out
    assert len(incident.dead) == 5
    refused = incident("dlq", "requeue", "--all")
    assert (refused.code, len(incident.dead)) == (6, 5)
    assert "no terminal" in refused.err
    assert incident("dlq", "requeue", "--yes").code == 6
    assert incident("dlq", "requeue", "--all", "-o", "json").code == 6
    assert incident("ops", "list", "-o", "json").json["items"] == []


def test_a_selection_is_put_back_and_the_operation_proves_it(incident: Incident) -> None:
    chosen = incident.die(3, reason="timeout")
    left = incident.die(2, reason="invalid_data")
    done = incident("dlq", "requeue", "--reason", "timeout", "--yes", "--reason-text", "provider is back", "-o", "json")
    assert done.code == 0, done.err
    assert sorted(incident.dead) == sorted(left)
    (listed,) = incident("ops", "list", "-o", "json").json["items"]
    assert (listed["id"], listed["state"], listed["done"]) == (done.json["operation"], "done", 3)
    shown = incident("ops", "show", listed["id"][:8], "-o", "json").json
    assert (shown["reason"], shown["selector"]) == ("provider is back", {"reason": "timeout"})
    items = [
        json.loads(line) for line in incident("ops", "show", listed["id"], "--items", "-o", "jsonl").out.splitlines()
    ]
    assert sorted(item["id"] for item in items) == sorted(chosen)
    assert {item["outcome"] for item in items} == {"done"}
    assert incident("ops", "show", listed["id"], "--outcome", "gone", "-o", "jsonl").out == ""
    wrong = incident("ops", "show", listed["id"], "--outcome", "done it")
    assert (wrong.code, "write done, changed" in wrong.err) == (2, True)


def test_discard_all_wants_the_queue_by_name(incident: Incident) -> None:
    ids = incident.die(3)
    assert incident("dlq", "discard", "--all", "--yes").code == 6
    assert incident("dlq", "discard", "--all", "--confirm", "other").code == 6
    assert len(incident.dead) == 3
    assert incident("dlq", "discard", "--all", "--confirm", "bookings").code == 0
    assert incident.dead == []
    assert incident("dlq", "restore", ids[0], "--yes").code == 0
    assert incident.dead == [ids[0]]
    assert incident("dlq", "purge", ids[1], "--yes").code == 0
    assert incident("dlq", "restore", ids[1], "--yes").code == 5
    assert incident("dlq", "restore", "--all", "--yes").code == 0
    assert sorted(incident.dead) == sorted([ids[0], ids[2]])


def test_a_held_item_is_skipped_until_it_is_released(incident: Incident) -> None:
    first, second = incident.die(2)
    assert incident("dlq", "hold", first, "--note", "looking at it", "--yes").code == 0
    done = incident("dlq", "requeue", "--all", "--yes", "-o", "json")
    assert done.code == 3
    assert (done.json["done"], done.json["skipped"]) == (1, {"held": 1})
    alone = incident("dlq", "requeue", first, "--yes")
    assert alone.code == 6
    assert "looking at it" in alone.err
    assert incident("dlq", "release", first, "--yes").code == 0
    assert incident("dlq", "requeue", first, "--yes").code == 0
    assert incident.dead == []
    assert second.split(":")[1] in incident.waiting


def test_the_loop_guard_refuses_and_force_goes_past_it(incident: Incident) -> None:
    for _ in range(3):
        (id_,) = incident.dead or incident.die(1)
        assert incident("dlq", "requeue", id_, "--yes").code == 0
        item = incident.worker.take("E1")
        assert item
        incident.worker.dead_letter(item)
    (id_,) = incident.dead
    refused = incident("dlq", "requeue", id_, "--yes")
    assert refused.code == 6
    assert "requeued 3 times, the cap is 3" in refused.err
    assert incident("dlq", "requeue", id_, "--yes", "--force").code == 0


def test_nothing_is_changed_in_a_read_only_context(incident: Incident) -> None:
    incident.die(1)
    assert incident("dlq", "requeue", "--all", "--yes", "--set", "read_only=true").code == 4
    assert len(incident.dead) == 1


def test_a_terminal_is_asked(incident: Incident) -> None:
    (id_,) = incident.die(1)
    no = incident.cli.terminal("dlq", "requeue", id_, typed="n\n")
    assert (no.code, len(incident.dead)) == (130, 1)
    assert "Go on in context default?" in no.out
    yes = incident.cli.terminal("dlq", "requeue", id_, typed="y\n")
    assert (yes.code, incident.dead) == (0, [])
    (other,) = incident.die(1)
    typed = incident.cli.terminal("dlq", "discard", "--all", typed="bookings\n")
    assert (typed.code, incident.dead) == (0, []), typed.out
    assert other in incident("ops", "show", incident("ops", "list", "-o", "name").out.split()[0], "--items").out


def test_a_release_is_about_held_items_alone(incident: Incident) -> None:
    first, second = incident.die(2)
    assert "no held dead letter is selected" in incident("dlq", "release", "--all", "--yes").err
    assert incident("dlq", "hold", second, "--yes").code == 0
    plan = incident("dlq", "release", "--all", "--dry-run")
    assert plan.out.startswith("release 1 item in bookings 1\n")
    done = incident("dlq", "release", first, second, "--yes", "-o", "json")
    assert (done.code, done.json["total"], done.json["done"]) == (0, 1, 1)


def test_a_resume_can_have_another_speed(incident: Incident) -> None:
    incident.die(3)
    stopped = incident("dlq", "requeue", "--all", "--yes", "--max-backlog", "1", "-o", "json").json
    assert (stopped["state"], stopped["done"]) == ("stopped", 1)
    incident.worker.take("E1")
    assert incident("ops", "resume", stopped["operation"], "--rate", "fast").code == 2
    done = incident("ops", "resume", stopped["operation"], "--rate", "1000/s", "-o", "json")
    assert (done.json["state"], done.json["done"]) == ("stopped", 2), done.err


def test_doctor_asks_for_the_right_to_write_before_it_shows_what_it_would_do(incident: Incident) -> None:
    incident.worker.redis.hset(incident.worker.key("booking:dlq:stats"), "timeout", 9)
    read_only = ("--set", "read_only=true")
    refused = incident("dlq", "doctor", "--fix", "--yes", *read_only)
    assert (refused.code, "set right" in refused.err) == (4, False)
    assert incident("dlq", "doctor", "--fix", "--dry-run", *read_only).code == 0
