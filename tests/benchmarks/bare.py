"""The bare loops that the service is measured against, each a process of its own. Neither is safe to use for anything.

`python -m tests.benchmarks.bare drain|forward|singles SERVERS TOPIC ...` prints one JSON line.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

IN_FLIGHT = 32
"""As many requests as the service has in flight by default."""


async def drain(servers: str, topic: str, count: int) -> None:
    """Read `count` records and parse them: what the client and a JSON parser can do at all."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    numbers = await _partitions(consumer, topic)
    consumer.assign([TopicPartition(topic, number) for number in numbers])
    await consumer.seek_to_beginning()
    loads, seen = orjson.loads, 0
    began_at = time.perf_counter()
    while seen < count:
        for batch in (await consumer.getmany(timeout_ms=200, max_records=2_000)).values():
            for record in batch:
                loads(record.value)
            seen += len(batch)
    seconds = time.perf_counter() - began_at
    await consumer.stop()
    print(orjson.dumps({"seconds": seconds, "cpu_seconds": time.process_time()}).decode(), flush=True)


async def forward(servers: str, topic: str, count: int, url: str, key: str) -> None:
    """Post each record by itself, as it comes, one after the other: the least that lies between topic and platform."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    numbers = await _partitions(consumer, topic)
    consumer.assign([TopicPartition(topic, number) for number in numbers])
    await consumer.seek_to_end()
    print("ready", flush=True)
    seen = 0
    async with aiohttp.ClientSession(headers={"Authorization": f"ServerKey {key}"}) as session:
        while seen < count:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    event = orjson.loads(record.value)
                    contact = event["contact"]
                    sent = {"phoneE164": contact["phoneE164"], "customData": contact["externalReference"]}
                    body = orjson.dumps({"campaignId": event["campaignId"], "contacts": [sent]})
                    headers = {"Content-Type": "application/json"}
                    async with session.post(url, data=body, headers=headers) as answer:
                        await answer.read()
                    seen += 1
    await consumer.stop()


async def singles(servers: str, topic: str, count: int, url: str, key: str, results_topic: str) -> None:
    """Post each record by itself, many at a time, publish a result for each, and commit after every fetch."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=f"group-{topic}", enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(topic, number) for number in await _partitions(consumer, topic)])
    await consumer.seek_to_beginning()
    print("ready", flush=True)
    headers = {"Authorization": f"ServerKey {key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def post(records: Iterator[Any]) -> None:
            for record in records:
                event = orjson.loads(record.value)
                contact = event["contact"]
                sent = {
                    "phoneE164": contact["phoneE164"],
                    "customFields": contact["customFields"],
                    "customData": contact["externalReference"],
                }
                body = orjson.dumps({"campaignId": event["campaignId"], "contacts": [sent]})
                async with session.post(url, data=body) as answer:
                    said = orjson.loads(await answer.read())
                result = {
                    "eventId": event["eventId"],
                    "status": "accepted" if answer.status < HTTPStatus.BAD_REQUEST else "rejected",
                    "response": said,
                    "completedAt": time.time(),
                }
                await producer.send(results_topic, orjson.dumps(result), key=record.key)

        seen = 0
        while seen < count:
            batches = await consumer.getmany(timeout_ms=200, max_records=2_000)
            records = iter([record for batch in batches.values() for record in batch])
            async with asyncio.TaskGroup() as tasks:
                for _ in range(IN_FLIGHT):
                    tasks.create_task(post(records))
            await producer.flush()
            if batches:
                await consumer.commit()
            seen += sum(map(len, batches.values()))
    await asyncio.Event().wait()  # whoever measures has to look first


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.set_topics([topic])  # noqa: SLF001 - no public way
    while not (numbers := consumer.partitions_for_topic(topic)):
        await asyncio.sleep(0.05)
    return sorted(numbers)


def main() -> None:
    """Run the loop that the command line names."""
    mode, servers, topic, count, *rest = sys.argv[1:]
    loops: dict[str, Callable[..., Coroutine[None, None, None]]]
    loops = {"drain": drain, "forward": forward, "singles": singles}
    uvloop.run(loops[mode](servers, topic, int(count), *rest))


if __name__ == "__main__":
    main()
