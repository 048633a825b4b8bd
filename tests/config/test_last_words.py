"""A log in JSON is JSON to its last line, whatever ends the service; where people read, they get plain lines."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

REQUIRED = {"CAMPAIGN_API__URL": "https://eu.example.com/v2/sms/send/list", "CAMPAIGN_API__SERVER_KEY": "k-1"}
SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.upper().startswith("CAMPAIGN_")}
JSON = {"CAMPAIGN_LOG__FORMAT": "json"}
CONSOLE = {"CAMPAIGN_LOG__FORMAT": "console"}


def ended(*arguments: str, **environ: str) -> tuple[int, list[str]]:
    """Run a command, whose standard error is no terminal: its exit code and the lines there."""
    done = subprocess.run(
        [sys.executable, "-m", "consumer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=SURROUNDINGS | environ,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def logged(lines: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines]


def on_import(folder: Path, module: str, *does: str) -> dict[str, str]:
    """Let something happen in a process when it imports a module."""
    (folder / "sitecustomize.py").write_text(
        "\n".join(
            (
                "import sys, threading",
                "class Stray:",
                "    def __del__(self): raise OverflowError('Maria Perez')",
                "def stumble(): raise KeyError('Maria Perez')",
                "class Finder:",
                "    def find_spec(self, name, path=None, target=None):",
                f"        if name == {module!r}:",
                *(f"            {line}" for line in does),
                "sys.meta_path.insert(0, Finder())",
            )
        ),
        "utf-8",
    )
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("chosen", [{}, JSON], ids=["no terminal", "chosen"])
def test_each_mistake_of_the_configuration_is_a_line_of_the_log(chosen: dict[str, str]) -> None:
    code, lines = ended("run", **chosen, CAMPAIGN_API__URL="nowhere", CAMPAIGN_BUFFER__MAX_EVENTS="12345678901")
    assert code == 2
    written = logged(lines)
    assert {(line["level"], line["event"], line["exit_code"]) for line in written} == {
        ("critical", "wrong configuration", 2)
    }
    mistakes = [str(line["mistake"]) for line in written]
    assert [mistake.split(" ")[0] for mistake in mistakes] == [
        "CAMPAIGN_API__SERVER_KEY", "CAMPAIGN_API__URL=nowhere", "CAMPAIGN_BUFFER__MAX_EVENTS=12345678901",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments, chosen", [(["run", "--bogus"], {}), (["rnu"], JSON), (["--bogus", "run"], JSON)], ids=str
)
def test_wrong_usage_is_a_line_of_the_log(arguments: list[str], chosen: dict[str, str]) -> None:
    code, lines = ended(*arguments, **chosen)
    [line] = logged(lines)
    assert (code, line["event"], line["exit_code"]) == (2, "wrong usage", 2)
    assert arguments[-1] in str(line["mistake"]) or "--bogus" in str(line["mistake"])


def test_whatever_keeps_the_service_from_going_on_is_a_line_of_the_log() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, lines = ended("run", **REQUIRED, CAMPAIGN_HTTP__PORT=str(taken.getsockname()[1]))
    [line] = logged(lines)
    assert (code, line["level"], line["event"], line["exit_code"]) == (1, "critical", "cannot go on", 1)
    assert "CAMPAIGN_HTTP__PORT" in str(line["obstacle"])


@pytest.mark.parametrize("chosen", [JSON, CONSOLE], ids=["json", "console"])
@pytest.mark.parametrize("module", ["uvloop", "consumer.cli.assembly"])
def test_what_nobody_expected_is_a_line_of_the_log_without_what_it_quotes(
    tmp_path: Path, chosen: dict[str, str], module: str
) -> None:
    environ = {**REQUIRED, **chosen, **on_import(tmp_path, module, "raise ValueError('Maria Perez, +34 600 111 222')")}
    code, lines = ended("run", **environ)
    assert code == 1
    [text] = lines
    assert "Maria" not in text
    assert "600" not in text
    assert "unexpected error, ending" in text
    if chosen is JSON:
        [line] = logged(lines)
        assert (line["level"], line["error"], line["exit_code"]) == ("critical", "ValueError", 1)
        assert "run.py" in str(line["at"])


def test_exceptions_that_nobody_can_catch_are_lines_of_the_log(tmp_path: Path) -> None:
    thread = "thread = threading.Thread(target=stumble); thread.start(); thread.join()"
    environ = {
        **REQUIRED,
        **JSON,
        **on_import(tmp_path, "consumer.cli.assembly", thread, "Stray()", "raise ValueError"),
    }
    code, lines = ended("run", **environ)
    assert code == 1
    written = logged(lines)
    assert [(line["event"], line.get("during"), line["error"]) for line in written] == [
        ("unexpected error", "thread", "KeyError"),
        ("unexpected error", "finalizer", "OverflowError"),
        ("unexpected error, ending", None, "ValueError"),
    ]
    assert "Maria" not in "".join(lines)


def test_the_settings_file_chooses_the_format_once_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text('[log]\nformat = "console"\n')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {**REQUIRED, "CAMPAIGN_HTTP__PORT": str(taken.getsockname()[1])}
        code, [line] = ended("run", "--config", str(file), **environ)
    assert code == 1
    assert not line.startswith("{")
    assert "CAMPAIGN_HTTP__PORT" in line


@pytest.mark.parametrize(
    "arguments, chosen", [(["run"], CONSOLE), (["check"], JSON), (["inspect"], {})], ids=["console", "check", "inspect"]
)
def test_where_people_read_each_mistake_is_a_plain_line(arguments: list[str], chosen: dict[str, str]) -> None:
    code, lines = ended(*arguments, **chosen, CAMPAIGN_API__URL="nowhere", CAMPAIGN_API__SERVER_KEY="k-1")
    assert code == 2
    assert lines == ["CAMPAIGN_API__URL=nowhere (environment): must begin with https:// or http:// and name a host"]
