"""What tests of `replay run` share: originals in a topic, what readers see of it, a run in this process. Judges nothing."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.edge.clock import SystemClock
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.reading.whole_logs import WholeLogs
from consumer.edge.kafka.transactions import TransactionalProducer
from consumer.replay.document import Plan
from consumer.replay.publishing import Publishing, ResendMarks
from consumer.replay.rows import RowState
from consumer.replay.run import prepare
from tests.kafka.support import connection_to
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Written, write
from tests.support.topics import Topics

COUNT = 1_000
RUN = ("--operator", "ana", "--reason", "outage")


def event(number: int, **changes: Any) -> bytes:
    return orjson.dumps({"eventId": f"e-{number}", "campaignId": 421, "contact": {"externalCode": "c"}, **changes})


async def originals(kafka: Cluster, topics: Topics, *, partitions: int = 2, count: int = COUNT) -> tuple[str, str]:
    """An events topic with records of all kinds of keys and headers, and a results topic."""
    topic = await topics.create("events", partitions=partitions)
    results = await topics.create("results", partitions=partitions)
    await write(
        kafka.bootstrap_servers,
        topic,
        [
            Written(
                value=event(number),
                key=(None, b"", b"key")[number % 3],
                headers=[("h", b"%d" % number)] * (number % 3),
                partition=number % partitions,
            )
            for number in range(count)
        ],
    )
    return topic, results


async def committed(kafka: Cluster, topic: str) -> list[Any]:
    """What readers of committed records see, partition by partition."""
    read: list[Any] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    async with consumer:
        for number in sorted(await _partitions(consumer, topic)):
            partition = TopicPartition(topic, number)
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            while await consumer.position(partition) < end:
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    read += batch
    return read


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client._wait_on_metadata(topic)  # noqa: SLF001 - or it has not heard of it yet
    numbers: set[int] = consumer.partitions_for_topic(topic) or set()
    return numbers


async def until_published(kafka: Cluster, plan: Plan, count: int) -> None:
    """Return as soon as so many records of a resend can be read."""
    [ends] = plan.events
    logs = WholeLogs(connection_to(kafka), group=plan.group, on_trouble=lambda _why: None)

    async def enough() -> bool:
        come = [(await logs.bounds(ends.topic, number))[1] - end for number, end in enumerate(ends.ends)]
        return sum(come) >= count  # the ends of transactions count a little, too

    try:
        await eventually(enough, within_seconds=60, what=f"{count} records are published")
    finally:
        await logs.stop()


def resends(records: Sequence[Any], plan: Plan) -> list[Any]:
    mark = ("resend-id", plan.resend_id.encode())
    return [record for record in records if mark in record.headers]


async def run_here(
    kafka: Cluster,
    plan: Plan,
    *,
    per_second: float | None = None,
    heard: list[str] | None = None,
    is_forced: bool = False,
    through: str | None = None,
    meanwhile: Callable[[], Awaitable[object]] | None = None,
) -> tuple[int, int, int]:
    """Run a plan in this process; return how many were published, stood there before, and were left out.

    `through` is another way to the brokers for what is published, `meanwhile` is done while the number is typed.
    """
    told = [] if heard is None else heard
    logs = WholeLogs(connection_to(kafka), group=plan.group, on_trouble=told.append)
    way = connection_to(kafka) if through is None else KafkaConnection(bootstrap_servers=(through,))
    producer = TransactionalProducer(way, name=plan.resend_id, on_trouble=told.append)
    try:
        prepared = await prepare(plan, logs, progress=Silent(), on_trouble=told.append)
        if not is_forced and not prepared.count(RowState.TO_PUBLISH):
            return 0, prepared.published, prepared.count(RowState.LEFT_OUT)
        if meanwhile is not None:
            await meanwhile()
        marks = ResendMarks(resend_id=plan.resend_id, reason="r", operator="o", extend_expiry_seconds=None)
        publishing = Publishing(
            prepared, logs, producer, marks, per_second=per_second, wall=lambda: SystemClock().now().wall,
            on_published=lambda _count: None, on_trouble=told.append,
        )  # fmt: skip
        return await publishing.run(), publishing.before, prepared.count(RowState.LEFT_OUT)
    finally:
        await producer.stop()
        await logs.stop()


class Silent:
    """Hears of progress and says nothing."""

    def stage(self, what: str, total: int) -> None:
        """Reading begins."""

    def advance(self, offsets: int) -> None:
        """Reading goes on."""
