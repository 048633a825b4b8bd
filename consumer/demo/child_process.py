"""Child processes that end with their parent, even after a `kill -9` of the parent. Knows nothing of Kafka or Java.

A watcher process runs between the two. It starts the command, and holds the reading end of a pipe; only the parent has the
writing end. When the parent ends for any reason, the pipe is closed, and the watcher kills the command.
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
    """A running command that cannot outlive this process. Made by `start`; its methods block and need no event loop."""

    def __init__(self, watcher: "subprocess.Popen[bytes]", pid: int) -> None:
        self._watcher = watcher
        self.pid = pid
        """The command's own process ID, not the watcher's."""

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        *,
        output: Path,
        environment: Mapping[str, str],
        remove_if_killed: Path | None = None,
    ) -> Self:
        """Start a command in a session of its own, so that a terminal's Ctrl-C does not reach it.

        Its output is appended to `output`. The folder `remove_if_killed` is removed if the parent ends before the command.
        Raises OSError when the command cannot be started.
        """
        with output.open("ab") as log:
            watcher = subprocess.Popen(  # noqa: S603 - this very file, by the interpreter that runs it
                [sys.executable, "-I", "-S", __file__, str(remove_if_killed or ""), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=dict(environment),
            )
        assert watcher.stdout is not None
        with watcher.stdout as output_of_watcher:
            pid = output_of_watcher.readline()
        if not pid:
            cls._close(watcher.stdin)
            watcher.wait()
            raise OSError(f"{command[0]} could not be started; {output} says why")
        return cls(watcher, int(pid))

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the command runs."""
        return self._watcher.poll()

    def wait(self, seconds: float) -> int:
        """Wait until the command has ended; return its exit code. Raises TimeoutError after `seconds`."""
        try:
            code = self._watcher.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {seconds:g} s") from error
        self._close(self._watcher.stdin)
        return code

    def send(self, what: signal.Signals) -> None:
        """Send the command a signal; does nothing when it has ended."""
        if self._watcher.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, what)

    @staticmethod
    def _close(pipe: IO[bytes] | None) -> None:
        if pipe is not None:
            pipe.close()


def watch_over(command: Sequence[str], remove_if_killed: str) -> int:
    """Run the watcher: start the command, kill it when the parent ends, and return its exit code."""
    output = sys.stderr.fileno()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603 - the parent's
    parent_gone = threading.Event()

    def kill(_signal: int, _frame: FrameType | None) -> None:
        process.kill()

    signal.signal(signal.SIGTERM, kill)
    print(process.pid, flush=True)  # noqa: T201 - the parent reads it

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the parent has ended: nothing is ever written
        parent_gone.set()
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = process.wait()
    if parent_gone.is_set() and remove_if_killed:
        shutil.rmtree(remove_if_killed, ignore_errors=True)
    return code


def _main() -> None:
    code = watch_over(sys.argv[2:], sys.argv[1])
    if code < 0:  # end as the command did, so that the parent sees the same signal
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)  # `sys.exit` would wait for the thread, which still reads


if __name__ == "__main__":
    _main()
