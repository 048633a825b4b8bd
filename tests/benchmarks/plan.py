"""What a plan costs over many records: seconds, records a second a core, memory.

`python -m tests.benchmarks.plan [--records N] [--failed SHARE] [--strict]`
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import orjson
import psutil
from aiokafka import AIOKafkaProducer

from consumer.demo.apache_kafka import ApacheKafka
from consumer.traffic.bulk import generate_bulk
from tests.benchmarks import bench
from tests.benchmarks.takeover import BATCH_BYTES, MIB, Judge

PARTITIONS = 4
TOPIC = "bench-plan"
SLICE = 50_000
MIB_AT_MOST = 512.0
PER_CORE_AT_LEAST = 50_000
POLL_SECONDS = 0.05

_RESULT = (
    b'{"resultId":"%032x","eventId":"%b","eventType":"promotion.voucher","campaignId":%d,"status":"%b","reason":null,'
    b'"sendId":"0198f7c06b7e7cc29d3d2f2f9a7c1234","attempts":1,"externalReference":"promotion-%08x","resendId":null,'
    b'"resendReason":null,"possibleDuplicate":false,"related":null,"detail":null,"occurredAt":"2026-11-24T15:40:19Z",'
    b'"receivedAt":"2026-11-24T15:40:19.412Z","dispatchedAt":"2026-11-24T15:40:21.417Z",'
    b'"completedAt":"2026-11-24T15:40:21.432Z","source":{"topic":"' + TOPIC.encode() + b'","partition":%d,"offset":%d},'
    b'"response":{"status":200,"id":1,"message":"OK","item":null}}'
)


def results_of(values: list[bytes], partition: int, offset: int, failed: float) -> Iterator[bytes]:
    """Yield what became of some events of one partition; every so many-th has failed."""
    for index, value in enumerate(values, start=offset):
        status = b"failed" if int((index + 1) * failed) > int(index * failed) else b"accepted"
        event_id = value[12 : value.index(b'"', 12)]
        yield _RESULT % (index, event_id, 1_000 + index % 20, status, index, partition, index)


async def write(producer: AIOKafkaProducer, topic: str, partition: int, records: list[tuple[bytes, bytes]]) -> None:
    """Append records in large batches."""
    batch, sending = producer.create_batch(), []
    for key, value in records:
        while batch.append(key=key, value=value, timestamp=None) is None:
            sending.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
    sending.append(await producer.send_batch(batch, topic, partition=partition))
    for sent in sending:
        await sent


async def fabricate(servers: str, records: int, failed: float) -> None:
    """Write the events, and a result for each of them."""
    for name, partitions in ((TOPIC, PARTITIONS), (f"{TOPIC}-journal", PARTITIONS), ("bench-results", PARTITIONS)):
        await bench.create_topic(servers, name, partitions=partitions)
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, max_batch_size=BATCH_BYTES, linger_ms=0, compression_type="lz4"
    )
    await producer.start()
    try:
        made = generate_bulk(count=records, seed=3, now=time.time())
        offsets = [0] * PARTITIONS
        for number in range(0, records, SLICE):
            partition = number // SLICE % PARTITIONS
            some = [(one.key or b"", one.value or b"") for one in islice(made, SLICE)]
            values = [value for _, value in some]
            await write(producer, TOPIC, partition, some)
            told = zip(some, results_of(values, partition, offsets[partition], failed), strict=True)
            await write(producer, "bench-results", partition, [(key, result) for (key, _), result in told])
            offsets[partition] += len(some)
    finally:
        await producer.stop()


async def measure(servers: str, file: Path) -> tuple[float, bench.Cost]:
    """Plan over everything; return the seconds, and what the process has used."""
    environment = {
        "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": servers,
        "CAMPAIGN_KAFKA__EVENTS_TOPICS": TOPIC,
        "CAMPAIGN_KAFKA__RESULTS_TOPIC": "bench-results",
    }
    began_at = time.monotonic()
    arguments = ("-m", "consumer", "replay", "plan", "--output", str(file), "--rate", "1000")
    async with bench.process(*arguments, environment=environment) as running:
        used = bench.cost(running)
        while running.returncode is None:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await running.wait()
            except TimeoutError:
                with suppress(StopIteration, psutil.Error):  # it has just ended
                    used = bench.cost(running)
        assert running.stdout is not None
        sys.stdout.write((await running.stdout.read()).decode())
        assert running.returncode == 0
    return time.monotonic() - began_at, used


async def run(arguments: argparse.Namespace, judge: Judge) -> None:
    """Fabricate and measure."""
    with tempfile.TemporaryDirectory() as folder:
        async with ApacheKafka() as kafka:
            servers = kafka.bootstrap_servers
            await fabricate(servers, arguments.records, arguments.failed)
            file = Path(folder) / "plan.json"
            seconds, used = await measure(servers, file)
            size = file.stat().st_size
            sent = orjson.loads(file.read_bytes())["counts"]["wouldSend"]
    bench.tell("records, and those that would be sent", f"{arguments.records:,}, {sent:,}")
    bench.tell("plan", f"{seconds:.1f} s, {used.cpu_seconds:.1f} s of CPU")
    per_core = arguments.records / used.cpu_seconds
    judge(
        "records a second of CPU",
        f"{per_core:,.0f}",
        f">= {PER_CORE_AT_LEAST:,}",
        holds=per_core >= PER_CORE_AT_LEAST,
    )
    judge("peak memory", f"{used.peak_mib:.0f} MiB", f"<= {MIB_AT_MOST:.0f} MiB", holds=used.peak_mib <= MIB_AT_MOST)
    bench.tell("the plan's file", f"{size / MIB:.1f} MiB")


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--failed", type=float, default=0.3, help="share of the events that failed")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    arguments = parser.parse_args()
    held: list[bool] = []

    def judge(name: str, value: str, target: str, *, holds: bool) -> None:
        held.append(holds)
        bench.tell(name, value, target, holds=holds)

    asyncio.run(run(arguments, judge))
    sys.exit(int(arguments.strict and not all(held)))


if __name__ == "__main__":
    main()
