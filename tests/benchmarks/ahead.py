"""What reading ahead costs, and what it is for: one-time passwords beside a backlog of 300,000 events.

`python -m tests.benchmarks.ahead [--rounds N] [--events N] [--backlog N] [--case NAME]...`; asserts nothing.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Any

import orjson

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.sandbox.client import SandboxClient
from consumer.traffic.bulk import generate_bulk
from consumer.traffic.generator import rfc3339
from consumer.traffic.record import GeneratedRecord, RecordKind
from tests.benchmarks import bench
from tests.benchmarks.choices import reference_of
from tests.benchmarks.drain import Drained, drain_service, fill

OFF = {"CAMPAIGN_KAFKA__READ_AHEAD": "false"}
ON = {"CAMPAIGN_KAFKA__READ_AHEAD": "true"}
SMALL_BUFFER = {"CAMPAIGN_BUFFER__MAX_EVENTS": "30000"}
SLOW = {"fault": "latency", "seconds": 0.5}
"""Before a platform that answers so late, a drain fills such a buffer: it is read ahead nearly all the time."""

OTP_PER_SECOND = 20
OTP_SECONDS = 20
PLATFORM_PER_SECOND = 20
CAMPAIGNS = 20
OTP_CAMPAIGN = 900
PARTITIONS = 6
LEAD_SECONDS = 6.0
"""From the service's start to the first one-time password: the buffer is full by then, and the platform has let it in."""


async def cost(servers: str, arguments: argparse.Namespace, name: str, **more: Mapping[str, Any]) -> None:
    """Drain the topic with and without reading ahead, in turns."""
    pairs: list[tuple[Drained, Drained]] = []
    for number in range(arguments.rounds):
        on_first = number % 2 == 0
        drained = {}
        for is_on in (on_first, not on_first):
            run = f"{name}-{number}-{is_on}"
            settings = {**(ON if is_on else OFF), **more.get("settings", {})}
            drained[is_on] = await drain_service(
                servers, events=arguments.events, run=run, settings=settings, fault=more.get("fault")
            )
        pairs.append((drained[False], drained[True]))
    speed = statistics.median(off.seconds / on.seconds for off, on in pairs)
    cpu = statistics.median(on.service.cpu_seconds / off.service.cpu_seconds for off, on in pairs)
    bench.tell(f"{name}: speed with / without", f"{speed:.3f}")
    bench.tell(f"{name}: CPU with / without", f"{cpu:.3f}")


def one_time_password(number: int, now: float) -> GeneratedRecord:
    """Return an immediate event of a campaign of its own."""
    event = {
        "eventId": f"otp-{number}",
        "eventType": "otp.requested",
        "occurredAt": rfc3339(now),
        "campaignId": OTP_CAMPAIGN,
        "contact": {"phoneE164": f"+3469{number:07}", "externalReference": f"otp-{number}"},
        "priority": "immediate",
    }
    return GeneratedRecord(b"otp-%d" % number, orjson.dumps(event), (), RecordKind.ONE_TIME_PASSWORD, now)


async def passwords(servers: str, run: str, *, backlog: int, topic: str, settings: Mapping[str, str]) -> None:
    """Tell how long one-time passwords take from publication to acceptance, beside a backlog or alone."""
    bulk, to_topic = f"bulk-{run}", topic.format(run=run)
    for name in {bulk, to_topic}:
        await bench.create_topic(servers, name, partitions=PARTITIONS)
    now = time.time()
    async with bench.publisher(servers, bulk) as to:
        await to.publish(generate_bulk(count=backlog, seed=1, now=now, campaigns=CAMPAIGNS))
        await to.finish()
    count = OTP_PER_SECOND * OTP_SECONDS
    records = [one_time_password(number, now) for number in range(count)]
    limits = {"CAMPAIGN_DELIVERY__RATE_LIMIT__REQUESTS_PER_SECOND": str(PLATFORM_PER_SECOND)}
    async with bench.sandbox() as (url, _), SandboxClient(url) as client:
        await client.set_faults({"fault": "capacity", "perSecond": PLATFORM_PER_SECOND})
        service = bench.service(
            servers, url, topic=bulk, run=run, port=free_port(), settings={**limits, **settings, **ON}
        )
        async with service as running:
            await asyncio.sleep(LEAD_SECONDS)
            published: dict[str, float] = {}
            async with bench.publisher(servers, to_topic) as to:
                began_at = time.perf_counter()
                for index, record in enumerate(records):
                    await asyncio.sleep(max(0.0, began_at + index / OTP_PER_SECOND - time.perf_counter()))
                    published[reference_of(record)] = time.time()
                    await to.publish([record])
                    await to.push()
            await asyncio.sleep(5.0)
            seen = {one.reference: one.accepted_at for one in await client.contacts()}
            delays = sorted(seen[reference] - at for reference, at in published.items() if reference in seen)
            summary = await client.summary()
            cost_now = bench.cost(running)
    p99 = delays[int(len(delays) * 0.99)] if delays else float("nan")
    bench.tell(
        f"{run}: median / p99 / worst of {len(delays)} of {count}",
        f"{statistics.median(delays) if delays else float('nan'):.3f} / {p99:.3f} / {delays[-1] if delays else 0:.3f} s",
        f"{orjson.dumps(summary.by_status).decode()}, {cost_now.peak_mib:.0f} MiB",
    )


async def run(arguments: argparse.Namespace) -> None:
    """Measure what was asked for."""
    async with ApacheKafka() as kafka:
        servers = kafka.bootstrap_servers
        if {"drain", "backlog"} & set(arguments.case):
            await fill(servers, events=arguments.events, partitions=PARTITIONS)
        if "drain" in arguments.case:
            await cost(servers, arguments, "drain")
        if "backlog" in arguments.case:
            await cost(servers, arguments, "backlog", settings=SMALL_BUFFER, fault=SLOW)
        if "passwords" in arguments.case:
            await passwords(servers, "alone", backlog=0, topic="bulk-{run}", settings={})
            await passwords(servers, "same-partitions", backlog=arguments.backlog, topic="bulk-{run}", settings={})
            urgent = {"CAMPAIGN_KAFKA__URGENT_TOPICS": "otp-urgent"}
            await passwords(servers, "urgent", backlog=arguments.backlog, topic="otp-{run}", settings=urgent)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--backlog", type=int, default=300_000)
    parser.add_argument("--case", action="append", choices=("drain", "backlog", "passwords"))
    arguments = parser.parse_args()
    arguments.case = arguments.case or ["drain", "backlog", "passwords"]
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
