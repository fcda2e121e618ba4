"""Keys of the user's own, help and the last line."""

from typing import Any

import pytest

from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from ticketops.cli.exits import ExitCode
from ticketops.cli.main import run as command
from ticketops.tui import actions
from ticketops.tui.actions import every_action
from ticketops.tui.keymap import FIXED, problems


def said(keys: dict[str, str]) -> str:
    return "\n".join(f"{one.what} | {one.why} | {one.hint}" for one in problems(keys, "ticketops.toml:3"))


def test_the_usual_keys_collide_nowhere() -> None:
    usual = {one.id: one.keys for one in every_action() if one.id and one.id not in {"help", "back"}}
    shared = {name: keys for name, keys in usual.items() if said({name: keys})}
    registries = [value for name, value in vars(actions).items() if name.startswith("ON_") and name != "ON_ROWS"]
    on_views = {one.id for registry in registries for one in registry}
    assert set(shared) <= on_views


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"freze": "f"}, "ticketops.toml:3: tui.keys.freze is no action | no key would do it | did you mean freeze?"),
        ({"freeze": "ctrl+nonsense"}, "tui.keys.freeze is no key: 'ctrl+nonsense'"),
        ({"freeze": ""}, "tui.keys.freeze is no key: ''"),
        ({"freeze": "r"}, "tui.keys.freeze collides with refresh | r is the key of refresh"),
        ({"freeze": "tab"}, "that key is never moved"),
    ],
)
def test_keys_that_cannot_work_are_told(keys: dict[str, str], why: str) -> None:
    assert why in said(keys)


@pytest.mark.parametrize("keys", [{"freeze": "f"}, {"freeze": "r", "refresh": "p"}, {"goto": "f5,<", "step-back": "b"}])
def test_keys_that_work(keys: dict[str, str]) -> None:
    assert said(keys) == ""


def test_every_action_can_be_moved() -> None:
    ids = {one.id for one in every_action() if one.label}
    assert "" not in ids
    assert not FIXED & {key for one in every_action() if one.id and one.id != "help" for key in one.keys.split(",")}


def test_the_users_keys_work_and_stand_in_help_and_the_last_line() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await pilot.pause()
        await pilot.press("p")
        assert pilot.app.frozen_at is None
        assert "f freeze" in shown(pilot)
        assert "p freeze" not in shown(pilot)
        await pilot.press("f")
        assert pilot.app.frozen_at is not None
        await pilot.press("n")
        assert pilot.app.screen.table.key == "dlq bookings"
        await pilot.press("question_mark")
        await settled(pilot, lambda: "in every list" in shown(pilot))
        assert "  f        freeze" in shown(pilot)

    run(scene, (100, 60), keymap={"freeze": "f", "down": "n", "quit": "Q"})


def test_help_begins_with_what_the_view_can_do() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await pilot.press("f1")
        await settled(pilot, lambda: "in this view" in shown(pilot))
        text = shown(pilot)
        assert text.index("put the marked back") < text.index("in every list")
        await pilot.press("end")
        await settled(pilot, lambda: "as an operation that" in shown(pilot))
        await pilot.press("escape", "colon", "f1")
        await settled(pilot, lambda: "everywhere" in shown(pilot))

    run(scene)


def test_dangerous_keys_are_shown_while_they_are_unlocked() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "3 " in shown(pilot))
        assert "R requeue" not in shown(pilot).splitlines()[-1]
        assert "W unlock" in shown(pilot).splitlines()[-1]
        await pilot.press("W")
        await settled(pilot, lambda: "R requeue  D discard" in shown(pilot).splitlines()[-1])
        assert shown(pilot).splitlines()[-1].rstrip().endswith("? help  q quit")

    run(scene)


def test_a_mistake_in_the_keys_is_three_lines_that_name_the_file(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[tui.keys]\nfreze = "f"\n')
    assert command(["--config", str(file), "tui"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert f"{file}:1" in said or f"{file}:2" in said
    assert "did you mean freeze?" in said
    assert command(["--config", str(file), "config", "check"]) == ExitCode.USAGE
    assert "tui.keys.freze is no action" in capsys.readouterr().out
