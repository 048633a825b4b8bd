"""A member of the group reads what it was given and told to, from where it was told to, and commits what it may."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from consumer.core.terms import Offset, Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge import events_consumer
from consumer.edge.events_consumer import GroupConsumer, InstanceIdInUseError, LogTruncatedError
from consumer.service.ports import Committed, TopicGoneError
from tests.kafka.support import Member, connection_to
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Codec, Written, write
from tests.support.topics import Topics

DEADLINE_SECONDS = 60.0


@asynccontextmanager
async def member_of(
    kafka: Cluster,
    topic: str,
    *,
    group: str | None = None,
    instance_id: str | None = None,
    on_assigned: Callable[[Iterable[Partition]], None] = lambda _: None,
    heard: list[str] | None = None,
    on_records_lost: Callable[[Partition, Offset, Offset], None] = lambda *_: None,
) -> AsyncIterator[Member]:
    """A member of a group, the topic's name by default, that fetches only when told to."""
    consumer = GroupConsumer(
        connection_to(kafka),
        group=group or topic,
        topics=[topic],
        instance_id=instance_id,
        on_trouble=([] if heard is None else heard).append,
        on_records_lost=on_records_lost,
    )
    member = Member(consumer=consumer)

    def assigned(partitions: Iterable[Partition]) -> None:
        member.assignments.append(frozenset(partitions))
        on_assigned(partitions)

    async def revoked(partitions: Iterable[Partition]) -> None:
        member.revocations.append(frozenset(partitions))

    try:
        await consumer.start(on_assigned=assigned, on_revoked=revoked)
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield member
    finally:
        await consumer.stop()


async def until_assigned(*members: Member, count: int) -> None:
    """Fetch with all members until they have so many partitions between them, and each has some."""

    async def shared() -> bool:
        for member in members:
            await member.fetch()
        sizes = [len(member.consumer.assignment()) for member in members]
        return sum(sizes) == count and min(sizes) > 0

    await eventually(shared, within_seconds=DEADLINE_SECONDS, what=f"{count} partitions assigned")


async def fetch_for_ever(*members: Member) -> None:
    while True:
        for member in members:
            await member.fetch()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_topics_are_readable_however_they_are_compressed(
    kafka: Cluster, topics: Topics, codec: Codec | None
) -> None:
    topic = await topics.create("events")
    written = [Written(value=b"%d " % n * 50, key=b"k", headers=[("h", b"v")]) for n in range(500)]
    await write(kafka.bootstrap_servers, topic, written, codec=codec)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.begin(Partition(topic, 0))
        await member.fetch_until(500)

        assert member.values(Partition(topic, 0)) == [record.value for record in written]
        assert list(member.records[Partition(topic, 0)][0].headers) == [("h", b"v")]


async def test_nothing_comes_out_of_a_partition_before_it_was_sought_and_resumed(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=2)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v", partition=n % 2) for n in range(20)])
    first, second = Partition(topic, 0), Partition(topic, 1)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=2)
        member.consumer.resume([second])
        member.consumer.seek(second, Offset(3))
        await member.fetch_until(7)
        for _ in range(5):
            await member.fetch()

        assert [record.offset for record in member.records.pop(second)] == list(range(3, 10))
        assert member.records == {}
        member.begin(first, 9)
        await member.fetch_until(1)
        assert [record.offset for record in member.records[first]] == [9]


async def test_resuming_before_seeking_has_its_effect_once_the_position_is_known(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v")] * 3)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.consumer.resume([Partition(topic, 0)])
        assert [await member.fetch() for _ in range(5)] == [0] * 5

        member.consumer.seek(Partition(topic, 0), Offset(1))
        await member.fetch_until(2)

        assert [record.offset for record in member.records[Partition(topic, 0)]] == [1, 2]


async def test_a_paused_partition_goes_on_where_it_was_and_the_member_stays_in_the_group(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=2)
    first, second = Partition(topic, 0), Partition(topic, 1)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"%d" % n, partition=n % 2) for n in range(4_000)])
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=2)
        member.begin(first)
        member.begin(second)
        while not member.values(first):
            fetched = await member.consumer.fetch(max_records=10, timeout_seconds=0.2)
            for partition, batch in fetched.items():
                member.records.setdefault(partition, []).extend(batch)
        member.consumer.pause([first])
        read = len(member.values(first))
        while len(member.values(second)) < 2_000:
            await member.fetch()
        for _ in range(60):  # 12 s: past the session, which only heartbeats keep
            await member.fetch()

        assert len(member.values(first)) == read
        member.consumer.resume([first])
        await member.fetch_until(4_000)
        assert [record.offset for record in member.records[first]] == list(range(2_000))
        assert len(member.assignments) == 1


async def test_gaps_that_transactions_leave_are_passed_and_what_was_aborted_is_not_seen(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic) as producer:
        for value in (b"kept", b"aborted", b"kept too", b"open"):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, value)
            if value == b"aborted":
                await producer.abort_transaction()
            elif value != b"open":
                await producer.commit_transaction()
        async with member_of(kafka, topic) as member:
            await until_assigned(member, count=1)
            member.begin(Partition(topic, 0))
            await member.fetch_until(2)
            for _ in range(3):
                await member.fetch()

            assert [(record.offset, record.value) for record in member.records[Partition(topic, 0)]] == [
                (0, b"kept"),
                (4, b"kept too"),
            ]
            assert await member.consumer.log_bounds(Partition(topic, 0)) == (0, 6)  # the open one stands at 6
            kept = await member.consumer.read_one(Partition(topic, 0), Offset(4))
            assert kept is not None
            assert kept.value == b"kept too"
            assert await member.consumer.read_one(Partition(topic, 0), Offset(1)) is None  # a marker
            assert await member.consumer.read_one(Partition(topic, 0), Offset(2)) is None  # aborted
            assert await member.consumer.read_one(Partition(topic, 0), Offset(99)) is None
        await producer.abort_transaction()


async def test_a_commit_comes_back_with_its_metadata_and_none_is_surely_none(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", partitions=2)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=2)
        commit = Committed(offset=Offset(7), metadata="campaign-consumer/1")

        assert await member.consumer.committed(Partition(topic, 0)) is None
        assert await member.consumer.commit({Partition(topic, 0): commit}, deadline_seconds=10.0)
        assert await member.consumer.committed(Partition(topic, 0)) == commit
        assert await member.consumer.committed(Partition(topic, 1)) is None
        assert await member.consumer.commit({}, deadline_seconds=1.0)


async def test_partitions_move_to_a_second_member_and_back_each_read_from_where_it_is_told(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=4)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"%d" % n, partition=n % 4) for n in range(400)])
    everything = frozenset(Partition(topic, number) for number in range(4))
    async with member_of(kafka, topic) as first:
        await until_assigned(first, count=4)
        for partition in everything:
            first.begin(partition)
        await first.fetch_until(400)
        async with member_of(kafka, topic) as second:
            await until_assigned(first, second, count=4)
            theirs = second.consumer.assignment()

            assert first.revocations == [everything]
            assert first.consumer.assignment() == everything - theirs
            assert first.consumer.member != second.consumer.member
            for partition in theirs:
                second.begin(partition, 50)
                first.consumer.pause([partition])
                first.consumer.seek(partition, Offset(0))
                first.consumer.resume([partition])
            await second.fetch_until(50 * len(theirs))
            assert await first.fetch() == 0  # what it has now is paused again, what it had is not its own
            commit = Committed(offset=Offset(1), metadata="")
            assert not await first.consumer.commit(dict.fromkeys(theirs, commit), deadline_seconds=5.0)
        await until_assigned(first, count=4)

        assert first.count == 400


async def test_records_that_retention_removed_are_reported_and_reading_goes_on_behind_them(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"%d" % n) for n in range(10)])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(6)})
    await admin.close()
    lost: list[tuple[Partition, int, int]] = []
    async with member_of(kafka, topic, on_records_lost=lambda *what: lost.append(what)) as member:
        await until_assigned(member, count=1)
        member.begin(partition, 2)
        await member.fetch_until(4)

        assert lost == [(partition, 2, 6)]
        assert [record.offset for record in member.records[partition]] == [6, 7, 8, 9]
        assert await member.consumer.log_bounds(partition) == (6, 10)


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


async def test_reading_and_committing_go_on_after_the_broker_was_killed() -> None:
    async with ApacheKafka() as kafka:
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


async def test_a_member_of_a_frozen_broker_stops_in_a_bounded_time() -> None:
    async with ApacheKafka() as kafka:
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


async def test_a_damaged_batch_costs_no_other_record() -> None:
    async with ApacheKafka() as kafka:
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
                while not any("CRC" in why for why in heard):
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


async def test_a_topic_deleted_under_a_member_is_an_error_that_names_it(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_consumer, "GONE_SECONDS", 1.0)
    topic = await topics.create("events")
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.begin(Partition(topic, 0))
        await topics.delete(topic)
        with pytest.raises(TopicGoneError, match=f"'{topic}' does not exist"):
            await fetch_for_ever(member)


async def test_a_log_that_became_shorter_than_what_was_read_of_it_is_an_error(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_consumer, "TRUNCATED_SECONDS", 1.0)
    topic = await topics.create("events")
    await write(kafka.bootstrap_servers, topic, [Written(value=b"v")] * 3)
    async with member_of(kafka, topic) as member:
        await until_assigned(member, count=1)
        member.begin(Partition(topic, 0), 10)
        with pytest.raises(LogTruncatedError, match="ends at offset 3, below what was read of it"):
            await fetch_for_ever(member)
