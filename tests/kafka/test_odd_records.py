"""A real broker takes what producers send it; whatever that is, members and readers come to the end of it."""

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from consumer.core.terms import Partition
from consumer.edge.kafka.reading.topic_reader import Isolation, TopicReader
from tests.kafka.members import member_of, until_assigned
from tests.kafka.support import connection_to, delete_records
from tests.support.batches import CODECS, Raw, publish
from tests.support.batches import batch as batch_of
from tests.support.cluster import Cluster
from tests.support.records import Written, write
from tests.support.topics import Topics

LATIN = "X-Campaña".encode("latin-1")


@pytest.mark.parametrize("codec", range(len(CODECS)))
async def test_headers_whose_names_are_not_utf_8_stop_neither_a_member_nor_a_reader(
    kafka: Cluster, topics: Topics, codec: int
) -> None:
    topic = await topics.create("events")
    await write(kafka.bootstrap_servers, topic, [Written(value=b"before")])
    raw = batch_of([Raw(value=b"a"), Raw(value=b"odd", headers=[(LATIN, b"1"), (b"\xff", None)])], codec=codec)
    assert await publish(kafka.bootstrap_servers, TopicPartition(topic, 0), raw) == 1
    await write(kafka.bootstrap_servers, topic, [Written(value=b"after")])
    reader = TopicReader(connection_to(kafka), isolation=Isolation.COMMITTED, on_trouble=pytest.fail)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.begin(Partition(topic, 0))
        await member.fetch_until(4)
        read = await reader.read(TopicPartition(topic, 0), 0, 4)
        await reader.stop()

    for records in (member.records[Partition(topic, 0)], read):
        assert [(one.offset, one.value) for one in records] == [(0, b"before"), (1, b"a"), (2, b"odd"), (3, b"after")]
        assert list(records[2].headers) == [("X-Campaña", b"1"), ("ÿ", None)]


async def test_retention_passes_a_member_that_stands_behind_the_end_of_a_transaction(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    lost: list[tuple[Partition, int, int]] = []
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic) as producer:
        async with producer.transaction():
            await producer.send(topic, b"first")
            await producer.send(topic, b"second")
        async with member_of(kafka, topic, on_records_lost=lambda *what: lost.append(what)) as member:
            await until_assigned(member, count=1)
            member.begin(partition)
            await member.fetch_until(2)
            while member.consumer.passed() != {partition: 3}:
                await member.fetch()
            member.consumer.pause([partition])
            await write(kafka.bootstrap_servers, topic, [Written(value=b"%d" % n) for n in range(4)])
            await delete_records(kafka, topic, before=5)
            member.consumer.resume([partition])
            await member.fetch_until(4)

    assert [record.offset for record in member.records[partition]] == [0, 1, 5, 6]
    assert lost == [(partition, 3, 5)], "the marker at 2 was no record"


async def test_ends_of_many_logs_are_asked_in_one_question_and_one_without_a_leader_hides_no_other(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=12)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v", partition=n % 12) for n in range(24)])
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=12)
        asked = [Partition(topic, number) for number in range(12)]
        assert await member.consumer.log_ends([*asked, Partition("no-such-topic", 0)]) == dict.fromkeys(asked, 2)
        assert await member.consumer.log_ends([]) == {}
