"""An append that is acknowledged stands where it says; anything else is unsure, and soon; what stands can be read."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from consumer.core.terms import JournalOffset, Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.journal_log import KafkaJournal
from consumer.service.ports import AppendRefusedError, AppendTooLargeError, TopicGoneError, UnsureAppendError
from tests.kafka.support import delete_records, frozen, journal_on, until_leaderless, without_permission
from tests.support.cluster import Cluster
from tests.support.records import Written, read_all, write
from tests.support.topics import Topics


async def events_with_journal(topics: Topics, *, partitions: int = 1, **settings: str) -> str:
    events = await topics.create("events", partitions=partitions)
    named = {name.replace("_", "."): value for name, value in settings.items()}
    await topics.create_named(f"{events}-journal", partitions=partitions, settings=named)
    return events


async def values_of(journal: KafkaJournal, partition: Partition, start: int, stop: int) -> Sequence[bytes]:
    return [entry.value for entry in await journal.read(partition, JournalOffset(start), JournalOffset(stop))]


async def test_an_append_returns_the_offset_at_which_its_first_entry_stands(kafka: Cluster, topics: Topics) -> None:
    partition = Partition(await events_with_journal(topics), 0)
    async with journal_on(kafka) as journal:
        first = await journal.append(partition, [b"a", b"b", b"c"])
        second = await journal.append(partition, [b"d"])

        assert (first, second) == (0, 3)
        assert await values_of(journal, partition, 0, 4) == [b"a", b"b", b"c", b"d"]


async def test_somebody_elses_entry_shifts_the_next_append(kafka: Cluster, topics: Topics) -> None:
    partition = Partition(await events_with_journal(topics), 0)
    async with journal_on(kafka) as ours, journal_on(kafka) as theirs:
        assert await ours.append(partition, [b"ours"]) == 0
        assert await theirs.append(partition, [b"theirs", b"theirs"]) == 1
        assert await ours.append(partition, [b"ours again"]) == 3

        entries = await ours.read(partition, JournalOffset(1), JournalOffset(3))

        assert [(entry.offset, entry.value) for entry in entries] == [(1, b"theirs"), (2, b"theirs")]


async def test_many_partitions_are_appended_to_at_once_each_in_order(kafka: Cluster, topics: Topics) -> None:
    events = await events_with_journal(topics, partitions=6)

    async def append_all(journal: KafkaJournal, number: int) -> list[int]:
        return [await journal.append(Partition(events, number), [b"%d" % step] * 3) for step in range(20)]

    async with journal_on(kafka) as journal:
        async with asyncio.TaskGroup() as tasks:
            appending = [tasks.create_task(append_all(journal, number)) for number in range(6)]

        assert [task.result() for task in appending] == [[3 * step for step in range(20)]] * 6


async def test_reading_begins_and_ends_where_the_journal_does(kafka: Cluster, topics: Topics) -> None:
    partition = Partition(await events_with_journal(topics), 0)
    async with journal_on(kafka) as journal:
        assert await journal.bounds(partition) == (0, 0)
        assert await values_of(journal, partition, 0, 10) == []
        await journal.append(partition, [b"%d" % n for n in range(10)])
        await delete_records(kafka, f"{partition.topic}-journal", before=4)

        assert await journal.bounds(partition) == (4, 10)
        assert await values_of(journal, partition, 0, 6) == [b"4", b"5"]
        assert await values_of(journal, partition, 8, 99) == [b"8", b"9"]
        assert await values_of(journal, partition, 0, 4) == []
        assert await values_of(journal, partition, 7, 7) == []


async def test_a_long_journal_is_read_whole_by_many_readers_at_once(kafka: Cluster, topics: Topics) -> None:
    events = await events_with_journal(topics, partitions=12)
    async with journal_on(kafka) as journal:
        for number in range(12):
            for step in range(5):
                await journal.append(Partition(events, number), [b"%d" % (100 * step + n) for n in range(100)])
        async with asyncio.TaskGroup() as tasks:
            reading = [
                tasks.create_task(values_of(journal, Partition(events, number), 250, 500)) for number in range(12)
            ]

        assert [task.result() for task in reading] == [[b"%d" % n for n in range(250, 500)]] * 12


async def test_an_offset_is_found_by_the_time_of_its_entry(kafka: Cluster, topics: Topics) -> None:
    partition = Partition(await events_with_journal(topics), 0)
    old = [Written(value=b"old", partition=0, timestamp_ms=1_000_000 + n) for n in range(5)]
    await write(kafka.bootstrap_servers, f"{partition.topic}-journal", old)
    async with journal_on(kafka) as journal:
        assert await journal.offset_at(partition, 1_000_003) == 3
        assert await journal.offset_at(partition, -5) == 0
        assert await journal.offset_at(partition, 2_000_000) is None


async def test_an_append_that_fits_into_no_batch_is_refused_and_leaves_the_journal_usable(
    kafka: Cluster, topics: Topics
) -> None:
    partition = Partition(await events_with_journal(topics), 0)
    async with journal_on(kafka) as journal:
        for values in ([b"x" * 1_100_000], [b"x" * 600_000] * 2, [b"x"] * 200_000):
            with pytest.raises(AppendTooLargeError):
                await journal.append(partition, values)

        assert await journal.append(partition, [b"x" * 900_000]) == 0


async def test_a_journal_set_to_smaller_batches_says_so_and_is_not_doubted(kafka: Cluster, topics: Topics) -> None:
    partition = Partition(await events_with_journal(topics, max_message_bytes="10000"), 0)
    async with journal_on(kafka) as journal:
        with pytest.raises(AppendTooLargeError, match="takes no batch of 1 entries, 20000 bytes"):
            await journal.append(partition, [b"x" * 20_000])

        assert await journal.append(partition, [b"x" * 1_000]) == 0


async def test_a_journal_that_may_not_be_written_is_said_with_its_cure_and_is_no_end(
    kafka: Cluster, topics: Topics
) -> None:
    partition = Partition(await events_with_journal(topics), 0)
    async with journal_on(kafka) as journal:
        with without_permission(f"{partition.topic}-journal"), pytest.raises(AppendRefusedError, match="WRITE"):
            await journal.append(partition, [b"x"])
        assert await journal.append(partition, [b"x"]) == 0


async def test_a_deleted_journal_is_an_error_that_names_it(kafka: Cluster, topics: Topics) -> None:
    partition = Partition(await topics.create("events"), 0)
    async with journal_on(kafka) as journal:
        with pytest.raises(TopicGoneError, match=f"'{partition.topic}-journal' does not exist"):
            await journal.append(partition, [b"{}"])
        with pytest.raises(TopicGoneError, match=f"'{partition.topic}-journal' does not exist"):
            await journal.bounds(partition)


async def test_a_journal_grows_with_its_events_topic(kafka: Cluster, topics: Topics) -> None:
    events = await events_with_journal(topics, partitions=2)
    async with journal_on(kafka) as journal:
        await journal.append(Partition(events, 1), [b"{}"])
        await topics.grow(events, partitions=4)
        with pytest.raises(UnsureAppendError, match="it now has 4"):
            await journal.append(Partition(events, 3), [b"{}"])

        assert await journal.append(Partition(events, 3), [b"{}"]) == 0


# ------------------------------------------------------------------------------------------------ broken brokers


async def test_a_frozen_broker_makes_appends_unsure_in_time_and_what_it_took_may_land_later(
    breakable: ApacheKafka,
) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        events = await events_with_journal(topics, partitions=3)
    loop, heard = asyncio.get_running_loop(), list[str]()
    async with journal_on(kafka, heard) as journal:
        for number in range(3):
            assert await journal.append(Partition(events, number), [b"before"]) == 0
        with frozen(kafka):
            began_at = loop.time()
            async with asyncio.TaskGroup() as tasks:
                unsure = [
                    tasks.create_task(_unsure(journal, Partition(events, number), b"frozen")) for number in range(3)
                ]
            took_seconds = loop.time() - began_at
            assert all(task.result() for task in unsure)
            with pytest.raises(UnsureAppendError):
                await journal.append(Partition(events, 0), [b"not handed over"])

        after = [await journal.append(Partition(events, number), [b"after"]) for number in range(3)]
        entries = [await values_of(journal, Partition(events, number), 0, 9) for number in range(3)]

    assert took_seconds < 6.0
    assert len(heard) == 1, heard  # one producer, shared by three appends, was replaced once
    for number in range(3):
        assert entries[number][0] == b"before"
        assert entries[number][after[number]] == b"after"
        assert set(entries[number][1 : after[number]]) <= {b"frozen"}
        assert entries[number].count(b"frozen") <= 1
        assert b"not handed over" not in entries[number]
    assert any(b"frozen" in found for found in entries)  # one of them was in the broker's hands


async def _unsure(journal: KafkaJournal, partition: Partition, value: bytes) -> bool:
    try:
        await journal.append(partition, [value])
    except UnsureAppendError:
        return True
    return False


async def test_appends_go_on_after_the_broker_was_killed_and_nothing_acknowledged_is_missing(
    breakable: ApacheKafka,
) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        partition = Partition(await events_with_journal(topics), 0)
    proven: dict[int, bytes] = {}
    enough, killed, back = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def append_all(journal: KafkaJournal) -> None:
        step = after = 0
        while after < 100:
            step += 1
            value = b"%d" % step
            with contextlib.suppress(UnsureAppendError):
                proven[await journal.append(partition, [value])] = value
                after += back.is_set()
            if len(proven) == 100:
                enough.set()
                await killed.wait()

    async with journal_on(kafka) as journal, asyncio.TaskGroup() as tasks:
        tasks.create_task(append_all(journal))
        await enough.wait()
        killed.set()
        await kafka.kill_broker()
        await kafka.start_broker()
        back.set()
    stands = await read_all(kafka.bootstrap_servers, f"{partition.topic}-journal")

    found = {record.offset: record.value for record in stands}
    assert proven.items() <= found.items()
    assert len(set(found.values())) == len(found)  # nothing was appended twice


async def test_sick_partitions_do_not_hold_up_the_others_nor_make_them_unsure(three_breakable: ApacheKafka) -> None:
    kafka = three_breakable
    well, lonely = Partition("twice", 0), Partition("twice", 1)
    other, leaderless = Partition("once", 0), Partition("once", 1)
    await create_on_brokers(kafka, "twice-journal", {0: [1, 2], 1: [2, 3]}, in_sync=2)
    await create_on_brokers(kafka, "once-journal", {0: [1], 1: [3]}, in_sync=1)
    async with journal_on(kafka) as journal:
        for partition in (well, lonely, other):
            await journal.append(partition, [b"before"])
        await kafka.kill_broker(3)
        async with asyncio.TaskGroup() as tasks:
            first = [tasks.create_task(_unsure(journal, partition, b"x")) for partition in (lonely, leaderless)]
        assert [task.result() for task in first] == [True, True]
        while await _unsure(journal, well, b"again"):
            pass

        for _ in range(2):
            async with asyncio.TaskGroup() as tasks:
                sick = [tasks.create_task(_unsure(journal, partition, b"x")) for partition in (lonely, leaderless)]
                meanwhile = 0
                while not all(task.done() for task in sick):
                    await journal.append(well, [b"meanwhile"])
                    await journal.append(other, [b"meanwhile"])
                    meanwhile += 1
            assert meanwhile > 50
            assert all(task.result() for task in sick)
        await kafka.start_broker(3)
        while await _unsure(journal, lonely, b"well again"):
            pass
        assert (await values_of(journal, lonely, 0, 9))[-1] == b"well again"


async def test_a_partition_that_had_no_leader_takes_nobody_along_when_its_new_leader_is_sick(
    three_breakable: ApacheKafka,
) -> None:
    kafka = three_breakable
    other, leaderless = Partition("spare", 0), Partition("spare", 1)
    await create_on_brokers(kafka, "spare-journal", {0: [1], 1: [3]}, in_sync=1)
    await kafka.stop_broker(3)
    # A broker that still named the dead leader would have the batch handed over, and that is another test.
    await until_leaderless(kafka, "spare-journal", 1, brokers=[1, 2])
    replaced = list[str]()
    async with journal_on(kafka, replaced=replaced) as journal:
        await journal.append(other, [b"before"])
        assert await _unsure(journal, leaderless, b"nobody to hand it to")
        assert replaced == []

        await kafka.start_broker(3)
        async with journal_on(kafka) as another:
            while await _unsure(another, leaderless, b"well"):
                pass
        with frozen(kafka, 3):
            async with asyncio.TaskGroup() as tasks:
                sick = tasks.create_task(_unsure(journal, leaderless, b"frozen"))
                while not sick.done():
                    await journal.append(other, [b"meanwhile"])
            assert sick.result()


async def test_partitions_without_a_leader_take_no_reader_of_the_others(three_breakable: ApacheKafka) -> None:
    kafka, heard = three_breakable, list[str]()
    await create_on_brokers(
        kafka, "many-journal", {number: [1 if number == 0 else 3] for number in range(21)}, in_sync=1
    )
    async with journal_on(kafka, heard) as journal:
        await kafka.kill_broker(3)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(journal.bounds(Partition("many", number))) for number in range(1, 21)]
            while len(heard) < len(waiting):
                await journal.bounds(Partition("many", 0))
            async with asyncio.timeout(2.0):
                for _ in range(5):
                    assert await journal.bounds(Partition("many", 0)) == (0, 0)
            assert not any(task.done() for task in waiting)
            await kafka.start_broker(3)
        assert {task.result() for task in waiting} == {(0, 0)}


async def create_on_brokers(kafka: Cluster, topic: str, places: dict[int, list[int]], *, in_sync: int) -> None:
    """Each partition's copies on brokers of our choice."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    settings = {"min.insync.replicas": str(in_sync)}
    answer = await admin.create_topics([NewTopic(topic, -1, -1, replica_assignments=places, topic_configs=settings)])
    await admin.close()
    assert [code for _, code, _ in answer.topic_errors] == [0], answer


async def test_what_was_given_up_before_it_left_us_is_never_sent_later(breakable: ApacheKafka) -> None:
    kafka = breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        events = await events_with_journal(topics, partitions=2)
    first, second = Partition(events, 0), Partition(events, 1)
    async with journal_on(kafka) as journal:
        assert await journal.append(first, [b"before"]) == 0
        await kafka.kill_broker()
        assert await _unsure(journal, first, b"given up")
        await kafka.start_broker()
        for partition in (first, second):
            while await _unsure(journal, partition, b"after"):
                pass
        for _ in range(500):
            await journal.append(second, [b"time passes"])

        assert await values_of(journal, first, 0, 9) == [b"before", b"after"]
