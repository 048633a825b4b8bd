"""What is published is acknowledged, stands where it belongs, and is not lost whatever happens to the brokers."""

import asyncio
import os
from collections import Counter

import pytest
from aiokafka import AIOKafkaProducer

from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.batch_producer import BatchProducer, Codec
from consumer.edge.kafka.results_producer import KafkaResults
from consumer.service.ports import Message, MessageTooLargeError, NotTakenError, TopicGoneError
from tests.kafka.support import connection_to, frozen, messages, results_on, without_permission
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import read_all
from tests.support.topics import Topics


@pytest.mark.parametrize("compression", [None, "lz4", "zstd", "snappy", "gzip"])
async def test_everything_is_published_in_order_to_the_partition_it_belongs_to(
    kafka: Cluster, topics: Topics, compression: Codec | None
) -> None:
    topic = await topics.create("results", partitions=3)
    sent = [Message(key=message.key, value=message.value, headers=[("h", b"v")]) for message in messages(3_000)]
    results = KafkaResults(connection_to(kafka), on_replaced=lambda _why: None, compression=compression)
    await results.start()
    await results.publish(topic, 7, sent)
    await results.stop()

    stands = await read_all(kafka.bootstrap_servers, topic)

    assert {record.partition for record in stands} == {7 % 3}
    assert [(record.key, record.value) for record in stands] == [(message.key, message.value) for message in sent]
    assert list(stands[0].headers) == [("h", b"v")]


async def test_without_a_partition_messages_are_spread_by_key_and_those_without_one_too(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("results", partitions=3)
    sent = [Message(key=b"%d" % (n % 50), value=b"v") for n in range(200)]
    async with results_on(kafka) as results:
        await results.publish(topic, None, sent + [Message(key=None, value=b"v")] * 30)

    stands = await read_all(kafka.bootstrap_servers, topic)

    places = {(record.key, record.partition) for record in stands if record.key is not None}
    assert len(stands) == 230
    assert len(places) == 50
    assert {record.partition for record in stands if record.key is None} == {0, 1, 2}


async def test_nothing_to_publish_and_tombstones_are_fine(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("results")
    async with results_on(kafka) as results:
        await results.publish(topic, 0, [])
        await results.publish(topic, 0, [Message(key=b"k", value=None), Message(key=None, value=None)])

    assert [record.value for record in await read_all(kafka.bootstrap_servers, topic)] == [None, None]


async def test_a_message_as_large_as_a_broker_takes_is_published_and_a_larger_one_is_an_error(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("dead")
    async with results_on(kafka) as results:
        await results.publish(topic, 0, [*messages(10), *messages(1, size_bytes=1_000_000), *messages(10)])
        with pytest.raises(MessageTooLargeError, match="takes no message of 1100001 bytes"):
            await results.publish(topic, 0, [*messages(10), *messages(1, size_bytes=1_100_000)])
        await results.publish(topic, 0, messages(1))

    assert len(await read_all(kafka.bootstrap_servers, topic)) == 32  # the ten before the large one stand there, too


async def test_a_topic_that_takes_only_small_batches_gets_small_batches(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("results", settings={"max.message.bytes": "5000"})
    results = KafkaResults(connection_to(kafka), on_replaced=lambda _why: None, compression=None)
    await results.start()
    await results.publish(topic, 0, messages(100, size_bytes=400))
    with pytest.raises(MessageTooLargeError, match=r"raise its max\.message\.bytes"):
        await results.publish(topic, 0, messages(1, size_bytes=6_000))
    await results.stop()

    stands = Counter(record.key for record in await read_all(kafka.bootstrap_servers, topic))

    assert set(stands) == {b"%d" % n for n in range(100)}


async def test_what_a_compacted_topic_does_not_take_is_said_by_name_and_number_and_the_rest_goes_on(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("results", settings={"cleanup.policy": "compact"})
    async with results_on(kafka) as results:
        await results.publish(topic, 0, messages(3))
        with pytest.raises(NotTakenError, match=rf"{topic}.*Error 87") as refused:
            await results.publish(topic, 0, [Message(key=None, value=b"{}")])
        assert refused.value.published == 0
        await results.publish(topic, 0, messages(3))


async def test_a_missing_permission_is_said_with_its_cure_and_is_no_end(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("results")
    async with results_on(kafka) as results:
        with (
            without_permission(topic),
            pytest.raises(NotTakenError, match=r"refuse us.*WRITE and DESCRIBE on the others"),
        ):
            await results.publish(topic, 0, messages(3))
        await results.publish(topic, 0, messages(3))


async def test_partitions_that_share_one_of_the_results_topic_share_its_producer_also_while_it_is_sick(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await topics.create("results", settings={"max.message.bytes": "5000"})
    running: set[AIOKafkaProducer] = set()
    start, drop = AIOKafkaProducer.start, BatchProducer._drop  # noqa: SLF001

    async def counted(producer: AIOKafkaProducer) -> None:
        await start(producer)
        running.add(producer)

    def discounted(owner: BatchProducer, producer: AIOKafkaProducer) -> None:
        running.discard(producer)
        drop(owner, producer)

    monkeypatch.setattr(AIOKafkaProducer, "start", counted)
    monkeypatch.setattr(BatchProducer, "_drop", discounted)
    async with results_on(kafka) as results:
        await results.publish(topic, 0, messages(1))
        with pytest.raises(MessageTooLargeError):
            await results.publish(topic, 0, [Message(key=b"k", value=os.urandom(6_000))])
        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(results.publish(topic, number, messages(10)))
        assert len(running) <= 2, "the shared one, and at most one of the partition that was sick"
    assert not running


async def test_a_topic_that_does_not_exist_is_an_error_that_names_it(kafka: Cluster) -> None:
    async with results_on(kafka) as results:
        with pytest.raises(TopicGoneError, match="'no-such-results' does not exist"):
            await results.publish("no-such-results", 0, messages(1))


# ------------------------------------------------------------------------------------------------ broken brokers


async def test_publishing_survives_a_killed_and_a_frozen_broker_without_loss(breakable: ApacheKafka) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("results", partitions=4)
    heard: list[str] = []
    published: set[bytes | None] = set()
    begun, stop = asyncio.Event(), asyncio.Event()

    async def publish_all(results: KafkaResults, number: int) -> None:
        step = 0
        while not stop.is_set():
            batch = [Message(key=b"%d-%d-%d" % (number, step, n), value=b"x" * 200) for n in range(100)]
            await results.publish(topic, number, batch)
            published.update(message.key for message in batch)
            step += 1
            if step > 10:
                begun.set()

    async with results_on(kafka, heard) as results, asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(publish_all(results, number))
        await begun.wait()
        await kafka.kill_broker()
        await kafka.start_broker()
        with frozen(kafka):
            known = len(heard)

            async def noticed() -> bool:
                return len(heard) > known

            await eventually(noticed, within_seconds=60.0, what="a producer given up for its silence")
        stop.set()
    stands = {record.key for record in await read_all(kafka.bootstrap_servers, topic)}

    assert published <= stands
    assert heard


async def test_publishing_goes_on_while_one_of_three_brokers_is_down(three_breakable: ApacheKafka) -> None:
    kafka = three_breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("results", partitions=3)
    async with results_on(kafka) as results:
        for number in range(3):
            await results.publish(topic, number, messages(10))
        await kafka.kill_broker(2)
        async with asyncio.timeout(60):
            for number in range(3):
                await results.publish(topic, number, messages(10))

    stands = Counter(record.partition for record in await read_all(kafka.bootstrap_servers, topic))
    assert all(stands[number] >= 20 for number in range(3))
