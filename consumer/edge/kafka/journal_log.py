"""The journal topics: appends whose offset is acknowledged or unknown, and reads. Knows nothing of entries.

Appends have a producer of their own. A producer sends one request at a time to each broker, so a large batch of results in
the same producer would delay every intent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import TopicPartition

from consumer.core.terms import JournalOffset, Partition
from consumer.edge.kafka.batch_producer import (
    MAX_BATCH_BYTES,
    BatchProducer,
    NotAcknowledgedError,
    PartitionMissingError,
    RejectedError,
    TooLargeError,
)
from consumer.edge.kafka.connection import KafkaConnection, KafkaRefusedError
from consumer.edge.kafka.reading.topic_reader import Isolation, TopicReader
from consumer.edge.kafka.topics import TopicCreationError, grow
from consumer.service.ports import (
    AppendRefusedError,
    AppendTooLargeError,
    Entry,
    Message,
    PlainEntry,
    UnsureAppendError,
)

ACKNOWLEDGE_SECONDS = 5.0
GROW_AGAIN_SECONDS = 30.0


class KafkaJournal:
    """Every journal of this service, one topic for each events topic."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        topic_template: str,
        on_replaced: Callable[[str], None],
        on_trouble: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """Connect to nothing yet.

        `{topic}` in `topic_template` stands for the events topic's name. `on_replaced` gets why a producer was replaced,
        `on_trouble` why a read is tried again.
        """
        self._connection = connection
        self._template = topic_template
        self._producer = BatchProducer(
            connection,
            batch_bytes=MAX_BATCH_BYTES,
            compression=None,  # an intent is some hundred bytes, and compressing it would delay its send
            acknowledge_seconds=ACKNOWLEDGE_SECONDS,
            on_replaced=on_replaced,
            on_trouble=on_trouble,
        )
        self._reader = TopicReader(connection, isolation=Isolation.UNCOMMITTED, on_trouble=on_trouble)
        self._grown_at: dict[str, float] = {}

    async def start(self) -> None:
        """Wait until the brokers can be reached: they may still be starting.

        Raises:
            KafkaRefusedError: the brokers refuse us.
            KafkaUnreachableError: no broker answers.
        """
        await self._producer.start()

    async def append(self, partition: Partition, values: Sequence[bytes]) -> JournalOffset:
        """Append `values` as one batch; return the first one's offset.

        Raises:
            UnsureAppendError: it was not acknowledged within 5 s, or its producer failed and was replaced, or the
                journal has no such partition yet.
            AppendTooLargeError: it does not fit into one batch, and only a batch lands whole or not at all; it did not.
            AppendRefusedError: permissions or the topic's settings are wrong.
            TopicGoneError: there is no such journal.
        """
        assert values, "an append says something"
        journal = self._journal_of(partition)
        messages = [Message(key=None, value=value) for value in values]
        try:
            return JournalOffset(await self._producer.send_whole(journal, messages))
        except NotAcknowledgedError as error:
            raise UnsureAppendError(str(error)) from error
        except TooLargeError as error:
            size_bytes = sum(map(len, values))
            message = (
                f"the journal {journal.topic!r} takes no batch of {len(values)} entries, {size_bytes} bytes: {error}"
            )
            raise AppendTooLargeError(f"{message}; raise its max.message.bytes") from error
        except (KafkaRefusedError, RejectedError) as error:
            raise AppendRefusedError(f"the journal {journal.topic!r} cannot be written: {error}") from error
        except PartitionMissingError as error:
            raise UnsureAppendError(await self._grow(partition, error)) from error

    async def read(self, partition: Partition, start: JournalOffset, stop: JournalOffset) -> Sequence[Entry]:
        """Return the entries from `start` up to but without `stop`, as far as retention has left them.

        Retries for as long as it takes. An entry without a value gets an empty one.

        Raises:
            TopicGoneError: there is no such journal, or no such partition of it.
            KafkaRefusedError: the brokers refuse us.
        """
        records = await self._reader.read(self._journal_of(partition), start, stop)
        return [
            Entry(offset=JournalOffset(record.offset), timestamp_ms=record.timestamp, value=record.value or b"")
            for record in records
        ]

    async def each(
        self,
        partition: Partition,
        start: JournalOffset,
        stop: JournalOffset,
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],
    ) -> None:
        """Call `take` with the entries of a range, in order and in pieces; retries and raises as `read` does."""

        async def plain(records: Sequence[Any]) -> None:
            await take([(JournalOffset(record.offset), record.value or b"") for record in records])

        await self._reader.each(self._journal_of(partition), start, stop, plain)

    async def read_one(self, partition: Partition, at: JournalOffset) -> bytes | None:
        """Return the value of the entry at exactly `at`, None where retention has removed it; raises as `read` does."""
        record = await self._reader.read_one(self._journal_of(partition), at)
        return None if record is None else record.value or b""

    async def bounds(self, partition: Partition) -> tuple[JournalOffset, JournalOffset]:
        """Return the journal partition's first offset, and the one behind its last. Raises as `read` does."""
        first, end = await self._reader.bounds(self._journal_of(partition))
        return JournalOffset(first), JournalOffset(end)

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> JournalOffset | None:
        """Return the first offset whose record is not older than the timestamp, None where there is none.

        Raises as `read` does.
        """
        offset = await self._reader.offset_at(self._journal_of(partition), timestamp_ms)
        return None if offset is None else JournalOffset(offset)

    async def stop(self) -> None:
        """Disconnect. An append that is not acknowledged by then may or may not land."""
        await self._producer.stop()
        await self._reader.stop()

    def _journal_of(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self._template.replace("{topic}", partition.topic), partition.number)

    async def _grow(self, partition: Partition, missing: PartitionMissingError) -> str:
        """Give a journal as many partitions as its events topic has, once in a while; return a message about it."""
        topic = self._journal_of(partition).topic
        now = asyncio.get_running_loop().time()
        if now < self._grown_at.get(topic, 0.0):
            return f"{missing}: give the journal as many partitions as {partition.topic!r} has"
        self._grown_at[topic] = now + GROW_AGAIN_SECONDS
        try:
            count = await grow(self._connection, topic, like=partition.topic)
        except TopicCreationError as error:
            return str(error)
        return f"{missing}: it now has {count}"
