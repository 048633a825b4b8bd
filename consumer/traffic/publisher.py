"""Publishes records to a topic: in batches, in order within a partition, acknowledged by all replicas.

Never creates a topic, never publishes a record twice, never reads one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from consumer.edge.kafka.clients import ended, partition_numbers
from consumer.edge.kafka.connection import (
    REFUSALS,
    KafkaConnection,
    KafkaRefusedError,
    KafkaUnreachableError,
    reach,
    refused,
    words,
)
from consumer.traffic.record import Headers

BATCH_BYTES = 128 * 1024
BATCHES_UNACKNOWLEDGED = 64
"""The most batches in flight: 8 MiB, more than a broker takes in one round trip."""
CONNECT_SECONDS = 15.0
ACKNOWLEDGE_SECONDS = 30.0
"""Longer than a leader election; without it, an idempotent producer waits for ever."""
STOP_SECONDS = 5.0


class Compression(StrEnum):
    """How batches are compressed; the service reads all of them."""

    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


class Partitioner(StrEnum):
    """How a record's partition is chosen: by its key, as Kafka's own clients do, or in turn."""

    MURMUR2 = "murmur2"
    ROUND_ROBIN = "round-robin"


class PublishError(Exception):
    """The records were not published. The message is one line and says what to do."""


class Publishable(Protocol):
    """What can be published: a `GeneratedRecord` and a `Line` are."""

    @property
    def key(self) -> bytes | None:
        """The key, which decides the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """The record's bytes; None is a tombstone."""
        ...

    @property
    def headers(self) -> Headers:
        """The record's headers."""
        ...


OnAcknowledged = Callable[[int, int, Sequence[Publishable]], None]
"""Called with (partition, offset of the first record, records) for each acknowledged batch."""


@dataclass(slots=True)
class _OpenBatch:
    """A partition's next batch, which is still being filled."""

    builder: Any
    records: list[Publishable] = field(default_factory=list)


class TrafficPublisher:
    """Publishes to one topic. One task at a time may call its methods."""

    def __init__(
        self,
        *,
        topic: str,
        connection: KafkaConnection,
        compression: Compression = Compression.NONE,
        partitioner: Partitioner = Partitioner.MURMUR2,
        on_acknowledged: OnAcknowledged = lambda _partition, _offset, _records: None,
    ) -> None:
        """Prepare; nothing is connected yet."""
        self._topic = topic
        self._connection = connection
        self._compression = compression
        self._partitioner = partitioner
        self._on_acknowledged = on_acknowledged
        self._open: dict[int, _OpenBatch] = {}
        self._waiting: deque[tuple[asyncio.Future[Any], int, list[Publishable]]] = deque()
        self._partitions = 0
        self._turns = iter(cycle((0,)))
        self.published = 0

    async def start(self) -> None:
        """Connect, and ask for the topic's partitions.

        Raises:
            PublishError: no broker answers, or the topic does not exist.
        """
        try:
            await reach(self._connection)
        except (KafkaUnreachableError, KafkaRefusedError) as error:
            raise PublishError(str(error)) from error
        self._producer = AIOKafkaProducer(
            **self._connection.client_arguments(),
            enable_idempotence=True,
            compression_type=None if self._compression is Compression.NONE else self._compression.value,
            max_batch_size=BATCH_BYTES,
            linger_ms=0,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._producer.start()
                numbers = await partition_numbers(self._producer.client, self._topic)
        except REFUSALS as error:
            await self._abandon()
            raise PublishError(str(refused(error, self._connection))) from error
        except (KafkaError, OSError, TimeoutError) as error:
            await self._abandon()
            raise PublishError(
                f"the brokers at {self._connection} do not answer ({words(error)}): try again"
            ) from error
        if not numbers:
            await self._abandon()
            message = f"topic {self._topic!r} does not exist at {self._connection}: create it, or name another topic"
            raise PublishError(message)
        self._partitions = len(numbers)
        self._turns = cycle(range(self._partitions))

    async def publish(self, records: Iterable[Publishable]) -> None:
        """Add records to their partitions' batches; send the batches that are full.

        Raises:
            PublishError: a batch could not be published.
        """
        for record in records:
            partition = self._partition_of(record.key)
            batch = self._open.get(partition)
            if batch is None:
                batch = self._open[partition] = _OpenBatch(self._producer.create_batch())
            if not _append(batch, record):
                await self._send(partition)
                batch = self._open[partition] = _OpenBatch(self._producer.create_batch())
                _append(batch, record)

    async def push(self) -> None:
        """Send all batches, full or not, and process the acknowledgements that have come.

        Raises:
            PublishError: a batch could not be published.
        """
        for partition in list(self._open):
            await self._send(partition)
        while self._waiting and self._waiting[0][0].done():
            await self._acknowledged()

    async def finish(self) -> None:
        """Send what is left and return once everything is acknowledged.

        Raises:
            PublishError: a batch could not be published.
        """
        await self.push()
        while self._waiting:
            await self._acknowledged()

    async def stop(self) -> None:
        """Disconnect. What is not acknowledged by then may or may not have been published."""
        for future, _, _ in self._waiting:
            future.cancel()
        await self._abandon()

    def _partition_of(self, key: bytes | None) -> int:
        if key is None or self._partitioner is Partitioner.ROUND_ROBIN:
            return next(self._turns)
        return int(murmur2(key) & 0x7FFFFFFF) % self._partitions

    async def _send(self, partition: int) -> None:
        batch = self._open.pop(partition)
        batch.builder.close()
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                future = await self._producer.send_batch(batch.builder, self._topic, partition=partition)
        except (KafkaError, TimeoutError) as error:
            raise self._failure(partition, error) from error
        self._waiting.append((future, partition, batch.records))
        if len(self._waiting) >= BATCHES_UNACKNOWLEDGED:
            await self._acknowledged()

    async def _acknowledged(self) -> None:
        future, partition, records = self._waiting.popleft()
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                metadata = await future
        except (KafkaError, TimeoutError) as error:
            raise self._failure(partition, error) from error
        self.published += len(records)
        self._on_acknowledged(partition, metadata.offset, records)

    async def _abandon(self) -> None:
        await ended(
            self._producer.stop(), seconds=STOP_SECONDS
        )  # if it does not stop in time, the process is about to end anyway

    def _failure(self, partition: int, error: Exception) -> PublishError:
        return PublishError(
            f"the brokers did not take a batch for {self._topic}:{partition} ({words(error)}); "
            f"{self.published} records before it are published"
        )


def _append(batch: _OpenBatch, record: Publishable) -> bool:
    taken = batch.builder.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    if taken is None:
        return False
    batch.records.append(record)
    return True
