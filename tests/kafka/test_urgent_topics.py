"""What other topics bring, and how much of it waits, keeps no record of an urgent topic waiting."""

import asyncio
from typing import Any

from aiokafka import TopicPartition

from consumer.core.terms import Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.group.urgent_fetches import BrokerApart
from tests.kafka.members import DEADLINE_SECONDS, Member, member_of, until_assigned
from tests.support.cluster import Cluster, SomebodyElsesKafka
from tests.support.eventually import eventually
from tests.support.kafka_proxy import Api, KafkaProxy, What
from tests.support.records import Written, write
from tests.support.topics import Topics

BULK = [Written(value=b"%05d" % n + b"x" * 400, partition=n % 4) for n in range(12_000)]
"""More than a MiB in each of four partitions: what one answer of a broker holds of each."""


async def fetched(member: Member, *, max_records: int) -> dict[Partition, list[int]]:
    """Fetch once; return the offsets that came, in the order of their partitions."""
    batches = await member.consumer.fetch(max_records=max_records, timeout_seconds=0.2)
    return {partition: [record.offset for record in batch] for partition, batch in batches.items()}


async def until_held(member: Member, *partitions: Partition) -> None:
    """Wait until the client has records of these that nobody has fetched from it."""

    async def held() -> bool:
        client: Any = member.consumer._consumer  # noqa: SLF001 - only the client knows
        return bool({TopicPartition(*one) for one in partitions} <= client._fetcher._records.keys())  # noqa: SLF001

    await eventually(held, within_seconds=DEADLINE_SECONDS, what="records in the client")


async def test_records_of_an_urgent_topic_come_first_however_much_waits_of_the_others(
    kafka: Cluster, topics: Topics
) -> None:
    events, urgent = await topics.create("events", partitions=4), await topics.create("urgent")
    await write(kafka.bootstrap_servers, events, BULK)
    async with member_of(kafka, events, urgent_topics=[urgent]) as member:
        await until_assigned(member, count=5)
        assert member.consumer.partition_count() == 5, "limits of the group are shared out by all of them"
        for number in range(4):
            member.begin(Partition(events, number))
        member.begin(Partition(urgent, 0))
        await until_held(member, *(Partition(events, number) for number in range(4)))
        await write(kafka.bootstrap_servers, urgent, [Written(value=b"code")] * 25)
        await until_held(member, Partition(urgent, 0))

        came: list[int] = []
        for count in (8, 8, 8, 1):
            batches = await fetched(member, max_records=10)
            assert next(iter(batches)) == Partition(urgent, 0)
            assert len(batches[Partition(urgent, 0)]) == count
            came += batches.pop(Partition(urgent, 0))
            assert sum(map(len, batches.values())) == 10 - count, "some are left to the others"
        assert came == list(range(25))


def test_a_log_line_of_the_client_names_the_broker_as_it_is() -> None:
    assert f"{BrokerApart(2**32 + 3)}" == "3 (urgent topics)"


async def test_an_answer_about_other_topics_that_does_not_come_keeps_no_urgent_topic_waiting(
    breakable: ApacheKafka, proxy: KafkaProxy
) -> None:
    async with Topics(breakable.bootstrap_servers) as topics:
        events, urgent = await topics.create("events"), await topics.create("urgent")
    await write(breakable.bootstrap_servers, events, BULK[::4])
    async with member_of(SomebodyElsesKafka(bootstrap_servers=proxy.address), events, urgent_topics=[urgent]) as member:
        await until_assigned(member, count=2)
        held = proxy.hold(What.ANSWER, lambda question: question.says(Api.FETCH, events))
        member.begin(Partition(events, 0))
        member.begin(Partition(urgent, 0))
        async with asyncio.timeout(20.0):
            while not held.struck.is_set():
                await member.fetch()
            await write(breakable.bootstrap_servers, urgent, [Written(value=b"code")])
            await member.fetch_until(1)

        assert member.values(Partition(urgent, 0)) == [b"code"]
        assert not member.values(Partition(events, 0))
        proxy.release()
