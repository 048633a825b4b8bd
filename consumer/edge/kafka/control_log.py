"""Reads and writes the control topic, which has operators' orders about campaigns. Does not interpret them."""

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition

from consumer.core.platform.control import ControlRecord
from consumer.edge.kafka.batch_producer import (
    MAX_BATCH_BYTES,
    BatchProducer,
    NotAcknowledgedError,
    PartitionMissingError,
    RejectedError,
    TooLargeError,
)
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.reading.topic_reader import Isolation, TopicReader
from consumer.service.ports import ControlRead, Message, NotTakenError

ACKNOWLEDGE_SECONDS = 10.0


class KafkaControl:
    """One topic of one partition, for one group."""

    def __init__(self, connection: KafkaConnection, *, topic: str, on_trouble: Callable[[str], None]) -> None:
        """Prepare. `on_trouble` gets why a request is repeated."""
        self._partition = TopicPartition(topic, 0)
        self._reader = TopicReader(connection, isolation=Isolation.COMMITTED, on_trouble=on_trouble)
        self._producer = BatchProducer(
            connection,
            batch_bytes=MAX_BATCH_BYTES,
            compression=None,
            acknowledge_seconds=ACKNOWLEDGE_SECONDS,
            on_replaced=on_trouble,
            on_trouble=on_trouble,
        )

    @property
    def topic(self) -> str:
        """The topic's name."""
        return str(self._partition.topic)

    async def read(self, position: int) -> ControlRead:
        """Return the records from `position` up to the topic's present end; retries for as long as it takes.

        Raises:
            TopicGoneError: there is no such topic.
            KafkaRefusedError: the brokers refuse us.
        """
        _, end = await self._reader.bounds(self._partition)
        records = await self._reader.read(self._partition, position, end) if position < end else []
        return ControlRead(
            records=[ControlRecord(record.offset, record.timestamp, record.key, record.value) for record in records],
            end=end,
        )

    async def write(self, messages: Sequence[Message]) -> None:
        """Append in one batch, and return once the brokers have acknowledged it.

        Raises:
            NotTakenError: they did not, or it is unknown; the message says what to do.
            TopicGoneError: there is no such topic.
            KafkaRefusedError: the brokers refuse us.
        """
        try:
            await self._producer.send_whole(self._partition, messages)
        except (NotAcknowledgedError, PartitionMissingError, RejectedError, TooLargeError) as error:
            raise NotTakenError(
                f"topic {self.topic!r} has not acknowledged it ({error}): check with `campaigns list`, and try again"
            ) from error

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()
        await self._reader.stop()
