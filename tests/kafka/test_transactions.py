"""Transactions stand whole or not at all, once, and whoever takes a name over writes alone from then on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition

from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.reading.topic_reader import Isolation, TopicReader
from consumer.edge.kafka.transactions import FencedError, NotCommittedError, RefusedRecordsError, TransactionalProducer
from consumer.service.ports import PlainMessage
from tests.kafka.support import connection_to, frozen
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.kafka_proxy import Api, KafkaProxy, What
from tests.support.topics import Topics


def some(count: int, *, first: int = 0, size_bytes: int = 100) -> list[PlainMessage]:
    """Records that can be told apart."""
    return [(b"key", (b"%d " % n).ljust(size_bytes, b"x"), [("h", b"v")]) for n in range(first, first + count)]


@asynccontextmanager
async def producer_on(connection: KafkaConnection, name: str) -> AsyncIterator[TransactionalProducer]:
    producer = TransactionalProducer(connection, name=name, on_trouble=lambda _why: None)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def committed(kafka: Cluster, topic: str) -> list[Any]:
    """What a reader sees that does not see what is not committed, once no transaction is open.

    Whoever commits has the answer before the brokers have written the end of the transaction to the partition.
    """
    partition = TopicPartition(topic, 0)
    async with AsyncExitStack() as stack:
        reader, everything = [
            TopicReader(connection_to(kafka), isolation=isolation, on_trouble=lambda _why: None)
            for isolation in (Isolation.COMMITTED, Isolation.UNCOMMITTED)
        ]
        for each in (reader, everything):
            stack.push_async_callback(each.stop)

        async def bounds() -> tuple[int, int] | None:
            seen = await reader.bounds(partition)
            return seen if seen == await everything.bounds(partition) else None

        start, end = await eventually(bounds, within_seconds=30.0, what="the end of all transactions")
        return list(await reader.read(partition, start, end))


def values(records: list[Any]) -> list[bytes]:
    return [record.value for record in records]


async def test_records_are_published_in_order_as_they_are_in_one_batch_or_in_many(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    odd: list[PlainMessage] = [(None, b"value", []), (b"", b"", [("h", None), ("h", b"")]), (b"k", None, [])]  # type: ignore[list-item]
    sent = [*some(5_000, size_bytes=400), *odd]
    async with producer_on(connection_to(kafka), topic) as producer:
        await producer.publish(TopicPartition(topic, 0), sent)
        await producer.publish(TopicPartition(topic, 0), some(3))
    stands = await committed(kafka, topic)
    assert [(record.key, record.value, list(record.headers)) for record in stands] == [
        (key, value, list(headers)) for key, value, headers in [*sent, *some(3)]
    ]


async def test_whoever_takes_the_name_fences_who_had_it(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    async with producer_on(connection_to(kafka), topic) as first:
        await first.publish(TopicPartition(topic, 0), some(10))
        async with producer_on(connection_to(kafka), topic) as second:
            with pytest.raises(FencedError):
                await first.publish(TopicPartition(topic, 0), some(10, first=50))
            await second.publish(TopicPartition(topic, 0), some(10, first=10))
    assert values(await committed(kafka, topic)) == [value for _, value, _ in some(20)]


async def test_a_topic_that_takes_only_small_batches_gets_small_ones(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", settings={"max.message.bytes": "70000", "compression.type": "uncompressed"})
    async with producer_on(connection_to(kafka), topic) as producer:
        tries = await tries_to_publish(producer, topic, some(3_000))
    assert tries == 3
    assert values(await committed(kafka, topic)) == [value for _, value, _ in some(3_000)]


async def tries_to_publish(producer: TransactionalProducer, topic: str, messages: list[PlainMessage]) -> int:
    """Publish as a run does, which starts anew after any doubt; return how often that was tried."""
    for tries in range(1, 10):
        try:
            await producer.publish(TopicPartition(topic, 0), messages)
        except NotCommittedError as error:
            assert str(error) == f"{topic}:0 takes no batch this large: smaller ones from now on"  # noqa: PT017
            await producer.stop()
            await producer.start()
        else:
            return tries
    raise AssertionError("it is tried for ever")


async def test_what_the_topic_does_not_take_takes_nothing_of_its_transaction_with_it(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", settings={"max.message.bytes": "5000", "compression.type": "uncompressed"})
    large: PlainMessage = (b"key", b"".join(b"%d" % (n * n) for n in range(2_000)), [])
    async with producer_on(connection_to(kafka), topic) as producer:
        with pytest.raises(RefusedRecordsError, match=f"{topic}:0 does not take a record this large"):
            await tries_to_publish(producer, topic, [*some(3), large])
    async with producer_on(connection_to(kafka), topic) as producer:
        await producer.publish(TopicPartition(topic, 0), some(3, first=7))
    assert values(await committed(kafka, topic)) == [value for _, value, _ in some(3, first=7)]


@asynccontextmanager
async def half_way(kafka: ApacheKafka, proxy: KafkaProxy) -> AsyncIterator[tuple[TransactionalProducer, str]]:
    """A producer whose transaction is open, and that was told to do nothing more; and the topic's name."""
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("events")
    through = KafkaConnection(bootstrap_servers=(proxy.address,))
    async with producer_on(through, topic) as producer:
        hold = proxy.hold(What.ANSWER, lambda question: question.says(Api.PRODUCE, topic))
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(producer.publish(TopicPartition(topic, 0), some(5)))
            await hold.struck.wait()
            publishing.cancel()
        yield producer, topic


async def test_what_is_left_open_is_aborted_by_the_next_of_its_name_and_holds_nobody_up(
    breakable: ApacheKafka, proxy: KafkaProxy
) -> None:
    async with half_way(breakable, proxy) as (_, topic):
        async with producer_on(connection_to(breakable), topic) as second:
            await second.publish(TopicPartition(topic, 0), some(5, first=5))
            assert values(await committed(breakable, topic)) == [value for _, value, _ in some(5, first=5)]
        proxy.release()


async def test_stopping_ends_what_is_open_so_that_nobody_waits_for_the_brokers_to_do_it(
    breakable: ApacheKafka, proxy: KafkaProxy
) -> None:
    async with half_way(breakable, proxy) as (producer, topic):
        proxy.release()
        await producer.stop()
        async with producer_on(connection_to(breakable), "another name") as other:
            await other.publish(TopicPartition(topic, 0), some(1))
        assert values(await committed(breakable, topic)) == [value for _, value, _ in some(1)]


async def test_a_restarted_broker_leaves_each_transaction_whole_or_not_there(breakable: ApacheKafka) -> None:
    async with Topics(breakable.bootstrap_servers) as topics:
        topic = await topics.create("events")
    connection = connection_to(breakable)
    unsure = 0
    async with asyncio.TaskGroup() as tasks:
        restarting = None
        producer = TransactionalProducer(connection, name=topic, on_trouble=lambda _why: None)
        await producer.start()
        for number in range(30):
            if number == 10:
                restarting = tasks.create_task(_restart(breakable))
            try:
                await producer.publish(TopicPartition(topic, 0), some(100, first=100 * number))
            except NotCommittedError:
                unsure += 1
                await producer.stop()
                await producer.start()
        assert restarting is not None
        await restarting
        await producer.stop()
    stands = values(await committed(breakable, topic))
    by_transaction = [int(value.split()[0]) // 100 for value in stands]
    assert len(set(stands)) == len(stands)
    assert all(by_transaction.count(number) == 100 for number in set(by_transaction))
    assert len(set(by_transaction)) >= 30 - unsure


async def _restart(kafka: ApacheKafka) -> None:
    await kafka.kill_broker(1)
    await kafka.start_broker(1)


async def test_a_frozen_broker_is_given_up_within_a_bounded_time(
    breakable: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Topics(breakable.bootstrap_servers) as topics:
        topic = await topics.create("events")
    async with producer_on(connection_to(breakable), topic) as producer:
        await producer.publish(TopicPartition(topic, 0), some(1))
        monkeypatch.setattr("consumer.edge.kafka.transactions.PUBLISH_SECONDS", 1.0)
        with frozen(breakable), pytest.raises(NotCommittedError, match="no answer in time"):
            await producer.publish(TopicPartition(topic, 0), some(1, first=1))
