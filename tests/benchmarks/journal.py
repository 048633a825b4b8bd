"""What the journal costs: the service beside itself with the append replaced by nothing, in the same run.

`python -m tests.benchmarks.journal [--events N] [--rounds N] [--partitions N] [--strict]`
"""

import argparse
import asyncio
import statistics
import sys

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from tests.benchmarks import bench, drain

WITH, WITHOUT = "consumer", "tests.benchmarks.without_journal"
BUILDS = (WITH, WITHOUT)
NAMES = {WITH: "with the journal", WITHOUT: "append replaced by nothing"}

ADDED_MS_AT_MOST = 2.0
"""To the median of an urgent event that comes alone: two appends lie on its way to its result, one before its request."""
ADDED_CPU_AT_MOST = 0.15
"""To the CPU time of events that share their sends."""


async def lone_events(servers: str, *, module: str, run: str) -> float:
    """Return the median milliseconds of lone urgent events, publication to acceptance, on an idle service."""
    topic = f"{drain.LONE_TOPIC}-{run}"
    await bench.create_topic(servers, topic, partitions=6)
    async with bench.sandbox() as (url, _):
        service = bench.service(servers, url, topic=topic, run=run, port=free_port(), module=module)
        async with service:
            await asyncio.sleep(2)  # the take-over of six partitions is not what is measured
            return statistics.median(await drain.lone_events(servers, url, topic))


async def run(arguments: argparse.Namespace) -> bool:
    """Measure both builds in turn, so that a machine's moods meet both; return whether the targets hold."""
    delays: dict[str, list[float]] = {module: [] for module in BUILDS}
    cpu: dict[str, list[float]] = {module: [] for module in BUILDS}
    million = arguments.events / 1_000_000
    async with ApacheKafka() as kafka:
        servers = kafka.bootstrap_servers
        await drain.fill(servers, events=arguments.events, partitions=arguments.partitions)
        for number in range(arguments.rounds):
            for index, module in enumerate(BUILDS):
                drained = await drain.drain_service(
                    servers, events=arguments.events, run=f"{number}-{index}", module=module
                )
                cpu[module].append(drained.service.cpu_seconds / million)
                delays[module].append(await lone_events(servers, module=module, run=f"{number}-{index}"))
                figures = f"{cpu[module][-1]:.2f} s / {delays[module][-1]:.2f} ms"
                bench.tell(f"round {number}, {NAMES[module]}: CPU / lone", figures)
    added_ms = statistics.median(delays[WITH]) - statistics.median(delays[WITHOUT])
    # what else a machine does only ever adds to CPU time: the smallest of each build is the nearest to its own
    added_cpu = min(cpu[WITH]) / min(cpu[WITHOUT]) - 1.0
    for module in BUILDS:
        bench.tell(f"CPU per million, {NAMES[module]}: least", f"{min(cpu[module]):.2f} s")
        bench.tell(f"lone urgent event, {NAMES[module]}: median", f"{statistics.median(delays[module]):.2f} ms")
    verdicts = added_ms <= ADDED_MS_AT_MOST, added_cpu <= ADDED_CPU_AT_MOST
    bench.tell("the journal adds to a lone urgent event", f"{added_ms:.2f} ms", "<= 2 ms", holds=verdicts[0])
    bench.tell("the journal adds to the CPU time", f"{added_cpu:.1%}", "<= 15 %", holds=verdicts[1])
    return all(verdicts)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    arguments = parser.parse_args()
    holds = asyncio.run(run(arguments))
    sys.exit(1 if arguments.strict and not holds else 0)


if __name__ == "__main__":
    main()
