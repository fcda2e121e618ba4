from pathlib import Path

from ticketops.cli.exits import ExitCode
from ticketops.cli.nouns import NOUNS
from ticketops.cli.reference import commands, reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_stored_reference_is_made_from_the_commands() -> None:
    stored = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert stored == reference(), "run: python -m ticketops.cli.reference > docs/commands.md"


def test_every_noun_is_in_the_build() -> None:
    assert {noun.name for noun in NOUNS} <= {words.split()[-1] for words, _ in commands()}


def test_every_command_and_every_option_has_help() -> None:
    for words, command in commands():
        assert command.help, words
        for param in command.params:
            if param.param_type_name == "option":
                assert param.help, f"{words} {param.opts}"


def test_every_exit_code_is_in_the_reference() -> None:
    text = reference()
    for code in ExitCode:
        assert f"| {code.value} | " in text
