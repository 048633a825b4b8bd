"""Shells complete commands and options, from the lines that the operators' page gives, and quickly."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
CALL = "from consumer.cli.main import main; main(prog_name='campaign-consumer')"
BASH = shutil.which("bash") or "bash"
SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.upper().startswith("CAMPAIGN_")}


def run(script: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=SURROUNDINGS | environ,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def completed(line: str) -> list[str]:
    """What a shell offers for the last word of a line."""
    words = line.split(" ")
    answer = run(CALL, _CAMPAIGN_CONSUMER_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    return [offered.partition(",")[2] for offered in answer.splitlines()]


@pytest.mark.parametrize(
    "line, offered",
    [
        ("campaign-consumer ", list(COMMANDS)),
        ("campaign-consumer re", ["results", "replay"]),
        ("campaign-consumer --ver", ["--version"]),
        ("campaign-consumer replay p", ["plan"]),
        ("campaign-consumer results --re", ["--reference", "--reason"]),
        ("campaign-consumer produce --generate 5 --com", ["--compression"]),
        ("campaign-consumer produce --compression z", ["zstd"]),
        ("campaign-consumer results --status accepted,re", ["accepted,rejected"]),
        ("campaign-consumer results --reason contact", ["contact_refused"]),
        ("campaign-consumer replay plan --status fai", ["failed"]),
    ],
)
def test_commands_options_and_their_words_are_completed(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_a_commands_name_is_completed_without_importing_any() -> None:
    script = (
        "import json, sys\n"
        "from consumer.cli.main import main\n"
        "offered = main.shell_complete(main.make_context('campaign-consumer', [], resilient_parsing=True), '')\n"
        "print(json.dumps([len(offered), *sys.modules]))\n"
    )
    offered, *modules = json.loads(run(script))
    assert offered == len(COMMANDS)
    assert "consumer.cli.main" in modules
    assert [name for name in modules if name.startswith("consumer.cli.") and name != "consumer.cli.main"] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_has_a_line_for_each_shell_that_prints_its_script(shell: str) -> None:
    page = (ROOT / "deploy/README.md").read_text()
    [variable] = re.findall(rf"(_[A-Z_]+_COMPLETE)={shell}_source campaign-consumer", page)
    assert "campaign-consumer" in run(CALL, **{variable: f"{shell}_source"})


def test_bash_itself_completes_by_the_line_of_the_page(tmp_path: Path) -> None:
    command = tmp_path / "campaign-consumer"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{CALL}"\n')
    command.chmod(0o755)
    [line] = re.findall(r"^(eval .*bash_source.*)$", (ROOT / "deploy/README.md").read_text(), flags=re.MULTILINE)
    script = f"""
        {line}
        COMP_WORDS=(campaign-consumer results --fo) COMP_CWORD=2
        completes=$(complete -p campaign-consumer | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        "$completes" campaign-consumer
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [BASH, "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**SURROUNDINGS, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("--follow\n", "")
