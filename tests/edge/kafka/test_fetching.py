"""Rounds of reading beside partitions that cannot be read: each is tried in time, and holds up no other."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.reading.events_topics import EventsTopics
from consumer.edge.kafka.reading.fetching import Fetching
from consumer.edge.kafka.reading.log_edges import LogEdges
from consumer.edge.kafka.reading.positions import Positions

PARTITIONS = [Partition("events", number) for number in range(200)]
WELL = PARTITIONS[-1]


class Read(NamedTuple):
    offset: int


@dataclass
class Client:
    """A client that is asked for records. It waits for what does not come, unless it is told not to."""

    fetched: dict[TopicPartition, Sequence[Read]] = field(default_factory=dict)
    outside: dict[TopicPartition, int] = field(default_factory=dict)
    asked: list[Collection[TopicPartition]] = field(default_factory=list)
    waited_ms: int = 0

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: int,
        max_records: int,  # noqa: ARG002
    ) -> Mapping[TopicPartition, Sequence[Read]]:
        self.asked.append(partitions)
        for partition in partitions:
            if partition in self.outside:
                raise OffsetOutOfRangeError({partition: self.outside.pop(partition)})
        found = {partition: self.fetched.pop(partition) for partition in partitions if partition in self.fetched}
        self.waited_ms += 0 if found else timeout_ms
        return found


class EveryTopic:
    """All topics are there, and may be read."""

    def look(self, _consumer: object, _now: float) -> Sequence[str]:
        return ()


@dataclass
class Rounds:
    """Reading, round by round."""

    client: Client = field(default_factory=Client)
    positions: Positions = field(default_factory=Positions)
    now: float = 0.0
    bounds_asked: int = 0
    lost: list[Partition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._all_asked = asyncio.Barrier(len(PARTITIONS))
        self.positions.receive(frozenset(PARTITIONS))
        for partition in PARTITIONS:
            self.positions.seek(partition, 3)
            self.positions.resume(partition)
        edges = LogEdges(
            self.positions,
            bounds=self._bounds,
            position_of=self.positions.next_of,
            seek=self.positions.seek,
            on_trouble=lambda _why: None,
            on_records_lost=lambda partition, _start, _stop: self.lost.append(partition),
            clock=lambda: self.now,
        )
        self._fetching = Fetching(
            positions=self.positions,
            edges=edges,
            topics=cast("EventsTopics", EveryTopic()),
            on_trouble=lambda _why: None,
            clock=lambda: self.now,
        )

    async def _bounds(self, _partition: Partition) -> tuple[Offset, Offset]:
        self.bounds_asked += 1
        await self._all_asked.wait()  # nobody waits for another one's answer before he asks
        return Offset(7), Offset(9)

    async def one(self) -> set[Partition]:
        """The partitions of which records came."""
        client = cast("AIOKafkaConsumer", self.client)
        records: Mapping[Partition, Any] = await self._fetching.records(client, max_records=700, timeout_seconds=0.2)
        return set(records)


async def test_however_many_partitions_are_set_aside_each_is_tried_in_time_and_the_others_are_read() -> None:
    rounds = Rounds()
    for partition in PARTITIONS:
        if partition != WELL:
            rounds.positions.set_aside(partition, now=0.0)
    rounds.client.fetched[TopicPartition(*WELL)] = [Read(3)]
    rounds.now = 2.0

    assert await rounds.one() == {WELL}
    assert {partition for asked in rounds.client.asked for partition in asked} == set(PARTITIONS)
    assert rounds.client.waited_ms == 0, "nobody waits for what was set aside"

    healed = PARTITIONS[100]
    rounds.client.fetched[TopicPartition(*healed)] = [Read(3)]
    rounds.now = 4.0
    assert await rounds.one() == {healed}
    assert set(rounds.positions.wanted()) == {healed, WELL}


async def test_positions_outside_of_their_logs_are_looked_at_together() -> None:
    """Retention has gone past all of them at once, and the client names one in each answer."""
    rounds = Rounds()
    rounds.client.outside = {TopicPartition(*partition): 3 for partition in PARTITIONS}
    async with asyncio.timeout(10):
        while len(rounds.lost) < len(PARTITIONS):
            await rounds.one()
    assert rounds.bounds_asked == len(PARTITIONS)
    assert set(rounds.positions.wanted()) == set(PARTITIONS)
    assert rounds.client.waited_ms <= 200
