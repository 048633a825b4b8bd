"""A member of the group reads what it was given and told to, from where it was told to, and commits what it may."""

import pytest
from aiokafka import AIOKafkaProducer

from consumer.core.terms import Offset, Partition
from consumer.service.ports import Committed
from tests.kafka.members import member_of, until_assigned
from tests.kafka.support import delete_records
from tests.support.cluster import Cluster
from tests.support.records import Codec, Written, write
from tests.support.topics import Topics


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
    async with member_of(kafka, topic, session_seconds=4.0) as member:
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
        for _ in range(25):  # 5 s: past the session, which only heartbeats keep
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


async def test_a_slow_hand_over_is_waited_for_and_costs_no_second_rebalance(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events", partitions=4)
    async with member_of(kafka, topic, session_seconds=4.0, hand_over_seconds=5.0) as first:  # longer than that
        await until_assigned(first, count=4)
        async with member_of(kafka, topic, session_seconds=4.0) as second:
            await until_assigned(first, second, count=4)

            assert (len(first.assignments), len(second.assignments)) == (2, 1)
            assert (len(first.revocations), len(second.revocations)) == (1, 0)


async def test_records_that_retention_removed_are_reported_and_reading_goes_on_behind_them(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    partition = Partition(topic, 0)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"%d" % n) for n in range(10)])
    await delete_records(kafka, topic, before=6)
    lost: list[tuple[Partition, int, int]] = []
    async with member_of(kafka, topic, on_records_lost=lambda *what: lost.append(what)) as member:
        await until_assigned(member, count=1)
        member.begin(partition, 2)
        await member.fetch_until(4)

        assert lost == [(partition, 2, 6)]
        assert [record.offset for record in member.records[partition]] == [6, 7, 8, 9]
        assert await member.consumer.log_bounds(partition) == (6, 10)
