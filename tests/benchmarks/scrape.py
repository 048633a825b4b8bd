"""Measures what a scrape costs: milliseconds and bytes, of an idle service and of one in which many events wait.

`python -m tests.benchmarks.scrape [--events N] [--campaigns N] [--partitions N] [--labels N] [--scrapes N]`

The time is that of the whole request on this machine, `/healthz` beside it for what a request costs by itself. A scrape is
encoded on the event loop: nothing else of the service runs meanwhile.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Mapping

import httpx
import orjson

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.traffic.bulk import generate_bulk
from tests.benchmarks import bench

TOPIC, RUN = "scrape-events", "scrape"
FORMATS: Mapping[str, str] = {
    "text": "text/plain;version=0.0.4",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
}


async def publish(servers: str, arguments: argparse.Namespace, *, seed: int) -> None:
    """Publish the events, evenly over campaigns and partitions."""
    async with bench.publisher(servers, TOPIC) as to:
        events = generate_bulk(
            count=arguments.events, seed=seed, now=time.time(), campaigns=arguments.campaigns, immediate=frozenset()
        )
        await to.publish(events)
        await to.finish()


async def hold_everything(servers: str) -> None:
    """Let an operator hold all campaigns, so that events wait."""
    environment = {"CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": servers, "CAMPAIGN_KAFKA__GROUP_ID": f"group-{RUN}"}
    arguments = ("-m", "consumer", "campaigns", "hold", "--all", "--reason", "measuring", "--operator", "bench")
    async with bench.process(*arguments, environment=environment) as running:
        await running.communicate()
        assert running.returncode == os.EX_OK


async def until(client: httpx.AsyncClient, status: str, *, read: int, in_hand: int) -> None:
    """Wait until so many events were read, and so many are in hand."""
    while True:
        now = orjson.loads((await client.get(status)).content)
        if now["totals"]["records_read"] >= read and now["buffer"]["events"] <= in_hand:
            return
        await asyncio.sleep(0.5)


async def timed(client: httpx.AsyncClient, url: str, accept: str, *, times: int) -> tuple[list[float], bytes]:
    """Return the milliseconds of each request, and the last body."""
    took: list[float] = []
    body = b""
    for _ in range(times):
        began_at = time.perf_counter()
        answer = await client.get(url, headers={"Accept": accept})
        took.append((time.perf_counter() - began_at) * 1000)
        body = answer.raise_for_status().content
    return sorted(took), body


async def tell(client: httpx.AsyncClient, base: str, what: str, *, times: int) -> None:
    """Print what requests cost in the service's present state."""
    healthz, _ = await timed(client, f"{base}/healthz", "*/*", times=times)
    print(f"{what}: /healthz {statistics.median(healthz):.1f} ms", flush=True)
    for name, accept in FORMATS.items():
        took, body = await timed(client, f"{base}/metrics", accept, times=times)
        series = sum(not line.startswith(b"#") for line in body.splitlines())
        middle, worst = statistics.median(took), took[-1]
        print(f"  {name:<12} median {middle:5.1f} ms, worst {worst:5.1f} ms, {len(body):,} bytes, {series:,} series")


async def run(arguments: argparse.Namespace) -> None:
    """Scrape an idle service, then one in which everything waits."""
    async with ApacheKafka() as kafka, bench.sandbox() as (url, _), httpx.AsyncClient(timeout=30) as client:
        servers, port = kafka.bootstrap_servers, free_port()
        base = f"http://127.0.0.1:{port}"
        await bench.create_topic(servers, TOPIC, partitions=arguments.partitions)
        await publish(servers, arguments, seed=1)
        settings = {"CAMPAIGN_METRICS__CAMPAIGN_LABELS": str(arguments.labels)}
        async with bench.service(servers, url, topic=TOPIC, run=RUN, port=port, settings=settings):
            await until(client, f"{base}/status", read=arguments.events, in_hand=0)
            await asyncio.sleep(arguments.settle_seconds)
            about = f"{arguments.campaigns} campaigns, {arguments.labels} labels, {arguments.partitions} partitions"
            await tell(client, base, f"idle, {about}", times=arguments.scrapes)
            await hold_everything(servers)
            await publish(servers, arguments, seed=2)
            await until(client, f"{base}/status", read=2 * arguments.events, in_hand=arguments.events)
            await asyncio.sleep(arguments.settle_seconds)
            await tell(client, base, f"{arguments.events:,} events wait, {about}", times=arguments.scrapes)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000, help="half of the buffer may be held: 50,000 at most")
    parser.add_argument("--campaigns", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=32)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--scrapes", type=int, default=50)
    parser.add_argument("--settle-seconds", type=float, default=10.0, help="wait so long before measuring")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
