"""What a take-over costs whose journal has a long past: seconds, memory, and the longest spell of the loop.

`python -m tests.benchmarks.takeover [--case NAME]... [--strict]`
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
from aiokafka import AIOKafkaProducer

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.traffic.bulk import generate_bulk
from tests.benchmarks import bench
from tests.benchmarks.histories import RECORDS, History, entries

MIB = 1024 * 1024
SPELL_SECONDS_AT_MOST = 0.1
REBALANCE = "rebalance"
LOAD_PER_SECOND = 3_000
LOAD_SECONDS = 20
BATCH_BYTES = 900_000


class Judge(Protocol):
    """Tells of a figure and whether its target holds."""

    def __call__(self, name: str, value: str, target: str, *, holds: bool) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A past, in so many partitions, and how soon all of them have to be at work."""

    history: History
    partitions: int
    seconds: float
    mib: float = 100.0


CASES = {
    "remembered": Case(history=History(sends=1_000_000, per_second=1_000), partitions=1, seconds=3.0),
    "twelve": Case(history=History(sends=500_000, per_second=500, whole=False), partitions=12, seconds=15.0, mib=200.0),
    "outage": Case(history=History(sends=1_000_000, per_second=278, settled=False), partitions=1, seconds=3.0),
    "without segments": Case(
        history=History(sends=450_000, per_second=125, segments=False), partitions=1, seconds=60.0
    ),
}
"""The last one is a journal of before segments: it is read once, and no faster than it can be."""


async def write(producer: AIOKafkaProducer, topic: str, partition: int, values: Iterable[bytes]) -> None:
    """Append values in large batches."""
    batch, sending = producer.create_batch(), []
    for value in values:
        while batch.append(key=None, value=value, timestamp=None) is None:
            sending.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
    sending.append(await producer.send_batch(batch, topic, partition=partition))
    for sent in sending:
        await sent


async def fabricate(servers: str, case: Case, run: str) -> str:
    """Write the journals and the events that they speak of; return the events topic."""
    topic, group = f"bench-history-{run}", f"group-{run}"
    for name in (topic, f"{topic}-journal-{run}"):
        await bench.create_topic(servers, name, partitions=case.partitions)
    records = [record.value or b"" for record in generate_bulk(count=RECORDS, seed=3, now=time.time())]
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES, linger_ms=0)
    await producer.start()
    try:
        journal = list(entries(case.history, group)) if case.partitions > 1 else entries(case.history, group)
        for number in range(case.partitions):
            await write(producer, topic, number, records)
            await write(producer, f"{topic}-journal-{run}", number, journal)
        fresh = generate_bulk(count=case.partitions, seed=4, now=time.time(), immediate=frozenset(range(12)))
        for number, record in enumerate(fresh):
            await write(producer, topic, number, [record.value or b""])
    finally:
        await producer.stop()
    return topic


async def idle_mib(servers: str, url: str, folder: Path) -> float:
    """Return the memory of the service that has nothing behind it."""
    await bench.create_topic(servers, "bench-idle", partitions=1)
    file = folder / "idle.json"
    async with bench.service(
        servers, url, topic="bench-idle", run="idle", port=free_port(), module="tests.benchmarks.watched", watch=file
    ):
        while (seen := _seen(file)) is None or not seen["owned"]:
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        last = _seen(file)
        assert last is not None
        return float(last["rss"]) / MIB


def _seen(file: Path) -> dict[str, Any] | None:
    return orjson.loads(file.read_bytes()) if file.exists() else None


async def measure(servers: str, url: str, name: str, case: Case, folder: Path) -> tuple[dict[str, Any], float]:
    """Let the service take a fabricated past over; return what was seen, and the seconds until it had sent."""
    run = name.replace(" ", "-")
    topic = await fabricate(servers, case, run)
    file = folder / f"{run}.json"
    async with bench.service(
        servers, url, topic=topic, run=run, port=free_port(), module="tests.benchmarks.watched", watch=file
    ):
        await bench.results(servers, f"results-{run}", case.partitions)
        sent_at = time.time()
        await asyncio.sleep(1)
        seen = _seen(file)
        assert seen is not None
        return seen, sent_at - seen["first_claim_at"]


async def load(servers: str, topic: str, partitions: int) -> int:
    """Publish events at a steady pace; return how many."""
    events = LOAD_PER_SECOND * LOAD_SECONDS
    async with bench.publisher(servers, topic) as to:
        for second in range(LOAD_SECONDS):
            began_at = time.monotonic()
            await to.publish(generate_bulk(count=LOAD_PER_SECOND, seed=100 + second, now=time.time()))
            await asyncio.sleep(max(0.0, 1 - (time.monotonic() - began_at)))
        await to.finish()
    return partitions + events


async def rebalanced(servers: str, url: str, folder: Path) -> tuple[list[dict[str, Any]], float]:
    """Let a second service join beside one that has twelve long pasts in hand and load on them.

    Return what was seen of both, and the seconds from the second one's start until all partitions were at work again.
    """
    case = CASES["twelve"]
    topic = await fabricate(servers, case, REBALANCE)
    files = [folder / "first.json", folder / "second.json"]
    members = [
        bench.service(
            servers, url, topic=topic, run=REBALANCE, port=free_port(), module="tests.benchmarks.watched", watch=file
        )
        for file in files
    ]
    async with members[0], asyncio.TaskGroup() as tasks:
        await bench.results(servers, f"results-{REBALANCE}", case.partitions)
        loading = tasks.create_task(load(servers, topic, case.partitions))
        await asyncio.sleep(2)
        began_at = time.time()
        async with members[1]:
            await bench.results(servers, f"results-{REBALANCE}", await loading)
            await asyncio.sleep(1)
            seen = [one for file in files if (one := _seen(file)) is not None]
    return seen, max(one["last_owned_at"] for one in seen) - began_at


async def judge_rebalance(servers: str, url: str, folder: Path, judge: Judge) -> None:
    """Measure a rebalance under load."""
    seen, seconds = await rebalanced(servers, url, folder)
    first, second = seen
    lost = first["lost"] + second["lost"] + (first["assignments"] - 2) + (second["assignments"] - 1)
    bench.tell(f"{REBALANCE}: second member joined, all at work after", f"{seconds:.2f} s")
    judge(f"{REBALANCE}: memberships and partitions lost", f"{lost}", "<= 0", holds=lost == 0)
    spell = max(one["spell_cpu"] for one in seen)
    judge(
        f"{REBALANCE}: longest spell of a loop, CPU",
        f"{spell * 1000:.0f} ms",
        "<= 100 ms",
        holds=spell <= SPELL_SECONDS_AT_MOST,
    )


async def run(arguments: argparse.Namespace) -> bool:
    """Measure the cases; return whether every target holds."""
    held: list[bool] = []

    def judge(name: str, value: str, target: str, *, holds: bool) -> None:
        held.append(holds)
        bench.tell(name, value, target, holds=holds)

    with tempfile.TemporaryDirectory() as folder:
        async with ApacheKafka() as kafka, bench.sandbox() as (url, _):
            servers = kafka.bootstrap_servers
            idle = await idle_mib(servers, url, Path(folder))
            bench.tell("idle", f"{idle:.0f} MiB")
            names = arguments.case or [*CASES, REBALANCE]
            if REBALANCE in names:
                await judge_rebalance(servers, url, Path(folder), judge)
            for name in [name for name in names if name != REBALANCE]:
                case = CASES[name]
                seen, sent_seconds = await measure(servers, url, name, case, Path(folder))
                above = seen["peak"] / MIB - idle
                bench.tell(f"{name}: CPU of the process", f"{seen['cpu']:.2f} s")
                judge(
                    f"{name}: all owned after the first claim",
                    f"{seen['all_owned']:.2f} s",
                    f"<= {case.seconds:.0f} s",
                    holds=seen["all_owned"] <= case.seconds,
                )
                bench.tell(f"{name}: each has sent", f"{sent_seconds:.2f} s")
                judge(f"{name}: peak above idle", f"{above:.0f} MiB", f"<= {case.mib:.0f} MiB", holds=above <= case.mib)
                judge(
                    f"{name}: longest spell of the loop, CPU",
                    f"{seen['spell_cpu'] * 1000:.0f} ms",
                    "<= 100 ms",
                    holds=seen["spell_cpu"] <= SPELL_SECONDS_AT_MOST,
                )
                bench.tell(f"{name}: loop came back late by, wall", f"{seen['late'] * 1000:.0f} ms")
    return all(held)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=[*CASES, REBALANCE])
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    arguments = parser.parse_args()
    holds = asyncio.run(run(arguments))
    sys.exit(1 if arguments.strict and not holds else 0)


if __name__ == "__main__":
    main()
