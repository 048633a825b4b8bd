"""A topic is read in the order of time, a piece at a time, and on from where the last look ended."""

import pytest

from consumer.lookup.following import FEWEST_AT_ONCE, FollowedTopic, NoSuchPartitionError
from consumer.lookup.points import LogPoint
from tests.replay.logs import RESULTS, Log, MemoryLogs, logs_of
from tests.replay.model import NOW


def instants(log: Log) -> list[int]:
    return [record.timestamp for record in log.records]


def filled(*partitions: list[float]) -> MemoryLogs:
    """A results topic; each partition's records are so many seconds old."""
    logs = logs_of(results_partitions=len(partitions))
    for log, ages in zip(logs.topics[RESULTS], partitions, strict=True):
        for age in ages:
            log.append(age)
    return logs


def following(logs: MemoryLogs, told: list[int], *, records_waiting: int = 40_000) -> FollowedTopic[int]:
    return FollowedTopic(
        logs, RESULTS, keep=lambda record: int(record.timestamp), tell=told.append, records_waiting=records_waiting
    )


async def test_the_records_of_all_partitions_come_in_the_order_of_time() -> None:
    logs, told = filled([50, 30, 10], [45, 44], [], [60, 5]), list[int]()
    followed = following(logs, told)
    assert await followed.begin() == 7
    await followed.look()
    assert told == [round((NOW - age) * 1000) for age in (60, 50, 45, 44, 30, 10, 5)]


async def test_records_are_told_as_soon_as_no_older_one_can_come_and_few_wait() -> None:
    size = 9 * FEWEST_AT_ONCE
    logs = filled(*([float(10 * size - 3 * number - shift) for number in range(size)] for shift in range(3)))
    told: list[int] = []
    kept = 0
    most_waiting = 0

    def keep(record: object) -> int:
        nonlocal kept, most_waiting
        kept += 1
        most_waiting = max(most_waiting, kept - len(told))
        return int(record.timestamp)  # type: ignore[attr-defined]

    followed = FollowedTopic(logs, RESULTS, keep=keep, tell=told.append, records_waiting=3 * FEWEST_AT_ONCE)
    await followed.begin()
    await followed.look()
    assert len(told) == 3 * size
    assert told == sorted(told)
    assert most_waiting <= 2 * 3 * FEWEST_AT_ONCE


async def test_a_second_look_tells_only_what_has_come_since() -> None:
    logs, told = filled([50, 30], [40]), list[int]()
    followed = following(logs, told)
    await followed.begin()
    await followed.look()
    told.clear()
    await followed.look()
    assert told == []
    logs.topics[RESULTS][1].append(7)
    logs.topics[RESULTS][0].append(8)
    await followed.look()
    assert told == [round((NOW - age) * 1000) for age in (8, 7)]


@pytest.mark.parametrize(
    "since, until, ages",
    [
        (LogPoint(timestamp_ms=round((NOW - 45) * 1000)), LogPoint(), [45, 44, 30, 10]),
        (LogPoint(), LogPoint(timestamp_ms=round((NOW - 44) * 1000)), [50, 45]),
        (LogPoint(timestamp_ms=round((NOW - 1) * 1000)), LogPoint(), []),
        (LogPoint(offset=1), LogPoint(offset=2), [44, 30]),
    ],
)
async def test_reading_begins_and_ends_where_it_is_asked_to(since: LogPoint, until: LogPoint, ages: list[int]) -> None:
    logs, told = filled([50, 30, 10], [45, 44]), list[int]()
    followed = following(logs, told)
    assert await followed.begin(since=since, until=until) == len(ages)
    await followed.look()
    assert told == [round((NOW - age) * 1000) for age in ages]


async def test_what_retention_has_removed_is_not_asked_for() -> None:
    logs, told = filled([50, 30, 10]), list[int]()
    logs.topics[RESULTS][0].trim(2)
    followed = following(logs, told)
    assert await followed.begin(since=LogPoint(offset=0)) == 1
    await followed.look()
    assert told == instants(logs.topics[RESULTS][0])


async def test_only_the_partitions_that_are_named_are_read_and_one_that_is_not_there_is_told() -> None:
    logs, told = filled([50], [45]), list[int]()
    followed = following(logs, told)
    await followed.begin(partitions=[1])
    await followed.look()
    assert told == instants(logs.topics[RESULTS][1])
    with pytest.raises(NoSuchPartitionError, match="has 2 partitions, no 7"):
        await following(logs, told).begin(partitions=[0, 7])
