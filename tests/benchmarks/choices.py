"""What an operator's choices cost: windows, partitions, single sends, kills, restarts, a full buffer.

`python -m tests.benchmarks.choices [--case NAME]...`: one line for each choice; asserts nothing.
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.sandbox.client import SandboxClient
from consumer.traffic.bulk import generate_bulk
from consumer.traffic.record import GeneratedRecord
from tests.benchmarks import bench
from tests.support.records import read_all

WINDOWS = ("0", "500ms", "2s", "10s")
PARTITIONS = (1, 4, 16)
KILLS = ((32, 500), (8, 500), (32, 50), (32, 1))
"""Requests in flight at most, and contacts in one at most."""
PACE_SECONDS = 0.02
RESTART_SECONDS = 5.0
"""From the start of traffic to the SIGTERM: rebalances are over by then."""
HELD_EVENTS = 130_000
MIB = 1024 * 1024
LATENCY = {"fault": "latency", "seconds": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Events at a steady pace."""

    per_second: int
    seconds: int
    campaigns: int
    urgent: bool = False

    @property
    def count(self) -> int:
        """How many there are."""
        return self.per_second * self.seconds

    def records(self) -> list[GeneratedRecord]:
        """Return them, in order."""
        immediate = frozenset(range(self.count)) if self.urgent else frozenset[int]()
        return list(
            generate_bulk(count=self.count, seed=5, now=time.time(), campaigns=self.campaigns, immediate=immediate)
        )


def reference_of(record: GeneratedRecord) -> str:
    """Return the reference by which the platform knows the event."""
    return str(orjson.loads(record.value or b"{}")["contact"]["externalReference"])


async def at_pace(servers: str, topic: str, traffic: Traffic) -> dict[str, float]:
    """Publish the events, each when it is due; return when each was published, by its reference."""
    published: dict[str, float] = {}
    records = traffic.records()
    async with bench.publisher(servers, topic) as to:
        began_at, sent = time.perf_counter(), 0
        while sent < len(records):
            due = min(len(records), int((time.perf_counter() - began_at) * traffic.per_second) + 1)
            published |= dict.fromkeys(map(reference_of, records[sent:due]), time.time())
            await to.publish(records[sent:due])
            await to.push()
            sent = due
            await asyncio.sleep(PACE_SECONDS)
    return published


async def steady(
    servers: str, traffic: Traffic, *, run: str, partitions: int, settings: Mapping[str, str]
) -> tuple[int, Sequence[float]]:
    """Return how many requests steady traffic took, and the delays from publication to acceptance in order."""
    topic = f"choices-{run}"
    await bench.create_topic(servers, topic, partitions=partitions)
    async with bench.sandbox() as (url, _), SandboxClient(url) as client:
        async with bench.service(servers, url, topic=topic, run=run, port=free_port(), settings=settings):
            published = await at_pace(servers, topic, traffic)
            summary = await client.wait(accepted=traffic.count, timeout_seconds=60)
            await bench.results(servers, f"results-{run}", traffic.count)
        return summary.requests, sorted(
            contact.accepted_at - published[contact.reference or ""] for contact in await client.contacts()
        )


async def windows(servers: str, _folder: Path) -> None:
    """Tell what the length of the window trades: 50 events a second over 20 campaigns."""
    traffic = Traffic(per_second=50, seconds=20, campaigns=20)
    for duration in WINDOWS:
        settings = {"CAMPAIGN_WINDOW__DURATION": duration}
        requests, delays = await steady(servers, traffic, run=f"window-{duration}", partitions=4, settings=settings)
        print(
            f"window {duration:>5}: {requests / traffic.seconds:5.1f} requests/s, {traffic.count / requests:5.1f} contacts each, "
            f"median delay {statistics.median(delays):5.2f} s, worst {delays[-1]:5.2f} s",
            flush=True,
        )


async def partitions(servers: str, folder: Path) -> None:
    """Tell what one campaign across partitions costs: 200 events a second."""
    traffic = Traffic(per_second=200, seconds=10, campaigns=1)
    for count in PARTITIONS:
        run = f"partitions-{count}"
        requests, _ = await steady(servers, traffic, run=run, partitions=count, settings={})
        kinds, size = await journal(servers, run)
        print(
            f"{count:2} partitions: {requests} requests of {traffic.count / requests:.0f} contacts; for each "
            f"{kinds['intent'] / requests:.1f} intents, {kinds['outcome'] / requests:.1f} outcomes; "
            f"journal {size / traffic.count:.0f} bytes an event in entries, {stored(folder, run, traffic.count)}",
            flush=True,
        )


async def singles(servers: str, folder: Path) -> None:
    """Tell how many sends of one contact an instance does, with a backlog behind it."""
    events, run = 10_000, "singles"
    topic = f"choices-{run}"
    await bench.create_topic(servers, topic, partitions=6)
    async with bench.publisher(servers, topic) as to:
        await to.publish(generate_bulk(count=events, seed=6, now=time.time()))
        await to.finish()
    settings = {"CAMPAIGN_WINDOW__MAX_CONTACTS": "1"}
    async with (
        bench.sandbox() as (url, _),
        bench.service(servers, url, topic=topic, run=run, port=free_port(), settings=settings) as running,
    ):
        began_at = time.perf_counter()
        await bench.results(servers, f"results-{run}", events)
        seconds, used = time.perf_counter() - began_at, bench.cost(running)
    print(
        f"singles: {events / seconds:,.0f} sends/s, {used.cpu_seconds / events * 1000:.2f} CPU-s a thousand, "
        f"{used.peak_mib:.0f} MiB; {stored(folder, run, events)}",
        flush=True,
    )


async def kills(servers: str, _folder: Path) -> None:
    """Tell how many texts a `kill -9` repeats, with a platform that takes 200 ms for each request."""
    for concurrency, contacts in KILLS:
        run = f"kill-{concurrency}-{contacts}"
        topic, events = f"choices-{run}", 6 * concurrency * contacts
        settings = {
            "CAMPAIGN_DELIVERY__MAX_CONCURRENCY": str(concurrency),
            "CAMPAIGN_WINDOW__MAX_CONTACTS": str(contacts),
            "CAMPAIGN_KAFKA__GROUP_INSTANCE_ID": "the-one",  # its seat is kept for it: no session has to run out
        }
        await bench.create_topic(servers, topic, partitions=6)
        async with bench.publisher(servers, topic) as to:
            await to.publish(generate_bulk(count=events, seed=7, now=time.time()))
            await to.finish()
        async with bench.sandbox() as (url, _), SandboxClient(url) as client:
            await client.set_faults(LATENCY)
            async with bench.service(servers, url, topic=topic, run=run, port=free_port(), settings=settings) as first:
                await client.wait(accepted=events // 3, timeout_seconds=60)
                first.kill()
                await first.wait()
            port = free_port()
            async with bench.service(servers, url, topic=topic, run=run, port=port, settings=settings):
                await until(port, lambda status: bool(status["lag"] == 0))
            texts, summary = await client.repeats(), await client.summary()
            print(
                f"kill with {concurrency} requests of {contacts} contacts at most: "
                f"{texts.accepted - texts.distinct_references} texts repeated of {events}; "
                f"most in flight {summary.max_in_flight}",
                flush=True,
            )


async def restarts(servers: str, _folder: Path) -> None:
    """Tell how late urgent events are while one of two instances is restarted: 50 a second."""
    traffic = Traffic(per_second=50, seconds=24, campaigns=20, urgent=True)
    for named in (True, False):
        run, names = f"restart-{'named' if named else 'unnamed'}", ("a", "b")
        topic = f"choices-{run}"
        await bench.create_topic(servers, topic, partitions=4)
        stays, goes = ({"CAMPAIGN_KAFKA__GROUP_INSTANCE_ID": name} if named else {} for name in names)
        async with bench.sandbox() as (url, _), SandboxClient(url) as client, asyncio.TaskGroup() as tasks:

            def service(settings: Mapping[str, str]) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
                return bench.service(servers, url, topic=topic, run=run, port=free_port(), settings=settings)  # noqa: B023

            async with service(stays):
                async with service(goes):
                    await asyncio.sleep(RESTART_SECONDS)
                    publishing = tasks.create_task(at_pace(servers, topic, traffic))
                    await asyncio.sleep(RESTART_SECONDS)
                    stopped_at = time.perf_counter()
                async with service(goes):
                    away = time.perf_counter() - stopped_at
                    published = await publishing
                    await client.wait(accepted=traffic.count, timeout_seconds=60)
            delays = [contact.accepted_at - published[contact.reference or ""] for contact in await client.contacts()]
        late = sum(delay > 1 for delay in delays)
        print(
            f"restart of {'a' if named else 'no'} static name, {away:.1f} s from SIGTERM to ready: worst delay {max(delays):.1f} s, "
            f"{late} of {traffic.count} later than 1 s, {len(delays) - traffic.count} repeated",
            flush=True,
        )


async def held(servers: str, _folder: Path) -> None:
    """Tell what a full buffer takes while the platform answers 503."""
    run = "held"
    topic, port = f"choices-{run}", free_port()
    await bench.create_topic(servers, topic, partitions=6)
    async with (
        bench.sandbox() as (url, _),
        SandboxClient(url) as client,
        bench.service(servers, url, topic=topic, run=run, port=port) as running,
        bench.publisher(servers, topic) as to,
    ):
        await client.set_faults({"fault": "status", "status": 503})
        await to.publish(generate_bulk(count=HELD_EVENTS, seed=8, now=time.time()))
        await to.finish()
        status = await until(
            port, lambda status: "buffer_full" in [one["cause"] for one in status["verdict"]["causes"]]
        )
        print(
            f"a full buffer: {status['buffer']['events']} events, charged {status['buffer']['bytes'] / MIB:.0f} MiB, "
            f"process {bench.cost(running).peak_mib:.0f} MiB",
            flush=True,
        )


async def until(port: int, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the status of a service is so; return it."""
    async with httpx.AsyncClient(trust_env=False) as http:
        while not reached(status := (await http.get(f"http://127.0.0.1:{port}/status")).json()):
            await asyncio.sleep(0.2)
        return dict(status)


async def journal(servers: str, run: str) -> tuple[Counter[str], int]:
    """Return the journal's entries by kind, and the bytes of all of them."""
    entries = [entry.value or b"{}" for entry in await read_all(servers, f"choices-{run}-journal-{run}")]
    return Counter(orjson.loads(entry)["kind"] for entry in entries), sum(map(len, entries))


def stored(folder: Path, run: str, events: int) -> str:
    """Return what the broker stores for an event, by topic."""

    def size(topic: str) -> float:
        logs = folder.glob(f"**/{topic}-[0-9]*/*.log")
        return sum(log.stat().st_size for log in logs if log.parent.name.rpartition("-")[0] == topic) / events

    events_topic = f"choices-{run}"
    return (
        f"stored an event: events {size(events_topic):.0f}, journal {size(f'{events_topic}-journal-{run}'):.0f}, "
        f"results {size(f'results-{run}'):.0f} bytes"
    )


CASES = {
    "windows": windows,
    "partitions": partitions,
    "singles": singles,
    "kills": kills,
    "restarts": restarts,
    "held": held,
}


async def run(names: Sequence[str]) -> None:
    """Run the cases, one after the other."""
    async with ApacheKafka() as kafka:
        for name in names:
            await CASES[name](kafka.bootstrap_servers, kafka.folder)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="one of the cases; all by default")
    asyncio.run(run(parser.parse_args().case or list(CASES)))


if __name__ == "__main__":
    main()
