"""Keeps a process no longer than the one that started it, even after a `kill -9`. Knows nothing of Kafka or Java.

The watcher is a process of its own between the two: it starts the command, and holds the reading end of a pipe whose only
writing end its parent has. When the parent is gone, however it went, the pipe ends and the command is killed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Self


class ChildProcess:
    """A running command that cannot outlive this process. Built by `start`; blocking, and free of any event loop."""

    def __init__(self, watcher: "subprocess.Popen[bytes]", pid: int) -> None:
        self._watcher = watcher
        self.pid = pid
        """The command's own process ID, not the watcher's."""

    @classmethod
    def start(
        cls, command: Sequence[str], *, output: Path, environment: Mapping[str, str], litter: Path | None = None
    ) -> Self:
        """Start a command in a session of its own, so that a terminal's Ctrl-C does not reach it.

        What it prints is appended to `output`; `litter` is a folder to be removed when the command is ended because its
        parent is gone. OSError when it cannot be started.
        """
        with output.open("ab") as log:
            watcher = subprocess.Popen(  # noqa: S603 - this very file, by the interpreter that runs it
                [sys.executable, "-I", "-S", __file__, str(litter or ""), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=dict(environment),
            )
        assert watcher.stdout is not None
        with watcher.stdout as told:
            pid = told.readline()
        if not pid:
            cls._let_go(watcher.stdin)
            watcher.wait()
            raise OSError(f"{command[0]} could not be started; {output} says why")
        return cls(watcher, int(pid))

    @property
    def exit_code(self) -> int | None:
        """Negative for the signal that ended it; None while it runs."""
        return self._watcher.poll()

    def wait(self, seconds: float) -> int:
        """Wait for the command's end, and give its exit code. TimeoutError when it still runs after `seconds`."""
        try:
            code = self._watcher.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {seconds:g} s") from error
        self._let_go(self._watcher.stdin)
        return code

    def send(self, what: signal.Signals) -> None:
        """Send the command a signal; nothing happens when it has ended."""
        if self._watcher.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, what)

    @staticmethod
    def _let_go(pipe: IO[bytes] | None) -> None:
        if pipe is not None:
            pipe.close()


def hold(command: Sequence[str], litter: str) -> int:
    """Live the watcher's own life: start the command, end with it or end it, and give its exit code."""
    output = sys.stderr.fileno()
    held = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603 - the parent's
    parent_gone = threading.Event()

    def kill(_signal: int, _frame: FrameType | None) -> None:
        held.kill()

    signal.signal(signal.SIGTERM, kill)
    print(held.pid, flush=True)  # noqa: T201 - the parent reads it

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the parent is gone: nothing is ever written
        parent_gone.set()
        held.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = held.wait()
    if parent_gone.is_set() and litter:
        shutil.rmtree(litter, ignore_errors=True)
    return code


def _main() -> None:
    code = hold(sys.argv[2:], sys.argv[1])
    if code < 0:  # end as the command did, so that the parent sees the same signal
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)  # not by way of the thread, which still reads


if __name__ == "__main__":
    _main()
