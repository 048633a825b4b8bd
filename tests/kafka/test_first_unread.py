"""How old the first unread record is: looked up beside the group's reading, which stays where it was."""

from aiokafka import AIOKafkaProducer

from consumer.core.terms import Offset, Partition
from tests.kafka.members import member_of, until_assigned
from tests.kafka.support import delete_records
from tests.support.cluster import Cluster
from tests.support.records import Written, write
from tests.support.topics import Topics

BEGAN_MS = 1_790_000_000_000


def at(number: int) -> int:
    """The timestamp of the record at an offset."""
    return BEGAN_MS + 1_000 * number


async def test_the_first_record_from_an_offset_on_tells_its_timestamp_and_no_position_moves(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v", timestamp_ms=at(n)) for n in range(10)])
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        ask = member.consumer.first_timestamp_ms
        assert await ask(partition, Offset(4)) == at(4), "also of a partition that is paused"
        member.begin(partition, 7)
        assert await ask(partition, Offset(0)) == at(0)
        await member.fetch_until(3)
        assert [record.offset for record in member.records[partition]] == [7, 8, 9]
        assert await ask(partition, Offset(10)) is None, "there is none yet"


async def test_records_that_are_gone_and_those_that_nobody_may_read_are_passed_over(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v", timestamp_ms=at(n)) for n in range(4)])
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"never", partition=0, timestamp_ms=at(4))
        await producer.abort_transaction()  # its marker stands at offset 5
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v", timestamp_ms=at(6))])
    await delete_records(kafka, topic, before=2)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        assert await member.consumer.first_timestamp_ms(partition, Offset(0)) == at(2)
        assert await member.consumer.first_timestamp_ms(partition, Offset(4)) == at(6)


async def test_a_partition_that_is_not_there_has_no_timestamp_and_holds_nobody_up(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        assert await member.consumer.first_timestamp_ms(Partition(topic, 7), Offset(0)) is None
