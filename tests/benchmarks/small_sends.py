"""What a send of one event costs: the service beside a plain aiokafka + aiohttp loop that publishes a result per record.

`python -m tests.benchmarks.small_sends [--events N] [--rounds N] [--profile FILE]`: the rounds of the two take turns.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.traffic.bulk import generate_bulk
from tests.benchmarks import bench

PARTITIONS = 6
ONE_EVENT_PER_POST = {"CAMPAIGN_WINDOW__DURATION": "0", "CAMPAIGN_WINDOW__MAX_CONTACTS": "1"}
MICROSECONDS = 1_000_000

TIMES_PLAIN_AT_MOST = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSends:
    """One round of either loop."""

    requests_per_second: float
    cpu_microseconds: float
    """CPU time of the process for each request, from its being ready to its last acknowledged result."""


async def plain_round(servers: str, *, events: int, run: str) -> SmallSends:
    """Let the plain loop send a backlog."""
    topic, results_topic = f"small-{run}", f"small-results-{run}"
    for name in (topic, results_topic):
        await bench.create_topic(servers, name, partitions=PARTITIONS)
    async with bench.sandbox() as (url, _):
        arguments = ("singles", servers, topic, str(events), url, bench.KEY, results_topic)
        async with bench.process("-m", "tests.benchmarks.bare", *arguments) as running:
            assert running.stdout is not None
            await running.stdout.readline()
            return await _measured(running, servers, topic, results_topic, events)


async def service_round(servers: str, *, events: int, run: str, profile: Path | None = None) -> SmallSends:
    """Let the service send a backlog."""
    topic = f"small-{run}"
    await bench.create_topic(servers, topic, partitions=PARTITIONS)
    async with (
        bench.sandbox() as (url, _),
        bench.service(
            servers, url, topic=topic, run=run, port=free_port(), profile=profile, settings=ONE_EVENT_PER_POST
        ) as running,
    ):
        return await _measured(running, servers, topic, f"results-{run}", events)


async def _measured(
    running: asyncio.subprocess.Process, servers: str, topic: str, results_topic: str, events: int
) -> SmallSends:
    """Publish the events, and measure until their results are there."""
    used = bench.cost(running).cpu_seconds
    began_at = time.perf_counter()
    async with bench.publisher(servers, topic) as to:
        await to.publish(generate_bulk(count=events, seed=9, now=time.time(), campaigns=20))
        await to.finish()
    await bench.results(servers, results_topic, events)
    seconds = time.perf_counter() - began_at
    used = bench.cost(running).cpu_seconds - used
    return SmallSends(requests_per_second=events / seconds, cpu_microseconds=used / events * MICROSECONDS)


async def small_sends(servers: str, *, events: int, rounds: int, profile: Path | None = None) -> float:
    """Measure in turns, and print; return how many times the plain loop's CPU the service takes for a request."""
    plain = [await plain_round(servers, events=events, run="plain")]
    service: list[SmallSends] = []
    ratios: list[float] = []
    for number in range(rounds):
        service.append(await service_round(servers, events=events, run=f"small-{number}", profile=profile))
        plain.append(await plain_round(servers, events=events, run=f"plain-{number}"))
        # a machine's speed wanders within a minute: what was measured right before and right after is the measure
        beside = (plain[-2].cpu_microseconds + plain[-1].cpu_microseconds) / 2
        ratios.append(service[-1].cpu_microseconds / beside)
    for name, runs in (("plain aiohttp loop", plain), ("service", service)):
        cpu = statistics.median(one.cpu_microseconds for one in runs)
        rate = statistics.median(one.requests_per_second for one in runs)
        bench.tell(f"one event per POST, {name}", f"{cpu:,.0f} us CPU, {rate:,.0f}/s")
    return statistics.median(ratios)


async def run(arguments: argparse.Namespace) -> None:
    """Run it alone."""
    async with ApacheKafka() as kafka:
        ratio = await small_sends(
            kafka.bootstrap_servers, events=arguments.events, rounds=arguments.rounds, profile=arguments.profile
        )
    bench.tell("times the plain loop's CPU", f"{ratio:.2f}", f"<= {TIMES_PLAIN_AT_MOST}")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", type=Path, help="run the service under cProfile and leave the statistics here")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
