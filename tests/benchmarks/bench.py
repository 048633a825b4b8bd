"""What the benchmarks share: Kafka, the sandbox and the service as processes, and what those cost. Measures nothing."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from consumer.edge.kafka.connection import KafkaConnection
from consumer.traffic.publisher import TrafficPublisher

KEY = "bench-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process has used so far."""

    cpu_seconds: float
    peak_mib: float


def cost(process: asyncio.subprocess.Process) -> Cost:
    """Read a running process's CPU time and peak memory."""
    times = psutil.Process(process.pid).cpu_times()
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Cost(cpu_seconds=times.user + times.system, peak_mib=int(peak.split()[1]) / 1024)


@asynccontextmanager
async def process(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python process of ours; it is killed at the end."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            try:
                async with asyncio.timeout(30):
                    await running.wait()
            except TimeoutError:
                running.kill()
                await running.wait()


@asynccontextmanager
async def sandbox() -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run the sandbox; yield its endpoint and its process."""
    async with process("-m", "consumer", "sandbox", "--port", "0", "--server-key", KEY) as running:
        assert running.stdout is not None
        line = (await running.stdout.readline()).decode()
        yield line.split()[-1], running


@asynccontextmanager
async def service(
    servers: str,
    url: str,
    *,
    topic: str,
    run: str,
    port: int,
    profile: Path | None = None,
    module: str = "consumer",
    watch: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the service with topics and a group of its own; return once it has joined.

    `module` is what the interpreter runs in the service's place, with the same arguments; `watch` the file that the
    watched service writes to; `settings` are further variables of its environment.
    """
    environment = {
        "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": servers,
        "CAMPAIGN_KAFKA__EVENTS_TOPICS": topic,
        "CAMPAIGN_KAFKA__GROUP_ID": f"group-{run}",
        "CAMPAIGN_KAFKA__JOURNAL_TOPIC": f"{{topic}}-journal-{run}",
        "CAMPAIGN_KAFKA__RESULTS_TOPIC": f"results-{run}",
        "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC": f"dead-letters-{run}",
        "CAMPAIGN_KAFKA__CREATE_TOPICS": "true",
        "CAMPAIGN_API__URL": url,
        "CAMPAIGN_API__SERVER_KEY": KEY,
        "CAMPAIGN_HTTP__PORT": str(port),
        "CAMPAIGN_LOG__LEVEL": "ERROR",
        **(settings or {}),
    }
    if watch is not None:
        environment["BENCH_WATCH"] = str(watch)
    profiled = () if profile is None else ("-m", "cProfile", "-o", str(profile))
    async with process(*profiled, "-m", module, "run", environment=environment) as running:
        async with httpx.AsyncClient() as client:
            while not await _ready(client, f"http://127.0.0.1:{port}/readyz"):
                assert running.returncode is None, "the service did not start"
                await asyncio.sleep(0.02)
        yield running


async def _ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@asynccontextmanager
async def publisher(servers: str, topic: str) -> AsyncIterator[TrafficPublisher]:
    """Yield a publisher to a topic."""
    to = TrafficPublisher(topic=topic, connection=KafkaConnection(bootstrap_servers=tuple(servers.split(","))))
    await to.start()
    try:
        yield to
    finally:
        await to.stop()


async def create_topic(servers: str, topic: str, *, partitions: int) -> None:
    """Create a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def results(servers: str, topic: str, count: int) -> None:
    """Wait until the results topic holds so many records."""
    reader = AIOKafkaConsumer(bootstrap_servers=servers)
    await reader.start()
    try:
        await reader._client.set_topics([topic])  # noqa: SLF001 - no public way
        partitions = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic) or ()]
        while sum((await reader.end_offsets(partitions)).values()) < count:
            await asyncio.sleep(0.05)
    finally:
        await reader.stop()


def tell(name: str, value: str, target: str = "", *, holds: bool | None = None) -> None:
    """Print one figure, and whether its target holds; None: it is not judged."""
    verdict = {True: "ok  ", False: "MISS", None: "    "}[holds]
    print(f"{verdict} {name:<46} {value:>18}   {target}", flush=True)
