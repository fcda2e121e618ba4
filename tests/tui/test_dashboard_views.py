"""The looks of the dashboard's main states, cell by cell."""

import difflib

import pytest

from support.dashboard_views import FOLDER, SCENES, views

ANEW = "if that is how it should look: PYTHONPATH=tests python -m support.dashboard_views"


@pytest.mark.parametrize("name", SCENES)
def test_it_looks_as_it_did(name: str) -> None:
    known = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    found = views(name)
    change = "\n".join(difflib.unified_diff(known.splitlines(), found.splitlines(), "before", "now", lineterm="", n=1))
    assert found == known, f"{change}\n{ANEW}"


def test_there_is_no_view_of_a_scene_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(SCENES)
