import shutil
import subprocess

import pytest

from support.cli import Cli


def completed(cli: Cli, line: str) -> list[str]:
    words = line.split(" ")
    env = {"_TICKETOPS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return cli(env=env).out.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ticketops conf", ["config"]),
        ("ticketops config ", ["show", "check", "init"]),
        ("ticketops config sh", ["show"]),
        ("ticketops config show --out", ["--output"]),
        ("ticketops config show -o js", ["json", "jsonl"]),
        ("ticketops -o ya", ["yaml"]),
        ("ticketops config init --fo", ["--force"]),
    ],
)
def test_words_are_completed_through_lazy_nouns(cli: Cli, line: str, words: list[str]) -> None:
    assert completed(cli, line) == words


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_the_verbs_with_their_help(cli: Cli, shell: str) -> None:
    env = {
        "_TICKETOPS_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "ticketops config ",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = cli(env=env)
    assert done.code == 0
    assert "show" in done.out
    assert "Look for mistakes" in done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_one(cli: Cli, shell: str) -> None:
    done = cli("--show-completion", shell)
    assert done.code == 0
    assert f"complete_{shell}" in done.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.out, text=True, check=True)


def test_bash_itself_completes(cli: Cli) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = f"""
ticketops() {{ command {" ".join(cli.command([]))} "$@"; }}
eval "$(ticketops --show-completion bash)"
COMP_WORDS=(ticketops config ch); COMP_CWORD=2
env() {{ local -x "${{@:1:$#-1}}"; "${{!#}}"; }}
_ticketops_completion ticketops
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env=cli.environment(None),
        cwd=cli.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "check", done.stderr
