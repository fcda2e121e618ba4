"""The user's own keys: `[tui.keys]` of the configuration, looked at before anything is drawn."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from textual.binding import Binding, InvalidBinding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, format_key, key_to_character

from ticketops.config.problems import Problem, did_you_mean
from ticketops.tui.actions import Action, every_action

FIXED: Final = frozenset({"tab", "shift+tab", "ctrl+c", "ctrl+q", "f1"})
"""Keys that always mean the same: go on to the next pane, leave, help."""
_KNOWN: Final = frozenset((*(key.value for key in Keys), *KEY_NAME_REPLACEMENTS.values()))
_MODIFIERS: Final = frozenset({"ctrl", "alt", "shift", "super", "meta"})


def problems(keys: Mapping[str, str], place: str) -> Iterator[Problem]:
    """What cannot work; `place` says where the keys were said."""
    actions = {action.id: action for action in every_action() if action.id}
    for name, said in keys.items():
        if name not in actions:
            hint = did_you_mean(name, actions) or "? in the dashboard shows what there is, with hyphens for spaces"
            yield Problem(f"{place}: tui.keys.{name} is no action", why="no key would do it", hint=hint)
        elif wrong := [key for key in _split(said) if not _is_key(key)] or ([] if said.strip() else [said]):
            hint = did_you_mean(wrong[0], _KNOWN) or "write a, A, <, f5 or ctrl+g; several with commas between"
            yield Problem(f"{place}: tui.keys.{name} is no key: {wrong[0]!r}", why="no terminal sends it", hint=hint)
        else:
            yield from _collisions(name, said, keys, actions, place)


def _collisions(
    name: str, said: str, keys: Mapping[str, str], actions: Mapping[str, Action], place: str
) -> Iterator[Problem]:
    for key in _split(said):
        if key in FIXED:
            hint = "choose another key"
            yield Problem(f"{place}: tui.keys.{name} takes {shown(key)}", why="that key is never moved", hint=hint)
        for other in actions:
            if other != name and key in _split(keys.get(other, actions[other].keys)):
                why = f"{shown(key)} is the key of {other}"
                hint = f"choose another key, or move {other} too: {other} = …"
                yield Problem(f"{place}: tui.keys.{name} collides with {other}", why=why, hint=hint)


def _split(keys: str) -> Sequence[str]:
    """The keys as Textual calls them; empty where there is none."""
    try:
        return [binding.key for binding in Binding.make_bindings([Binding(keys, "nothing")])]
    except InvalidBinding:
        return ()


def _is_key(key: str) -> bool:
    *modifiers, name = key.split("+")
    return set(modifiers) <= _MODIFIERS and (name in _KNOWN or key_to_character(name) is not None)


def shown(keys: str) -> str:
    """Keys as people write them."""
    return " ".join(format_key(key) for key in _split(keys))


def shown_of(action: Action, keymap: Mapping[str, str]) -> str:
    """The keys of an action, the user's own where there are some."""
    return shown(keymap[action.id]) if action.id in keymap else action.shown
