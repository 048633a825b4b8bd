"""The demo's processes: the sandbox, and the real service, which is restarted when it dies. Knows nothing of their work.

Both end with the demo, also when the demo is killed.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from consumer.demo.child_process import ChildProcess

LOOK_SECONDS = 0.05
START_SECONDS = 60.0
STOP_SECONDS = 40.0  # the service's grace is 20 s; a busy machine needs longer
TAIL_LINES = 15
BAD_ENDS = 3
"""After so many exits with an error code in a row, the service is not restarted."""


class ProcessError(Exception):
    """A process could not be kept running. The message is one line; `tail` is the end of its log."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log
        self.tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:]) if log.exists() else ""


def command_line(*arguments: str) -> Sequence[str]:
    """Return the command line that runs one of our commands with this interpreter."""
    return (sys.executable, "-P", "-m", "consumer", *arguments)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def answers(url: str, process: ChildProcess, *, name: str, log: Path) -> None:
    """Wait until `url` answers 200.

    Raises:
        ProcessError: the process has ended, or START_SECONDS are over.
    """
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as http:
        try:
            async with asyncio.timeout(START_SECONDS):
                while process.exit_code is None:
                    with contextlib.suppress(httpx.TransportError):
                        if (await http.get(url)).is_success:
                            return
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise ProcessError(f"the {name} is not ready after {START_SECONDS:.0f} s ({url})", log) from None
    raise ProcessError(f"the {name} ended with exit code {process.exit_code} before it was ready", log)


async def stop(process: ChildProcess) -> None:
    """Stop a process with SIGTERM; after STOP_SECONDS with SIGKILL."""
    process.send(signal.SIGTERM)
    try:
        await asyncio.to_thread(process.wait, STOP_SECONDS)
    except TimeoutError:
        process.send(signal.SIGKILL)
        await asyncio.to_thread(process.wait, STOP_SECONDS)


async def _end_of(process: ChildProcess) -> int:
    while True:
        with contextlib.suppress(TimeoutError):  # short waits, because a thread cannot be cancelled
            return await asyncio.to_thread(process.wait, LOOK_SECONDS)


@dataclass(slots=True, kw_only=True)
class ServiceProcess:
    """`campaign-consumer run`, kept running. One task supervises it."""

    environment: Mapping[str, str]
    log: Path
    on_restarted: Callable[[int], None]
    """Called with the process ID of each restart."""
    on_died: Callable[[int], None]
    """Called with the exit code, negative for a signal."""
    process: ChildProcess = field(init=False)
    starts: int = 0

    async def start(self) -> None:
        """Start it."""
        run = command_line("run")
        self.process = await asyncio.to_thread(ChildProcess.start, run, output=self.log, environment=self.environment)
        self.starts += 1

    async def supervise(self) -> None:
        """Restart it whenever it dies; never returns.

        Raises:
            ProcessError: it has ended with an error code `BAD_ENDS` times in a row.
        """
        bad_ends = 0
        while True:
            code = await _end_of(self.process)
            self.on_died(code)
            bad_ends = bad_ends + 1 if code > 0 else 0
            if bad_ends == BAD_ENDS:
                raise ProcessError(
                    f"the service ended by itself {bad_ends} times, the last time with exit code {code}", self.log
                )
            await self.start()
            self.on_restarted(self.process.pid)
