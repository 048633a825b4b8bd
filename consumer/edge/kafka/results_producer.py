"""Publishes results and dead letters in large batches until the brokers have acknowledged them. Never reads a topic.

At least once: what was not acknowledged is sent again, so after an error a message may be in the topic twice.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

from consumer.edge.kafka.batch_producer import (
    BatchProducer,
    Codec,
    NotAcknowledgedError,
    PartitionMissingError,
    RejectedError,
    TooLargeError,
)
from consumer.edge.kafka.connection import KafkaConnection, KafkaRefusedError
from consumer.service.ports import MessageTooLargeError, NotTakenError, PlainMessage

BATCH_BYTES = 900 * 1024
"""Some 1,400 results; building and compressing them blocks the loop for 2 ms. Only one batch of a partition is in flight at
a time, and a busy loop notices its end late. Smaller batches make publishing the slowest stage, and the buffer fills."""
DEFAULT_COMPRESSION: Codec = "snappy"
"""The cheapest codec. CPU seconds of this process for a million results of 620 bytes in batches of 250 KiB (2 cores, with
the broker on the same machine): none 3.4 to 4.8, snappy 2.3 to 2.7, zstd 2.9 to 3.9, lz4 (at the client's fixed level 9)
7.2. Compressing is cheaper than copying and sending. Size: snappy a 5th, lz4 a 6th, zstd an 11th."""
ACKNOWLEDGE_SECONDS = 15.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class KafkaResults:
    """Publishes to any topic, for one caller at a time of each partition number."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        on_replaced: Callable[[str], None],
        on_trouble: Callable[[str], None] = lambda _why: None,
        compression: Codec | None = DEFAULT_COMPRESSION,
    ) -> None:
        """Prepare. `on_replaced` gets why a producer was replaced, `on_trouble` why a batch is sent again."""
        self._on_trouble = on_trouble
        self._at_most: dict[str, int] = {}
        """The most messages in a batch, for topics that have refused a larger one."""
        self._locks: defaultdict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One batch of each partition is in flight at a time, also if several callers publish to it."""
        self._producer = BatchProducer(
            connection,
            batch_bytes=BATCH_BYTES,
            compression=compression,
            acknowledge_seconds=ACKNOWLEDGE_SECONDS,
            on_replaced=on_replaced,
            on_trouble=on_trouble,
        )

    async def start(self) -> None:
        """Wait until the brokers can be reached: they may still be starting.

        Raises:
            KafkaRefusedError: the brokers refuse us.
            KafkaUnreachableError: no broker answers.
        """
        await self._producer.start()

    async def publish(self, topic: str, partition: int | None, messages: Sequence[PlainMessage]) -> None:
        """Return once the brokers have acknowledged all of `messages`. Retries for as long as it takes.

        `partition` is taken modulo the topic's partition count. None spreads the messages by key.

        Raises:
            MessageTooLargeError: a single message is larger than the topic allows.
            NotTakenError: the brokers refuse it: permissions or the topic's settings are wrong.
            TopicGoneError: there is no such topic.
        """
        if partition is not None:
            await self._publish(topic, partition, messages)
            return
        count = await self._count(topic)
        spread: dict[int, list[PlainMessage]] = {}
        for index, message in enumerate(messages):
            key = message[0]
            number = index if key is None else murmur2(key) & 0x7FFFFFFF
            spread.setdefault(number % count, []).append(message)
        for number, part in spread.items():
            await self._publish(topic, number, part)

    async def stop(self) -> None:
        """Disconnect. A message that is not acknowledged by then may or may not land."""
        await self._producer.stop()

    async def _publish(self, topic: str, number: int, messages: Sequence[PlainMessage]) -> None:
        done, pause_seconds = 0, FIRST_PAUSE_SECONDS
        while done < len(messages):
            try:
                target = TopicPartition(topic, number % await self._count(topic))
                async with self._locks[target]:
                    done += await self._send(target, messages, done)
            except (NotAcknowledgedError, PartitionMissingError) as error:
                self._on_trouble(f"{error}; sent again")
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            except (KafkaRefusedError, RejectedError) as error:
                raise NotTakenError(str(error), published=done) from error
            else:
                pause_seconds = FIRST_PAUSE_SECONDS

    async def _send(self, target: TopicPartition, messages: Sequence[PlainMessage], first: int) -> int:
        """Send a batch of a size that the topic allows; return how many messages it had."""
        topic = target.topic
        while True:
            at_most = self._at_most.get(topic, len(messages))
            try:
                _, count = await self._producer.send_some(target, messages, first=first, at_most=at_most)
            except TooLargeError as error:
                if error.count <= 1:
                    self._at_most.pop(topic, None)  # only this message was too large: others go in whole batches
                    raise MessageTooLargeError(_too_large(topic, messages[first]), published=first) from error
                self._at_most[topic] = error.count // 2
            else:
                return count

    async def _count(self, topic: str) -> int:
        """Return how many partitions the topic has; retries for as long as it takes."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            try:
                return len(await self._producer.numbers(topic))
            except NotAcknowledgedError as error:
                self._on_trouble(str(error))
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def _too_large(topic: str, message: PlainMessage) -> str:
    key, value, _ = message
    size_bytes = len(key or b"") + len(value or b"")
    return f"topic {topic!r} takes no message of {size_bytes} bytes: raise its max.message.bytes"
