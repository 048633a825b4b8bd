"""A child process never outlives the one that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from consumer.demo.child_process import ChildProcess

PARENT = """
import pathlib, signal, sys
from consumer.demo.child_process import ChildProcess

signal.signal(signal.SIGINT, signal.SIG_DFL)  # an exception can get lost
command = ChildProcess.start(["sleep", "1000"], output=pathlib.Path(sys.argv[1]), environment={"PATH": "/usr/bin:/bin"})
print(command.pid, flush=True)
sys.stdin.read()
"""
ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_with_its_parent_however_that_ends(tmp_path: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "output")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        command = psutil.Process(int(parent.stdout.readline()))

        parent.send_signal(end)

        command.wait(timeout=10)


def test_a_frozen_command_ends_with_its_parent_too(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "output")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        command = psutil.Process(int(parent.stdout.readline()))
        command.suspend()

        parent.kill()

        command.wait(timeout=10)


def test_exit_code_and_output_come_through(tmp_path: Path) -> None:
    command = ChildProcess.start(
        ["sh", "-c", "echo out; echo err >&2; exit 7"], output=tmp_path / "log", environment=ENVIRONMENT
    )

    assert command.wait(10) == 7
    assert command.exit_code == 7
    assert (tmp_path / "log").read_text().splitlines() == ["out", "err"]


def test_the_signal_that_ended_it_comes_through(tmp_path: Path) -> None:
    command = ChildProcess.start(["sleep", "1000"], output=tmp_path / "log", environment=ENVIRONMENT)

    command.send(signal.SIGKILL)

    assert command.wait(10) == -signal.SIGKILL
    command.send(signal.SIGTERM)  # too late, and harmless


def test_a_command_that_does_not_exist_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no-such-command could not be started; .*log says why"):
        ChildProcess.start(["no-such-command"], output=tmp_path / "log", environment=ENVIRONMENT)

    assert "FileNotFoundError" in (tmp_path / "log").read_text()
