"""What was parked is read again beside the group's reading: of logs that shrank from either end, too, at a small price."""

import pytest

from consumer.core.terms import Offset, Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.reading import log_edges
from consumer.service.ports import TopicGoneError
from tests.kafka.members import member_of, until_assigned
from tests.kafka.support import delete_records
from tests.support.cluster import Cluster, SomebodyElsesKafka
from tests.support.kafka_proxy import Api, KafkaProxy, Question, What
from tests.support.records import Written, write
from tests.support.topics import Topics


async def test_a_piece_costs_one_look_at_where_its_log_begins_and_ends(
    breakable: ApacheKafka, proxy: KafkaProxy
) -> None:
    looks: list[Question] = []

    def count(question: Question) -> bool:
        if question.says(Api.LIST_OFFSETS, topic):
            looks.append(question)
        return False  # nothing is held

    async with Topics(breakable.bootstrap_servers) as topics:
        topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(breakable.bootstrap_servers, topic, [Written(value=b"v")] * 10)
    async with member_of(SomebodyElsesKafka(bootstrap_servers=proxy.address), topic) as member:
        await until_assigned(member, count=1)
        proxy.hold(What.QUESTION, count)
        records, reached = await member.consumer.read_again(partition, Offset(2), Offset(9))

    assert [record.offset for record in records] == list(range(2, 9))
    assert reached == 9
    assert len(looks) == 2, "one asks for its beginning, one for its end"


async def test_a_log_that_became_shorter_than_what_is_parked_of_it_is_told_though_nothing_else_is_read_of_it(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is as far ahead as it may be is paused: no broker calls its position outside of the log."""
    monkeypatch.setattr(log_edges, "TRUNCATED_SECONDS", 0.5)
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v")] * 3)
    heard: list[str] = []
    async with member_of(kafka, topic, heard=heard) as member:
        await until_assigned(member, count=1)
        member.consumer.seek(partition, Offset(10))
        truncated: dict[Partition, str] = {}
        while not truncated:
            with pytest.raises(TopicGoneError, match="ends at offset 3, below what was read of it"):
                await member.consumer.read_again(partition, Offset(0), Offset(10))
            truncated.update(member.consumer.truncated())

    assert "ends at offset 3, below what was read of it (10)" in truncated[partition]
    assert "tried again" in heard[0]


async def test_what_retention_has_removed_of_it_is_counted_and_the_rest_is_read(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v")] * 10)
    await delete_records(kafka, topic, before=6)
    lost: list[tuple[Partition, int, int]] = []
    async with member_of(kafka, topic, on_records_lost=lambda *what: lost.append(what)) as member:
        await until_assigned(member, count=1)
        records, reached = await member.consumer.read_again(partition, Offset(2), Offset(9))
        assert ([record.offset for record in records], reached) == ([6, 7, 8], 9)
        assert lost.pop() == (partition, 2, 6)
        assert await member.consumer.read_again(partition, Offset(1), Offset(4)) == ([], 4)
        assert lost == [(partition, 1, 4)]
