"""Reads events beside the group's own reading: single records, bounds of logs, and what was parked. Moves no position."""

import asyncio
from collections.abc import Callable, Sequence

from aiokafka import TopicPartition

from consumer.core.event import Record
from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.connection import KafkaConnection, KafkaRefusedError
from consumer.edge.kafka.reading.topic_reader import Isolation, TopicReader
from consumer.service.ports import TopicGoneError

FIRST_RECORD_SECONDS = 2.0
"""How long to wait for the first unread record: it only tells how late a partition is."""


class ReadsBesideTheGroup:
    """What a member of the group reads by other connections. All of it retries for as long as it takes, but for the age."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        on_trouble: Callable[[str], None],
        on_records_lost: Callable[[Partition, Offset, Offset], None],
        on_end: Callable[[Partition, Offset, Offset], None],
    ) -> None:
        """Prepare. `on_records_lost` gets ranges (their ends are exclusive) that retention removed before they were read.

        `on_end` gets an offset up to where a partition was read once, and where its log ends now.
        """
        self._reader = TopicReader(connection, isolation=Isolation.COMMITTED, on_trouble=on_trouble)
        self._on_lost = on_records_lost
        self._on_end = on_end

    async def log_bounds(self, partition: Partition) -> tuple[Offset, Offset]:
        """Return the log's first offset and its end (one past the last readable record).

        Raises:
            TopicGoneError: there is no such topic or partition.
            KafkaRefusedError: the brokers refuse us.
        """
        first, end = await self._reader.bounds(TopicPartition(*partition))
        return Offset(first), Offset(end)

    async def read_one(self, partition: Partition, offset: Offset) -> Record | None:
        """Return the record at exactly `offset`, None where none is readable there. Raises as `log_bounds` does."""
        record: Record | None = await self._reader.read_one(TopicPartition(*partition), offset)
        return record

    async def read_again(self, partition: Partition, start: Offset, stop: Offset) -> tuple[Sequence[Record], Offset]:
        """Return the first records from `start` on and below `stop`, and up to where they are all that can be read.

        Raises as `log_bounds` does, and TopicGoneError also where the log ends below `stop`: it was truncated, or made anew.
        """
        first, end, records = await self._reader.read_piece(TopicPartition(*partition), start, stop)
        self._on_end(partition, stop, Offset(end))
        if end < stop:
            raise TopicGoneError(f"{partition} ends at offset {end}, below what was read of it ({stop})")
        if first > start:
            self._on_lost(partition, start, Offset(min(first, stop)))
        return records, Offset(records[-1].offset + 1) if records else stop

    async def first_timestamp_ms(self, partition: Partition, start: Offset) -> int | None:
        """Return the timestamp of the first readable record at or after `start`, None where it is not known in time."""
        try:
            async with asyncio.timeout(FIRST_RECORD_SECONDS):
                record = await self._reader.first_from(TopicPartition(*partition), start)
        except (TimeoutError, TopicGoneError, KafkaRefusedError):
            return None
        return None if record is None else int(record.timestamp)
