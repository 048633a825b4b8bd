"""The demo's own processes: the sandbox, and the real service, which is started again whenever it dies.

Both end with the demo, however the demo ends. Knows nothing of what they do.
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
STOP_SECONDS = 40.0  # the service's grace is 20 s; a machine that is busy gets as much again
TAIL_LINES = 15
BAD_ENDS = 3
"""Ends by the service's own will, one after another, after which it is not started again."""


class ProcessError(Exception):
    """A process could not be kept running. The message is one line; `tail` is what it said last."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log
        self.tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:]) if log.exists() else ""


def command_line(*arguments: str) -> Sequence[str]:
    """Return how a command of ours is run as a process of its own, by this interpreter."""
    return (sys.executable, "-P", "-m", "consumer", *arguments)


def free_port() -> int:
    """Return a port on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def answers(url: str, process: ChildProcess, *, name: str, log: Path) -> None:
    """Wait until `url` answers 200.

    Raises:
        ProcessError: the process ended first, or it takes too long.
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
    """End a process in order, or else at once."""
    process.send(signal.SIGTERM)
    try:
        await asyncio.to_thread(process.wait, STOP_SECONDS)
    except TimeoutError:
        process.send(signal.SIGKILL)
        await asyncio.to_thread(process.wait, STOP_SECONDS)


async def _end_of(process: ChildProcess) -> int:
    while True:
        with contextlib.suppress(TimeoutError):  # in short waits: a thread cannot be called back
            return await asyncio.to_thread(process.wait, LOOK_SECONDS)


@dataclass(slots=True, kw_only=True)
class ServiceProcess:
    """`campaign-consumer run`, kept running. One task supervises it."""

    environment: Mapping[str, str]
    log: Path
    on_restarted: Callable[[int], None]
    """Told the process ID of each start but the first."""
    on_died: Callable[[int], None]
    """Told how it ended: negative for a signal."""
    process: ChildProcess = field(init=False)
    starts: int = 0

    async def start(self) -> None:
        """Start it."""
        run = command_line("run")
        self.process = await asyncio.to_thread(ChildProcess.start, run, output=self.log, environment=self.environment)
        self.starts += 1

    async def supervise(self) -> None:
        """Start it again whenever it dies, for ever.

        Raises:
            ProcessError: it gave up by itself several times in a row, so that more of the same would not help.
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
