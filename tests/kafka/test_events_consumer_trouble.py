"""Whatever happens to brokers, topics, logs and names: a member goes on, or says what is wrong, and loses nothing."""

import asyncio
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from consumer.core.terms import Offset, Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.reading import events_topics, log_edges
from consumer.edge.kafka.reading.events_consumer import InstanceIdInUseError
from consumer.service.ports import Committed, TopicGoneError
from tests.kafka.members import DEADLINE_SECONDS, fetch_for_ever, member_of, until_assigned
from tests.kafka.support import frozen
from tests.support.cluster import Cluster, SomebodyElsesKafka
from tests.support.eventually import eventually
from tests.support.kafka_proxy import Api, KafkaProxy, What
from tests.support.records import Written, write
from tests.support.topics import Topics


async def test_what_goes_wrong_in_a_callback_of_the_group_comes_out_of_fetch(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")

    def fail(_: Iterable[Partition]) -> None:
        raise LookupError("a mistake of ours")

    async with member_of(kafka, topic, on_assigned=fail) as member:
        with pytest.raises(LookupError, match="a mistake of ours"):
            await fetch_for_ever(member)


async def test_an_events_topic_that_does_not_exist_is_an_error_at_start(kafka: Cluster) -> None:
    with pytest.raises(TopicGoneError, match="'no-such-events' does not exist"):
        async with member_of(kafka, "no-such-events"):
            pass


async def test_a_static_member_keeps_its_partitions_across_a_restart(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", partitions=4)
    async with member_of(kafka, topic, instance_id="a") as other:
        async with member_of(kafka, topic, instance_id="b") as restarted:
            await until_assigned(other, restarted, count=4)
            before = restarted.consumer.assignment()
            changes = len(other.assignments)
        async with member_of(kafka, topic, instance_id="b") as restarted:
            await until_assigned(other, restarted, count=4)

            assert restarted.consumer.assignment() == before
            assert len(other.assignments) == changes


async def test_two_processes_with_one_static_name_do_not_steal_from_each_other_for_ever(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=2)
    async with member_of(kafka, topic, instance_id="same") as first:
        await until_assigned(first, count=2)
        async with member_of(kafka, topic, instance_id="same") as second:
            with pytest.raises(InstanceIdInUseError, match="CAMPAIGN_KAFKA__GROUP_INSTANCE_ID=same"):
                await fetch_for_ever(first, second)


# ------------------------------------------------------------------------------------------------ broken brokers


async def test_reading_and_committing_go_on_after_the_broker_was_killed(breakable: ApacheKafka) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"before")] * 10)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.begin(partition)
        await member.fetch_until(10)
        await kafka.kill_broker()
        commit = {partition: Committed(offset=Offset(10), metadata="m")}
        assert not await member.consumer.commit(commit, deadline_seconds=1.0)
        async with asyncio.TaskGroup() as tasks:
            answered = tasks.create_task(member.consumer.committed(partition))
            bounds = tasks.create_task(member.consumer.log_bounds(partition))
            await kafka.start_broker()
        assert (answered.result(), bounds.result()) == (None, (0, 10))
        await write(kafka.bootstrap_servers, topic, [Written(value=b"after")] * 10)

        async def committed() -> bool:
            await member.fetch()
            if member.consumer.assignment() and member.count == 10:
                member.begin(partition, 10)
            return await member.consumer.commit(commit, deadline_seconds=5.0)

        await eventually(committed, within_seconds=DEADLINE_SECONDS, what="a commit")
        while b"after" not in member.values(partition):
            await member.fetch()
            if len(member.assignments) > 1 and member.count == 10:
                member.begin(partition, 10)


async def test_what_becomes_of_a_commit_that_was_given_up_is_nobodys_mistake(
    breakable: ApacheKafka, proxy: KafkaProxy
) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    async with Topics(breakable.bootstrap_servers) as topics:
        topic = await topics.create("events")
    async with member_of(SomebodyElsesKafka(bootstrap_servers=proxy.address), topic) as member:
        await until_assigned(member, count=1)
        proxy.hold(What.QUESTION, lambda question: question.api == Api.OFFSET_COMMIT)
        commit = {Partition(topic, 0): Committed(offset=Offset(0), metadata="m")}
        assert not await member.consumer.commit(commit, deadline_seconds=0.2)

        async def over() -> bool:
            return not [task for task in asyncio.all_tasks() if "commit_offsets" in repr(task)]

        assert not await over()
        await proxy.cut()
        await eventually(over, within_seconds=DEADLINE_SECONDS, what="the end of the commit")
    gc.collect()
    assert not complaints


async def test_reading_goes_on_from_another_leader_when_one_is_frozen(three_breakable: ApacheKafka) -> None:
    kafka = three_breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("events", partitions=3)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"before", partition=n % 3) for n in range(30)])
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=3)
        for number in range(3):
            member.begin(Partition(topic, number))
        await member.fetch_until(30)
        coordinator = await coordinator_of(kafka, topic)
        leader = next(number for number in (1, 2, 3) if number != coordinator)
        others = ",".join(kafka.broker(number).place.address for number in (1, 2, 3) if number != leader)
        with frozen(kafka, leader):
            await until_led_by_others(others, topic, leader)
            await write(others, topic, [Written(value=b"after", partition=n % 3) for n in range(30)])
            async with asyncio.timeout(25.0):
                await member.fetch_until(60)

        assert len(member.assignments) == 1


async def until_led_by_others(bootstrap_servers: str, topic: str, frozen_leader: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2_000)
    await admin.start()

    async def led() -> bool:
        try:
            (described,) = await admin.describe_topics([topic])
        except KafkaError:  # it asks any broker it knows of, the frozen one too
            return False
        return all(partition["leader"] not in {frozen_leader, -1} for partition in described["partitions"])

    await eventually(led, within_seconds=DEADLINE_SECONDS, what="other leaders")
    await admin.close()


async def coordinator_of(kafka: ApacheKafka, group: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    number = await admin.find_coordinator(group)
    await admin.close()
    return int(number)


async def test_a_member_of_a_frozen_broker_stops_in_a_bounded_time(breakable: ApacheKafka) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("events")
    loop = asyncio.get_running_loop()
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        kafka.freeze_broker()
        began_at = loop.time()
        await member.consumer.stop()

        assert loop.time() - began_at < 15.0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_damaged_batch_costs_no_other_record(breakable: ApacheKafka) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("events", partitions=2)
    first, second = Partition(topic, 0), Partition(topic, 1)
    for step in range(3):
        for number in range(2):
            values = [Written(value=b"batch %d" % step, partition=number)] * 100
            await write(kafka.bootstrap_servers, topic, values)
    log = next(kafka.folder.rglob(f"{topic}-1/*.log"))
    heard: list[str] = []
    async with member_of(kafka, topic, heard=heard) as member:
        await until_assigned(member, count=2)
        with damaged(log, b"batch 1"):
            member.begin(second)
            member.begin(first)
            while not any("checksum" in why for why in heard):
                await member.fetch()
            while len(member.values(first)) < 300:
                await member.fetch()
        await member.fetch_until(600)

    for partition in (first, second):
        assert [record.offset for record in member.records[partition]] == list(range(300))


@contextmanager
def damaged(log: Path, where: bytes) -> Iterator[None]:
    """A log with one bit of its first `where` turned, for a while."""
    at = log.read_bytes().index(where)
    try:
        turn(log, at)
        yield
    finally:
        turn(log, at)


def turn(log: Path, at: int) -> None:
    with log.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


async def test_a_topic_deleted_under_a_member_is_named_until_it_is_there_again(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_topics, "GONE_SECONDS", 0.0)
    topic = await topics.create("events")
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.begin(Partition(topic, 0))
        await topics.delete(topic)
        while not member.consumer.unreadable():
            await member.fetch()
        assert "create it" in member.consumer.unreadable()[topic]
        await topics.create_named(topic)
        while member.consumer.unreadable():
            await member.fetch()
        await until_assigned(member, count=1)


async def test_a_log_that_became_shorter_than_what_was_read_of_it_is_told_and_holds_up_no_other(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_edges, "TRUNCATED_SECONDS", 1.0)
    topic = await topics.create("events", partitions=2)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v", partition=n % 2) for n in range(6)])
    cut, whole = Partition(topic, 0), Partition(topic, 1)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=2)
        member.begin(cut, 10)
        member.begin(whole)
        truncated: dict[Partition, str] = {}
        while not truncated:
            await member.fetch()
            truncated.update(member.consumer.truncated())
        await member.fetch_until(3)

    assert [record.offset for record in member.records[whole]] == [0, 1, 2]
    assert truncated.keys() == {cut}
    assert "ends at offset 3, below what was read of it (10)" in truncated[cut]
