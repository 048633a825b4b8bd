"""What a resend costs: a plan of whatever stands in a topic is run, and followed; seconds, CPU and memory of the process.

`python -m tests.benchmarks.resend [--count N] [--partitions N]`
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from consumer.demo.apache_kafka import ApacheKafka
from consumer.traffic.bulk import generate_bulk
from consumer.traffic.pace import in_batches, publish_all
from tests.benchmarks import bench
from tests.support.plans import plan_of_all, saved, started

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a command took."""

    seconds: float
    cost: bench.Cost
    said: str


async def took(kafka: ApacheKafka, *arguments: str) -> Took:
    """Run a command of `replay` to its end, and look at it while it runs."""
    begun = time.monotonic()
    process = await started(kafka, *arguments)
    cost = bench.Cost(cpu_seconds=0.0, peak_mib=0.0)
    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(process.communicate())
        while not ending.done():
            try:
                cost = bench.cost(process)
            except (psutil.NoSuchProcess, FileNotFoundError, StopIteration):
                break
            await asyncio.wait({ending}, timeout=LOOK_SECONDS)
    said, complained = ending.result()
    assert process.returncode == 0, complained.decode()
    return Took(seconds=time.monotonic() - begun, cost=cost, said=said.decode().strip())


async def main(count: int, partitions: int) -> None:
    """Measure and print."""
    async with ApacheKafka() as kafka:
        for topic in ("events", "results"):
            await bench.create_topic(kafka.bootstrap_servers, topic, partitions=partitions)
        async with bench.publisher(kafka.bootstrap_servers, "events") as publisher:
            await publish_all(publisher, in_batches(generate_bulk(count=count, seed=3, now=time.time())))
        with tempfile.TemporaryDirectory() as folder:
            plan = await plan_of_all(kafka, "events", "results")
            file = saved(plan, Path(folder) / "plan.json")
            print(f"plan of {count:,} records in {partitions} partitions: {file.stat().st_size / 2**20:.1f} MiB")
            for name, arguments in {
                "run, dry": ("run", "--dry-run"),
                "run": ("run", "--yes", "--json"),
                "run again": ("run", "--yes", "--json"),
                "status": ("status", "--json"),
            }.items():
                one = await took(kafka, arguments[0], str(file), *arguments[1:])
                print(
                    f"{name:10} {one.seconds:6.1f} s {count / one.seconds:10,.0f} records/s  CPU "
                    f"{one.cost.cpu_seconds:5.1f} s  peak {one.cost.peak_mib:5.0f} MiB  {one.said}"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=6)
    asked = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # it is a text stream
    asyncio.run(main(asked.count, asked.partitions))
