"""The demo as people run it: a process, what it prints, how it ends, and what it leaves behind."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from consumer.demo.processes import ProcessError, ServiceProcess
from consumer.demo.run import RunningDemo
from consumer.demo.surroundings import plain_environment
from consumer.sandbox.client import SandboxClient
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

SECONDS = 150
REST = ("options", "console", "cluster", "service")


class Running:
    """A demo that runs; its lines are kept as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, pattern: str) -> "re.Match[str]":
        """Return the next line that fits."""
        assert self.process.stdout is not None
        while raw := await self.process.stdout.readline():
            self.lines.append(raw.decode().rstrip())
            if found := re.search(pattern, self.lines[-1]):
                return found
        raise AssertionError(f"it ended without {pattern}:\n{self.said}")

    async def end(self) -> int:
        """Read the rest, and return the exit code."""
        assert self.process.stdout is not None
        self.lines += (await self.process.stdout.read()).decode().splitlines()
        return await self.process.wait()

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


@asynccontextmanager
async def demo(*arguments: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consumer", "demo", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=plain_environment(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def topics_on(kafka: Cluster) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


@pytest.mark.timeout(SECONDS + 30)
async def test_a_service_killed_in_mid_demo_is_started_again_and_the_sums_hold(kafka: Cluster) -> None:
    async with demo("--events", "3000", "--rate", "600", "--bootstrap-servers", kafka.bootstrap_servers) as running:
        topics = (await running.line(r"topics (\S+)\*$"))[1]
        early = await running.line(r"^service at .* process (\d+)")
        os.kill(int(early[1]), signal.SIGKILL)  # it says that it may be killed, so at once
        first = await running.line(r"^service at .* process (\d+)")
        await running.line(r"^published [1-9]")
        os.kill(int(first[1]), signal.SIGKILL)
        second = await running.line(r"^service at .* process (\d+)")
        code = await running.end()
    assert code == 0, running.said
    assert len({early[1], first[1], second[1]}) == 3
    assert "the service was ended by SIGKILL; it is started again" in running.said
    assert "ok    records 3,000 = distinct results 3,000" in running.said
    assert re.search(
        r"^ok    contacts texted [\d,]+ = accepted results [\d,]+ \+ repeats \d+", running.said, re.MULTILINE
    )
    assert "texted twice unmarked: 0" in running.said
    assert not [topic for topic in await topics_on(kafka) if topic.startswith(topics)]


@pytest.mark.timeout(SECONDS + 30)
async def test_with_keep_everything_goes_on_until_ctrl_c_and_our_other_commands_reach_it(kafka: Cluster) -> None:
    async with demo(
        "--events", "200", "--rate", "0", "--keep", "--bootstrap-servers", kafka.bootstrap_servers
    ) as running:
        sandbox = int((await running.line(r"^sandbox .* process (\d+)"))[1])
        service = int((await running.line(r"^service at .* process (\d+)"))[1])
        await running.line("left running until Ctrl-C")
        assert not [line for line in running.lines if line.startswith("published")], (
            "it is told before events go through"
        )
        page = (await running.line(r"campaign-consumer top --url (\S+)"))[1]
        exports = {}
        while "SCHEDULED_AT" not in running.lines[-1]:
            name, value = (await running.line(r"export (\w+)=(\S+)")).groups()
            exports[name] = value.strip("'")
        checked = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "consumer", "check", "--connect",
            env={**plain_environment(), **exports}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await checked.communicate()
        assert checked.returncode == 0, said.decode()
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "consumer", "top", "--once", "--url", page,
            env=plain_environment(), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert b"running" in (await top.communicate())[0]
        await running.line("left running until Ctrl-C")
        running.process.send_signal(signal.SIGINT)
        assert await running.end() == 0, running.said

        async def gone() -> bool:
            return not psutil.pid_exists(sandbox) and not psutil.pid_exists(service)

        await eventually(gone, within_seconds=10, what="sandbox and service ended with the demo")


async def test_a_platform_that_somebody_has_stopped_does_not_end_a_demo() -> None:
    async with SandboxClient("http://127.0.0.1:1") as nobody:
        results = SimpleNamespace(places=frozenset())
        demo = RunningDemo(sandbox=nobody, results=cast(Any, results), **dict.fromkeys(REST, cast(Any, None)))
        demo.published.texted = 7
        assert (await demo.progressed()).texted == 7


async def test_brokers_that_do_not_answer_are_one_line_and_exit_code_1() -> None:
    async with demo("--bootstrap-servers", "127.0.0.1:1") as running:
        assert await running.end() == 1
    assert len(running.lines) == 1
    assert "no Kafka broker answers at 127.0.0.1:1" in running.said


async def test_a_service_that_gives_up_again_and_again_is_not_started_for_ever(tmp_path: Path) -> None:
    restarts: list[int] = []
    ends: list[int] = []
    service = ServiceProcess(
        environment={**plain_environment(), "CAMPAIGN_NONSENSE": "1"},
        log=tmp_path / "service.log",
        on_restarted=restarts.append,
        on_died=ends.append,
    )
    await service.start()
    with pytest.raises(ProcessError, match="exit code 2") as caught:
        await service.supervise()
    assert ends == [2, 2, 2]
    assert len(set(restarts)) == 2
    assert service.starts == 3
    assert "CAMPAIGN_NONSENSE" in caught.value.tail
