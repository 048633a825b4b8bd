"""Sends batches through an idempotent producer that is replaced as soon as it fails. Never sends a batch twice.

aiokafka's idempotent producer cannot be used any more once a batch has failed, never gives a batch up, and may hang in
`stop`. So every batch has a deadline here. A producer that misses one is cut off at once: it retries nothing, though what
it has sent may still land. A partition whose batch failed gets a producer of its own until a batch succeeds again, so that
one failing partition does not hold up the others: `partition_producers.py` says which producer a partition uses.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Literal

from aiokafka import AIOKafkaClient, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    BrokerResponseError,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnknownError,
    UnsupportedForMessageFormatError,
    kafka_errors,
)

from consumer.edge.kafka.clients import close_producer, cut_off, fill, partition_numbers
from consumer.edge.kafka.connection import REFUSALS, KafkaConnection, refused, until_reachable, words
from consumer.edge.kafka.partition_producers import PartitionProducers, ProducerUse
from consumer.service.ports import PlainMessage, TopicGoneError

Codec = Literal["gzip", "snappy", "lz4", "zstd"]

ASK_AGAIN_SECONDS = 0.2
GONE_AFTER = 10
"""How many times in a row a broker has to say that a topic does not exist: all brokers know a new topic sooner."""
MAX_BATCH_BYTES = 1_048_588
"""The default of `max.message.bytes`."""


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]  # the client has no types
    """A broker has rejected a record after validation: mostly one without a key for a compacted topic."""

    errno = 87
    message = "INVALID_RECORD"
    description = "the topic does not take such records; a compacted one takes none without a key"


kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)  # the client does not know this error
LASTING = (
    InvalidRecordError,
    InvalidTimestampError,
    InvalidTopicError,
    PolicyViolationError,
    UnsupportedForMessageFormatError,
)
"""Errors, beside those about permissions, for which a retry is no use: a person has to change the topic. The batch did not
land."""


class RejectedError(Exception):
    """The brokers refuse a batch because of the topic's settings; it did not land."""


class NotAcknowledgedError(Exception):
    """A batch was not acknowledged: it may have landed, or may land yet."""


class NotHandedOverError(NotAcknowledgedError):
    """A batch was not acknowledged, and surely has not landed: it was not handed to the producer."""


class TooLargeError(Exception):
    """A batch, or a single record, is larger than the brokers allow; it did not land."""

    def __init__(self, why: str, *, count: int) -> None:
        """`count` messages were in it."""
        super().__init__(why)
        self.count = count


class PartitionMissingError(Exception):
    """The topic exists and has fewer partitions than asked for."""


@dataclass(slots=True, eq=False)
class _Running:
    """One producer; `failed` gets the reason when it must not be used any more."""

    producer: AIOKafkaProducer
    failed: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class BatchProducer:
    """Sends batches, each to one partition.

    A caller who wants batches of a partition in order sends one of them at a time.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        batch_bytes: int,
        compression: Codec | None,
        acknowledge_seconds: float,
        on_replaced: Callable[[str], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        """Prepare. `on_replaced` gets why a producer was replaced, `on_trouble` why we wait for the brokers."""
        self._connection = connection
        self._batch_bytes = batch_bytes
        self._compression = compression
        self._acknowledge_seconds = acknowledge_seconds
        self._on_replaced = on_replaced
        self._on_trouble = on_trouble
        self._producers = PartitionProducers[_Running]()
        self._starting_shared = asyncio.Lock()
        self._starting_own: defaultdict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._cut_off: list[AIOKafkaProducer] = []

    async def start(self) -> None:
        """Wait until the brokers can be reached: they may still be starting.

        Raises:
            KafkaRefusedError: the brokers refuse us.
            KafkaUnreachableError: no broker answers.
        """
        await until_reachable(self._connection, on_trouble=self._on_trouble)

    async def stop(self) -> None:
        """Disconnect. A batch that is not acknowledged by then may or may not land."""
        for running in self._producers.stop():
            self._cut(running, "stopped")
        await self._close_cut_off()

    async def numbers(self, topic: str) -> frozenset[int]:
        """Return the topic's partitions.

        Raises:
            NotHandedOverError: no broker has said within the deadline.
            TopicGoneError: there is no such topic.
            KafkaRefusedError: the brokers refuse us.
        """
        try:
            async with asyncio.timeout(self._acknowledge_seconds):
                return await self._known(await self._shared(), topic)
        except REFUSALS as error:
            raise refused(error, self._connection) from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise NotHandedOverError(f"{topic}: {words(error)}") from error

    async def send_whole(self, target: TopicPartition, messages: Sequence[PlainMessage]) -> int:
        """Send `messages` as one batch; return the first one's offset. Raises as `send_some` does."""
        offset, _ = await self._send(target, partial(_whole, messages=messages))
        return offset

    async def send_some(
        self, target: TopicPartition, messages: Sequence[PlainMessage], *, first: int, at_most: int
    ) -> tuple[int, int]:
        """Send as many of `messages` as fit into one batch, from index `first` on, and not more than `at_most`.

        Return the offset of the first one, and their number.

        Raises:
            NotHandedOverError: surely not sent.
            NotAcknowledgedError: it may have landed or may land yet; its producer has been replaced.
            TooLargeError: the broker refuses the batch as too large, or the first message alone exceeds the limit.
            RejectedError: the broker refuses such records.
            PartitionMissingError: the topic has no such partition.
            TopicGoneError: there is no such topic.
            KafkaRefusedError: the brokers refuse us.
        """
        return await self._send(target, partial(_fill, messages=islice(messages, first, first + at_most)))

    async def _send(self, target: TopicPartition, fill: Callable[[Any], int]) -> tuple[int, int]:
        handed_over: _Running | None = None
        count = 0
        try:
            async with asyncio.timeout(self._acknowledge_seconds):
                running = await self._ready(target)
                builder = running.producer.create_batch()
                count = fill(builder)
                handed_over = running
                offset = await self._acknowledged(running, builder, target)
        except REFUSALS as error:
            self._fail(handed_over, target, words(error))
            raise refused(error, self._connection) from error
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            self._fail(handed_over, target, words(error))
            raise TooLargeError(
                f"the broker does not take a batch this large for {_name(target)}", count=count
            ) from error
        except LASTING as error:
            self._fail(handed_over, target, words(error))
            raise RejectedError(_rejected(target, error)) from error
        except (KafkaError, OSError, TimeoutError) as error:
            why = f"{_name(target)}: {words(error)}"
            if handed_over is None:
                self._separate_if_leaderless(target)
                raise NotHandedOverError(why) from error
            self._fail(handed_over, target, why)
            raise NotAcknowledgedError(why) from error
        self._succeeded(target, running)
        return offset, count

    async def _acknowledged(self, running: _Running, builder: Any, target: TopicPartition) -> int:
        future = await running.producer.send_batch(builder, target.topic, partition=target.partition)
        try:
            await asyncio.wait({future, running.failed}, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise NotAcknowledgedError(f"{_name(target)}: its producer failed ({running.failed.result()})")
            offset = int(future.result().offset)
            if offset < 0:  # the batch landed at an earlier try, and the broker no longer knows where
                raise UnknownError(f"duplicate of a batch at an unknown offset of {_name(target)}")
            return offset
        finally:
            future.cancel()  # it is a shield around the batch: its exception would be reported as never retrieved

    # ---------------------------------------------------------------- producers

    async def _ready(self, target: TopicPartition) -> _Running:
        """Return a producer that knows a leader for the partition, so that a batch is sent at once."""
        running = await self._running(target)
        client = running.producer.client
        while True:
            numbers = await self._known(running, target.topic)
            if target.partition not in numbers:
                await client.force_metadata_update()
                numbers = await self._known(running, target.topic)
                if target.partition not in numbers:
                    raise PartitionMissingError(f"{target.topic} has {len(numbers)} partitions, no {target.partition}")
            if _has_leader(client, target):
                return running
            if not await client.force_metadata_update():
                raise LeaderNotAvailableError(target)
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _known(self, running: _Running, topic: str) -> frozenset[int]:
        """Return the topic's partitions once the producer's client knows them."""
        client = running.producer.client
        denials = 0
        while (numbers := client.cluster.partitions_for_topic(topic)) is None:
            await client.add_topic(topic)
            await client.force_metadata_update()
            if client.cluster.partitions_for_topic(topic) is None:
                denials = denials + 1 if await partition_numbers(client, topic) is None else 0
                if denials >= GONE_AFTER:
                    raise TopicGoneError(f"topic {topic!r} does not exist (any more): create it, then start again")
                await asyncio.sleep(ASK_AGAIN_SECONDS)
        return frozenset(numbers)

    async def _running(self, target: TopicPartition) -> _Running:
        """Return the producer that the partition uses; start it if it is not running."""
        while True:
            match self._producers.use_of(target):
                case ProducerUse.SHARES:
                    return await self._shared()
                case ProducerUse.HAS_ITS_OWN:
                    return self._producers.own(target)
                case ProducerUse.NEEDS_ITS_OWN:
                    await self._start_own(target)

    async def _shared(self) -> _Running:
        """Return the producer that all share. The first caller who needs it starts it, and the others wait."""
        async with self._starting_shared:
            running = self._producers.shared
            if running is None:
                running = await self._started()
                self._producers.shared_started(running)
                await self._close_cut_off()
            return running

    async def _start_own(self, target: TopicPartition) -> None:
        """Start a producer for the partition alone, unless another caller has done so while this one waited."""
        async with self._starting_own[target]:
            if self._producers.use_of(target) is ProducerUse.NEEDS_ITS_OWN:
                self._producers.own_started(target, await self._started())
                await self._close_cut_off()

    async def _started(self) -> _Running:
        producer = AIOKafkaProducer(
            **self._connection.client_arguments(),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            compression_type=self._compression,
            max_batch_size=self._batch_bytes,
            # a frozen broker is noticed in this time, so that another can be asked within the deadline
            request_timeout_ms=int(self._acknowledge_seconds * 600),
        )
        try:
            await producer.start()
        except BaseException:
            self._drop(producer)
            raise
        return _Running(producer)

    def _fail(self, running: _Running | None, target: TopicPartition, why: str) -> None:
        """Take a producer out of use, and give the partition whose batch failed one of its own."""
        if running is None or running.failed.done():
            return
        self._producers.failed(target, running)
        self._cut(running, why)
        self._on_replaced(why)

    def _separate_if_leaderless(self, target: TopicPartition) -> None:
        """Give a partition without a leader a producer of its own, before a batch fails.

        Metadata may name the dead leader once more. A batch to it would fail, and the shared producer with it.
        """
        shared = self._producers.shared
        if shared is not None and not _has_leader(shared.producer.client, target):
            self._producers.no_leader(target)

    def _succeeded(self, target: TopicPartition, running: _Running) -> None:
        """Let the partition share again, and cut off its own producer if it had one."""
        unneeded = self._producers.succeeded(target, running)
        if unneeded is not None:
            self._cut(unneeded, "no longer needed")

    def _cut(self, running: _Running, why: str) -> None:
        if not running.failed.done():
            running.failed.set_result(why)
            self._drop(running.producer)

    def _drop(self, producer: AIOKafkaProducer) -> None:
        cut_off(producer)
        self._cut_off.append(producer)

    async def _close_cut_off(self) -> None:
        """Close the producers that were cut off."""
        while self._cut_off:
            producer = self._cut_off[0]
            await close_producer(producer)
            if producer in self._cut_off:
                self._cut_off.remove(producer)


def _has_leader(client: AIOKafkaClient, target: TopicPartition) -> bool:
    return client.cluster.leader_for_partition(target) not in (None, -1)


def _fill(builder: Any, messages: Iterable[PlainMessage]) -> int:
    """Put as many messages into a batch as fit, at least one; return their number."""
    count = fill(builder, messages)
    if builder.size() > MAX_BATCH_BYTES:  # a builder accepts any first record, however large
        raise TooLargeError(
            f"a record of {builder.size()} bytes: at most {MAX_BATCH_BYTES} are handed over", count=count
        )
    return count


def _whole(builder: Any, messages: Sequence[PlainMessage]) -> int:
    count = _fill(builder, messages)
    if count < len(messages):
        raise TooLargeError(f"{len(messages)} messages do not fit into one batch", count=len(messages))
    return count


def _rejected(target: TopicPartition, error: Exception) -> str:
    cure = "see the brokers' log and the topic's settings"
    if isinstance(error, InvalidRecordError):
        cure = "set its cleanup.policy to delete, a compacted topic takes no record without a key"
    return f"topic {target.topic!r} does not take what is written to it ({words(error)}): {cure}"


def _name(target: TopicPartition) -> str:
    return f"{target.topic}:{target.partition}"
