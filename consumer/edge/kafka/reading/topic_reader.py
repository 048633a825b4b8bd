"""Reads ranges of partitions, outside of any group. Commits nothing, follows no partition.

A bounded number of readers (Kafka consumers) is kept for the next request; each reads one partition at a time.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, LeaderNotAvailableError, OffsetOutOfRangeError

from consumer.edge.kafka.clients import client_of, forget_fetched, hand_out_records, partition_numbers, stop_consumer
from consumer.edge.kafka.connection import REFUSALS, KafkaConnection, refused, words
from consumer.edge.kafka.record_batches import Patience
from consumer.service.ports import TopicGoneError

T = TypeVar("T")

QUESTIONS_AT_ONCE = 8
"""How many readers work at once: a take-over of a hundred partitions opens no hundred connections."""
RETRIES_AT_ONCE = 8
"""The same for requests that failed at first: many partitions without a leader must not take all readers."""
KEPT_IDLE = 4
ANSWER_SECONDS = 10.0
"""A request without an answer for this long is repeated over a new connection."""
LONGEST_PAUSE_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.1
GONE_AFTER = 5
"""How many times in a row a broker has to say that a topic or a partition does not exist."""

END_OF_TIME = 2**63 - 1
"""Past every offset."""

FETCH_BYTES = 1024 * 1024
"""The most that one fetch brings, and that a reader holds: some 2,500 entries or more."""
FETCH_WAIT_SECONDS = 0.005
"""How long a broker waits for records at the end of a log. All records that we read exist already, and the next request to
this broker waits as long."""
TURN_SECONDS = 0.1
TURN_RECORDS = 2_000
"""The most that is unpacked in one turn: some milliseconds of the loop."""
REQUEST_SECONDS = 10.0
DAMAGED_SECONDS = 30.0
"""How long damaged data is fetched again: another replica may become leader. After that it counts as unreadable."""


class Isolation(Enum):
    """Whether records of open and aborted transactions are read."""

    COMMITTED = "read_committed"
    UNCOMMITTED = "read_uncommitted"


class _MissingError(Exception):
    """A broker says that the topic or the partition does not exist."""


class LogPiece(NamedTuple):
    """What was read, and the log's first offset and its end when that began."""

    first: int
    end: int
    records: Sequence[Any]


class TopicReader:
    """Reads single partitions and their bounds; for many callers at once."""

    def __init__(self, connection: KafkaConnection, *, isolation: Isolation, on_trouble: Callable[[str], None]) -> None:
        """Prepare. `on_trouble` gets why a request is repeated."""
        self._connection = connection
        self._isolation = isolation
        self._on_trouble = on_trouble
        self._idle: list[AIOKafkaConsumer] = []
        self._slots = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._patience = Patience(seconds=DAMAGED_SECONDS, clock=lambda: asyncio.get_running_loop().time())
        self._retry_slots = asyncio.Semaphore(RETRIES_AT_ONCE)

    async def read(self, partition: TopicPartition, start: int, stop: int) -> Sequence[Any]:
        """Return the records from `start` up to but without `stop`, as far as they exist.

        Retries for as long as it takes; so do the other methods.

        Raises:
            TopicGoneError: there is no such topic, or no such partition of it.
            KafkaRefusedError: the brokers refuse us.
        """
        return (await self._read(partition, start, stop, enough=stop - start)).records

    async def read_some(self, partition: TopicPartition, start: int, stop: int) -> Sequence[Any]:
        """Return the first records of a range, as many as one fetch brings; none only where there are no more."""
        return (await self.read_piece(partition, start, stop)).records

    async def read_piece(self, partition: TopicPartition, start: int, stop: int) -> LogPiece:
        """Return the same, with the log's bounds: they have to be asked for anyway."""
        return await self._read(partition, start, stop, enough=1)

    async def _read(self, partition: TopicPartition, start: int, stop: int, *, enough: int) -> LogPiece:
        read: list[Any] = []
        first = end = 0

        async def go_on(consumer: AIOKafkaConsumer) -> None:
            nonlocal first, end
            first, end = await _bounds(consumer, partition)
            last = min(stop, end)
            position = max(start, first, read[-1].offset + 1 if read else start)
            if position >= last:
                return
            consumer.seek(partition, position)
            consumer.resume(partition)
            while position < last and len(read) < enough:
                async with asyncio.timeout(ANSWER_SECONDS):
                    position = await _take(consumer, partition, position, last, read)
            while read and read[-1].offset >= stop:
                read.pop()

        await self._ask(partition, go_on)
        return LogPiece(first, end, read)

    async def each(
        self, partition: TopicPartition, start: int, stop: int, take: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> None:
        """Call `take` with the records of a range, piece by piece and each once: the whole range is never in memory."""
        position = start

        async def go_on(consumer: AIOKafkaConsumer) -> None:
            nonlocal position
            first, end = await _bounds(consumer, partition)
            last = min(stop, end)
            position = max(position, first)
            if position >= last:
                return
            consumer.seek(partition, position)
            consumer.resume(partition)
            while position < last:
                read: list[Any] = []
                async with asyncio.timeout(ANSWER_SECONDS):
                    reached = await _take(consumer, partition, position, last, read)
                while read and read[-1].offset >= stop:
                    read.pop()
                position = reached  # before `take`: if that fails, these records are not read again
                if read:
                    await take(read)
                gc.collect(0)  # as in `_reader`

        await self._ask(partition, go_on)

    async def read_one(self, partition: TopicPartition, offset: int) -> Any | None:
        """Return the record at exactly `offset`, None where none is readable there."""
        records = await self.read(partition, offset, offset + 1)
        return records[0] if records else None

    async def first_from(self, partition: TopicPartition, start: int) -> Any | None:
        """Return the first readable record at or after `start`, None where there is none."""
        records = await self.read(partition, start, start + 1) or await self.read_some(partition, start, END_OF_TIME)
        return records[0] if records else None

    async def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the partition's first offset and its end (one past the last readable record)."""
        return await self._ask(partition, lambda consumer: _bounds(consumer, partition))

    async def offset_at(self, partition: TopicPartition, timestamp_ms: int) -> int | None:
        """Return the first offset whose record is not older than the timestamp, None where there is none."""

        async def ask(consumer: AIOKafkaConsumer) -> int | None:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await consumer.offsets_for_times({partition: max(0, timestamp_ms)})
            return None if found[partition] is None else int(found[partition].offset)

        return await self._ask(partition, ask)

    async def stop(self) -> None:
        """Disconnect."""
        while self._idle:
            await stop_consumer(self._idle.pop())

    # ---------------------------------------------------------------- readers

    async def _ask(self, partition: TopicPartition, question: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
        missing, pause_seconds, slots = 0, FIRST_PAUSE_SECONDS, self._slots
        while True:
            try:
                async with slots, self._reader() as consumer:
                    await _look_at(consumer, partition)
                    return await question(consumer)
            except OffsetOutOfRangeError:
                why = "retention went past us"
            except REFUSALS as error:
                raise refused(error, self._connection) from error
            except _MissingError as error:
                missing += 1
                if missing >= GONE_AFTER:
                    raise TopicGoneError(f"{error}: create it, then start again") from error
                why = str(error)
            except (KafkaError, OSError, TimeoutError) as error:
                missing, why = 0, words(error)
                slots = self._retry_slots
            self._on_trouble(f"reading {partition.topic}:{partition.partition}: {why}; tried again")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = self._idle.pop() if self._idle else await self._new()
        try:
            yield consumer
        except BaseException:
            await stop_consumer(consumer)
            raise
        for partition in consumer.assignment():
            consumer.pause(partition)
        forget_fetched(consumer)
        gc.collect(0)  # the client's answers are reference cycles that hold a MiB each: free them now
        if len(self._idle) < KEPT_IDLE:
            self._idle.append(consumer)
        else:
            await stop_consumer(consumer)

    async def _new(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._connection.client_arguments(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=self._isolation.value,
            fetch_max_wait_ms=int(FETCH_WAIT_SECONDS * 1000),
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES,
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.start()
            hand_out_records(consumer, patience=self._patience)
        except BaseException:
            await stop_consumer(consumer)
            raise
        return consumer


async def _look_at(consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
    """Assign one partition to a reader, paused, and make sure that it exists."""
    if consumer.assignment() != {partition}:
        consumer.assign([partition])
    consumer.pause(partition)
    consumer.seek(partition, 0)  # without a position the client would read a commit
    async with asyncio.timeout(ANSWER_SECONDS):
        client = client_of(consumer)
        if _is_led(client, partition):
            return
        numbers = await partition_numbers(client, partition.topic)
        if numbers is None:
            raise _MissingError(f"topic {partition.topic!r} does not exist")
        if partition.partition not in numbers:
            raise _MissingError(f"topic {partition.topic!r} has {len(numbers)} partitions, no {partition.partition}")
        await client.force_metadata_update()
        if not _is_led(client, partition):  # a request would wait for a leader, and occupy a reader
            raise LeaderNotAvailableError(f"{partition.topic}:{partition.partition} has no leader")


def _is_led(client: AIOKafkaClient, partition: TopicPartition) -> bool:
    return client.cluster.leader_for_partition(partition) not in (None, -1)


async def _bounds(consumer: AIOKafkaConsumer, partition: TopicPartition) -> tuple[int, int]:
    async with asyncio.timeout(ANSWER_SECONDS):
        first = await consumer.beginning_offsets([partition])
        end = await consumer.end_offsets([partition])
    return int(first[partition]), int(end[partition])


async def _take(
    consumer: AIOKafkaConsumer, partition: TopicPartition, position: int, last: int, read: list[Any]
) -> int:
    """Fetch until the reader's position is past `position`; return the new one. Records are added to `read`."""
    timeout_ms, wanted = int(TURN_SECONDS * 1000), min(last - position, TURN_RECORDS)
    while True:
        fetched = await consumer.getmany(partition, timeout_ms=timeout_ms, max_records=wanted)
        for records in fetched.values():
            read.extend(records)
        reached = int(await consumer.position(partition))
        if reached > position:
            return reached
