"""Drains a topic that is full already, forwards lone urgent events and single sends; the service beside bare loops, in one run.

`python -m tests.benchmarks.drain [--events N] [--rounds N] [--partitions N] [--strict] [--profile FILE]`
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.sandbox.client import SandboxClient
from consumer.traffic.bulk import generate_bulk
from tests.benchmarks import bench
from tests.benchmarks.small_sends import TIMES_PLAIN_AT_MOST, small_sends

TOPIC = "bench-events"
LONE_TOPIC = "bench-lone-events"
LONE_BARE_TOPIC = "bench-lone-events-bare"
LONE_EVENTS = 250
LONE_PER_SECOND = 50.0
SMALL_SENDS_ROUNDS = 3

RATIO_AT_LEAST = 0.25
CONTACTS_A_POST_AT_LEAST = 450.0
PEAK_MIB_AT_MOST = 300.0
LATER_MS_AT_MOST = 5.0
LOOP_MS_AT_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """One round of the service."""

    seconds: float
    contacts_a_post: float
    service: bench.Cost
    sandbox: bench.Cost


async def fill(servers: str, *, events: int, partitions: int) -> None:
    """Publish the backlog."""
    await bench.create_topic(servers, TOPIC, partitions=partitions)
    async with bench.publisher(servers, TOPIC) as to:
        await to.publish(generate_bulk(count=events, seed=1, now=time.time(), campaigns=20))
        await to.finish()


async def drain_bare(servers: str, events: int) -> tuple[float, float]:
    """Return the seconds that the bare loop takes, and its process's CPU seconds."""
    async with bench.process("-m", "tests.benchmarks.bare", "drain", servers, TOPIC, str(events)) as running:
        assert running.stdout is not None
        took = orjson.loads(await running.stdout.readline())
        return took["seconds"], took["cpu_seconds"]


async def drain_service(
    servers: str,
    *,
    events: int,
    run: str,
    profile: Path | None = None,
    module: str = "consumer",
    watch: Path | None = None,
    settings: Mapping[str, str] | None = None,
    fault: Mapping[str, object] | None = None,
) -> Drained:
    """Let the service drain the topic; time runs from its joining the group to the last acknowledged result."""
    async with bench.sandbox() as (url, platform):
        if fault is not None:
            async with SandboxClient(url) as client:
                await client.set_faults(dict(fault))
        port = free_port()
        service = bench.service(
            servers,
            url,
            topic=TOPIC,
            run=run,
            port=port,
            profile=profile,
            module=module,
            watch=watch,
            settings=settings,
        )
        async with service as running:
            began_at = time.perf_counter()
            await bench.results(servers, f"results-{run}", events)
            seconds = time.perf_counter() - began_at
            async with SandboxClient(url) as client:
                summary = await client.summary()
            return Drained(
                seconds=seconds,
                contacts_a_post=summary.accepted / max(summary.requests, 1),
                service=bench.cost(running),
                sandbox=bench.cost(platform),
            )


async def lone_events(servers: str, url: str, topic: str) -> list[float]:
    """Publish urgent events one by one; return milliseconds from each one's publication to its acceptance."""
    records = list(generate_bulk(count=LONE_EVENTS, seed=2, now=time.time(), immediate=frozenset(range(LONE_EVENTS))))
    published: dict[str, float] = {}
    async with bench.publisher(servers, topic) as to, SandboxClient(url) as client:
        await client.forget()
        began_at = time.perf_counter()
        for index, record in enumerate(records):
            await asyncio.sleep(max(0.0, began_at + index / LONE_PER_SECOND - time.perf_counter()))
            reference = orjson.loads(record.value or b"{}")["contact"]["externalReference"]
            published[reference] = time.time()
            await to.publish([record])
            await to.push()
        await client.wait(accepted=LONE_EVENTS, timeout_seconds=30)
        return sorted(
            (contact.accepted_at - published[contact.reference or ""]) * 1000 for contact in await client.contacts()
        )


async def latency(servers: str) -> tuple[list[float], list[float]]:
    """Return the delays of lone events through the bare loop and through the service."""
    for topic in (LONE_BARE_TOPIC, LONE_TOPIC):
        await bench.create_topic(servers, topic, partitions=6)
    async with bench.sandbox() as (url, _):
        arguments = ("forward", servers, LONE_BARE_TOPIC, str(LONE_EVENTS), url, bench.KEY)
        async with bench.process("-m", "tests.benchmarks.bare", *arguments) as running:
            assert running.stdout is not None
            await running.stdout.readline()
            bare = await lone_events(servers, url, LONE_BARE_TOPIC)
    async with bench.sandbox() as (url, _), bench.service(servers, url, topic=LONE_TOPIC, run="lone", port=free_port()):
        await asyncio.sleep(2)  # the take-over of six partitions is not what is measured
        return bare, await lone_events(servers, url, LONE_TOPIC)


class Judge:
    """Tells what was measured, and keeps whether every target holds."""

    def __init__(self) -> None:
        self.all_hold = True

    def judge(self, name: str, value: str, target: str, *, holds: bool) -> None:
        """Tell a figure that has a target."""
        self.all_hold = self.all_hold and holds
        bench.tell(name, value, target, holds=holds)


async def backlog(servers: str, arguments: argparse.Namespace, judge: Judge) -> None:
    """Drain the topic in turns."""
    events = arguments.events
    await fill(servers, events=events, partitions=arguments.partitions)
    rounds: list[Drained] = []
    ratios: list[float] = []
    bare = [await drain_bare(servers, events)]
    for number in range(arguments.rounds):
        rounds.append(await drain_service(servers, events=events, run=str(number), profile=arguments.profile))
        bare.append(await drain_bare(servers, events))
        # a machine's speed wanders within a minute: what was measured right before and right after is the measure
        before, after = bare[-2][0], bare[-1][0]
        ratios.append((before + after) / 2 / rounds[-1].seconds)
        took = f"{before:.1f}, {after:.1f} / {rounds[-1].seconds:.1f} s"
        bench.tell(f"round {number}: bare before, after / service", took, f"{ratios[-1]:.3f}")
    ratio = statistics.median(ratios)
    contacts = statistics.median(one.contacts_a_post for one in rounds)
    peak = max(one.service.peak_mib for one in rounds)
    bench.tell("bare getmany + orjson.loads", f"{events / statistics.median(seconds for seconds, _ in bare):,.0f}/s")
    bench.tell("service, journal and results on", f"{events / statistics.median(one.seconds for one in rounds):,.0f}/s")
    judge.judge("ratio", f"{ratio:.3f}", f">= {RATIO_AT_LEAST}", holds=ratio >= RATIO_AT_LEAST)
    judge.judge("contacts a POST", f"{contacts:.0f}", ">= 450", holds=contacts >= CONTACTS_A_POST_AT_LEAST)
    judge.judge("peak memory of the service", f"{peak:.0f} MiB", "<= 300 MiB", holds=peak <= PEAK_MIB_AT_MOST)
    million = events / 1_000_000
    bench.tell("bare loop, CPU per million", f"{statistics.median(cpu for _, cpu in bare) / million:.1f} s")
    bench.tell(
        "service, CPU per million", f"{statistics.median(r.service.cpu_seconds for r in rounds) / million:.1f} s"
    )
    bench.tell(
        "sandbox, CPU per million", f"{statistics.median(r.sandbox.cpu_seconds for r in rounds) / million:.1f} s"
    )


async def loop_delay(servers: str, arguments: argparse.Namespace, judge: Judge) -> None:
    """Drain the topic while the service's loop is watched: how late it comes back to what waits for it."""
    late: Counter[int] = Counter()
    spells: Counter[int] = Counter()
    with TemporaryDirectory() as folder:
        for number in range(arguments.loop_rounds):
            file = Path(folder) / str(number)
            await drain_service(
                servers,
                events=arguments.events,
                run=f"watched-{number}",
                module="tests.benchmarks.watched",
                watch=file,
            )
            seen = orjson.loads(file.read_bytes())
            late.update(dict(seen["late_counts"]))
            spells.update(dict(seen["spell_counts"]))
    for name, counts in (("loop's delay", late), ("loop's CPU between two turns", spells)):
        figures = " / ".join(f"{share(counts, part)}" for part in (0.5, 0.99, 0.999, 1.0))
        bench.tell(f"{name}: median / p99 / p99.9 / max", f"{figures} ms", f"{counts.total():,} samples")
    worst = share(spells, 0.999)  # what other processes take from ours is no delay of its making
    target = f"<= {LOOP_MS_AT_MOST} ms"
    judge.judge("p99.9 of the loop's CPU between two turns", f"{worst} ms", target, holds=worst <= LOOP_MS_AT_MOST)


def share(counts: Counter[int], part: float) -> int:
    """Return the least number that so many parts of all counted ones do not exceed."""
    wanted = part * counts.total()
    for number in sorted(counts):
        wanted -= counts[number]
        if wanted <= 0:
            return number
    return max(counts, default=0)


async def lone(servers: str, judge: Judge) -> None:
    """Forward lone urgent events."""
    by_bare, by_service = await latency(servers)
    later = statistics.median(by_service) - statistics.median(by_bare)
    for name, delays in (("bare loop", by_bare), ("service", by_service)):
        p99 = delays[int(len(delays) * 0.99)]
        bench.tell(f"lone urgent event, {name}: median / p99", f"{statistics.median(delays):.1f} / {p99:.1f} ms")
    judge.judge("later than the bare loop", f"{later:.1f} ms", "<= 5 ms", holds=later <= LATER_MS_AT_MOST)


async def run(arguments: argparse.Namespace) -> bool:
    """Run everything; return whether every target holds."""
    judge = Judge()
    async with ApacheKafka() as kafka:
        servers = kafka.bootstrap_servers
        if arguments.rounds:
            await backlog(servers, arguments, judge)
        elif arguments.loop_rounds:
            await fill(servers, events=arguments.events, partitions=arguments.partitions)
        if arguments.loop_rounds:
            await loop_delay(servers, arguments, judge)
        if arguments.latency:
            await lone(servers, judge)
        if arguments.small_sends:
            times = await small_sends(servers, events=arguments.small_sends, rounds=SMALL_SENDS_ROUNDS)
            target = f"<= {TIMES_PLAIN_AT_MOST}"
            judge.judge("times the plain loop's CPU", f"{times:.2f}", target, holds=times <= TIMES_PLAIN_AT_MOST)
    return judge.all_hold


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--small-sends", type=int, default=20_000, help="events that are sent one per POST; 0: none")
    parser.add_argument("--loop-rounds", type=int, default=1, help="rounds in which the service's loop is watched")
    parser.add_argument("--no-latency", dest="latency", action="store_false")
    parser.add_argument("--profile", type=Path, help="run the service under cProfile and leave the statistics here")
    arguments = parser.parse_args()
    holds = asyncio.run(run(arguments))
    sys.exit(1 if arguments.strict and not holds else 0)


if __name__ == "__main__":
    main()
