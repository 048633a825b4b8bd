"""One round of reading: fetches records, and retries partitions that could not be read. Owns no position, joins no group.

A partition or topic that cannot be read holds up no other: it is set aside and retried by itself, without waiting.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError, TopicAuthorizationFailedError

from consumer.core.event import Record
from consumer.core.terms import Partition
from consumer.edge.kafka.connection import words
from consumer.edge.kafka.reading.events_topics import EventsTopics
from consumer.edge.kafka.reading.log_edges import LogEdges
from consumer.edge.kafka.reading.positions import Positions
from consumer.edge.kafka.record_batches import DamagedError

LATE_SECONDS = 0.1
"""During a rejoin the client ignores its time-out; we wait this much longer than the time-out, and no more."""

OTHERS_PART = 4
"""One in so many records of a round is left to the others, however many there are of urgent topics."""

_NOWHERE = Partition("", -1)  # asked for where nothing is to be read: an empty list would mean all partitions

Records = dict[Partition, Sequence[Record]]


class Fetching:
    """Reads through the group's client."""

    def __init__(
        self,
        *,
        positions: Positions,
        edges: LogEdges,
        topics: EventsTopics,
        on_trouble: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._positions = positions
        self._edges = edges
        self._topics = topics
        self._on_trouble = on_trouble
        self._clock = clock
        self._passed: dict[Partition, int] = {}
        """In this round: the client's positions that are past the records handed out."""
        self._outside: dict[Partition, int] = {}
        """Positions outside of their logs. Each comes with an error of its own; they are examined together."""

    def has_passed(self, partition: TopicPartition, position: int) -> None:
        """Note the client's position past the records that it returns."""
        self._passed[Partition(*partition)] = position

    async def records(
        self, consumer: AIOKafkaConsumer, *, max_records: int, timeout_seconds: float
    ) -> Mapping[Partition, Sequence[Record]]:
        """Return records of resumed partitions; empty after `timeout_seconds`, and during a rebalance.

        Those of urgent topics come first, and leave the others a quarter of `max_records`.

        Raises:
            KafkaRefusedError: a topic was refused from the start.
            KafkaError: the membership has ended, or the brokers refuse us.
        """
        for topic in self._topics.look(consumer, self._clock()):
            self._positions.take_back(topic)
        self._passed.clear()
        known = len(self._outside)
        records: Records = {}
        if hurried := self._positions.hurried():
            most = max_records - max_records // OTHERS_PART
            records = await self._take(consumer, hurried, max_records=most, timeout_seconds=0.0)
        room = left = max_records - sum(map(len, records.values()))
        for partition in self._positions.take_due(self._clock()):
            if room > 0:
                found = await self._take(consumer, [partition], max_records=room, timeout_seconds=0.0)
                room -= sum(map(len, found.values()))
                records |= found
        if room == left > 0:
            seconds = 0.0 if self._outside or records else timeout_seconds
            wanted = [one for one in self._positions.wanted() if one not in records] or [_NOWHERE]
            records |= await self._take(consumer, wanted, max_records=left, timeout_seconds=seconds)
        for partition, batch in records.items():
            self._positions.handed_out(partition, batch[-1].offset + 1)
            self._edges.read(partition)
        for partition, position in self._passed.items():
            self._positions.passed(partition, position)
        if self._outside and len(self._outside) == known:  # this round has brought no further one
            outside, self._outside = self._outside, {}
            await self._edges.look(outside)
        return records

    async def _take(
        self, consumer: AIOKafkaConsumer, wanted: Collection[Partition], *, max_records: int, timeout_seconds: float
    ) -> Records:
        """Return records of these; a partition that cannot be read is set aside, one at a time."""
        asked = [TopicPartition(*partition) for partition in wanted]
        try:
            async with asyncio.timeout(timeout_seconds + LATE_SECONDS):
                fetched = await consumer.getmany(
                    *asked, timeout_ms=int(timeout_seconds * 1000), max_records=max_records
                )
        except (TimeoutError, NoOffsetForPartitionError):  # the latter: the client has not got our position for it yet
            return {}
        except TopicAuthorizationFailedError as error:
            (topic,) = error.args
            self._topics.refuse(consumer, topic, self._clock())
            self._set_aside(partition for partition in wanted if partition.topic == topic)
        except OffsetOutOfRangeError as error:
            outside = {Partition(*partition): position for partition, position in dict(*error.args).items()}
            self._outside |= outside
            self._set_aside(outside)
        except DamagedError as error:
            self._damaged(consumer, error, wanted)
        else:
            return {Partition(*partition): batch for partition, batch in fetched.items()}
        return {}

    def _damaged(self, consumer: AIOKafkaConsumer, error: DamagedError, wanted: Collection[Partition]) -> None:
        """Set the damaged partition aside, and seek all others back to the end of the records handed out.

        With the bad batch, the client drops what it had unpacked of other partitions; its positions are past that.
        """
        self._on_trouble(f"reading: {words(error)}; tried again")
        for partition in wanted:
            position = self._positions.next_of(partition)
            if position is not None and TopicPartition(*partition) in consumer.assignment():
                consumer.seek(TopicPartition(*partition), position)
        self._set_aside([Partition(*error.partition)])

    def _set_aside(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._positions.set_aside(partition, self._clock())
