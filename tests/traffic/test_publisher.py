"""Publishing on a real Kafka: everything arrives once, in order per key, whatever the compression."""

from collections import defaultdict
from collections.abc import Sequence

import pytest
from aiokafka.partitioner import DefaultPartitioner

from consumer.edge.kafka.connection import KafkaConnection
from consumer.traffic.generator import generate
from consumer.traffic.lines import Line
from consumer.traffic.pace import due_by_now, in_batches, publish_all, wait_seconds
from consumer.traffic.publisher import Compression, Partitioner, Publishable, PublishError, TrafficPublisher
from tests.support.cluster import Cluster
from tests.support.records import read_all
from tests.support.topics import Topics


def reached(kafka: Cluster) -> KafkaConnection:
    return KafkaConnection(bootstrap_servers=tuple(kafka.bootstrap_servers.split(",")))


EVENTS = list(generate(count=3_000, seed=3, now=1_795_000_000.0))


@pytest.mark.parametrize("compression", list(Compression))
async def test_all_of_it_arrives_as_it_was_in_every_compression(
    kafka: Cluster, topics: Topics, compression: Compression
) -> None:
    topic = await topics.create("events", partitions=3)
    publisher = TrafficPublisher(topic=topic, connection=reached(kafka), compression=compression)
    await publisher.start()
    await publish_all(publisher, in_batches(EVENTS))
    await publisher.stop()
    arrived = await read_all(kafka.bootstrap_servers, topic)
    assert publisher.published == len(EVENTS) == len(arrived)
    assert sorted((record.key, record.value or b"", tuple(record.headers)) for record in arrived) == sorted(
        (event.key, event.value or b"", event.headers) for event in EVENTS
    )


async def test_a_keys_events_stay_in_order_in_the_partition_where_kafkas_own_clients_put_them(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=4)
    publisher = TrafficPublisher(topic=topic, connection=reached(kafka))
    await publisher.start()
    await publish_all(publisher, in_batches(EVENTS))
    await publisher.stop()
    published: dict[bytes | None, list[bytes | None]] = defaultdict(list)
    arrived: dict[bytes | None, list[bytes | None]] = defaultdict(list)
    for event in EVENTS:
        published[event.key].append(event.value)
    partition_of = DefaultPartitioner()
    for record in await read_all(kafka.bootstrap_servers, topic):
        arrived[record.key].append(record.value)
        assert record.partition == partition_of(record.key, [0, 1, 2, 3], [0, 1, 2, 3])
    assert arrived == published


async def test_acknowledgements_say_where_each_record_stands(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", partitions=3)
    noted: dict[tuple[int, int], bytes | None] = {}

    def note(partition: int, offset: int, records: Sequence[Publishable]) -> None:
        noted.update({(partition, number): record.value for number, record in enumerate(records, start=offset)})

    publisher = TrafficPublisher(topic=topic, connection=reached(kafka), on_acknowledged=note)
    await publisher.start()
    await publish_all(publisher, in_batches(EVENTS), per_second=5_000.0)
    await publisher.stop()
    arrived = await read_all(kafka.bootstrap_servers, topic)
    assert noted == {(record.partition, record.offset): record.value for record in arrived}


async def test_round_robin_spreads_one_key_evenly(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", partitions=4)
    publisher = TrafficPublisher(
        topic=topic,
        connection=reached(kafka),
        partitioner=Partitioner.ROUND_ROBIN,
    )
    await publisher.start()
    await publish_all(publisher, in_batches(Line(number, b"key", b"{}", ()) for number in range(400)))
    await publisher.stop()
    partitions = [record.partition for record in await read_all(kafka.bootstrap_servers, topic)]
    assert [partitions.count(number) for number in range(4)] == [100] * 4


async def test_a_record_that_is_too_large_for_the_topic_is_said_in_one_line(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", settings={"max.message.bytes": "10000"})
    publisher = TrafficPublisher(topic=topic, connection=reached(kafka))
    await publisher.start()
    await publisher.publish([Line(1, b"key", b"x" * 20_000, ())])
    with pytest.raises(PublishError, match=f"{topic}:0") as caught:
        await publisher.finish()
    await publisher.stop()
    assert "\n" not in str(caught.value)


async def test_a_topic_that_is_missing_is_said_and_not_made(kafka: Cluster, topics: Topics) -> None:
    del topics
    publisher = TrafficPublisher(topic="nobody-made-this", connection=reached(kafka))
    with pytest.raises(PublishError, match="'nobody-made-this' does not exist"):
        await publisher.start()
    with pytest.raises(LookupError):
        await read_all(kafka.bootstrap_servers, "nobody-made-this")


async def test_brokers_that_do_not_answer_are_said_in_one_line() -> None:
    publisher = TrafficPublisher(topic="events", connection=KafkaConnection(bootstrap_servers=("127.0.0.1:1",)))
    with pytest.raises(PublishError, match=r"no Kafka broker answers at 127\.0\.0\.1:1") as caught:
        await publisher.start()
    assert "\n" not in str(caught.value)


def test_with_a_rate_no_record_goes_out_before_its_time() -> None:
    assert [due_by_now(10.0, elapsed) for elapsed in (0.0, 0.05, 0.1, 0.99, 1.0)] == [1, 1, 2, 10, 11]
    assert wait_seconds(1, 10.0, 0.0) == pytest.approx(0.1)
    assert wait_seconds(1, 10.0, 0.3) == 0.0
