"""Writes records and reads whole topics, for tests. Knows nothing of what is in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

Codec = Literal["gzip", "snappy", "lz4", "zstd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A record to be written. Without a partition the key chooses it."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


async def write(
    bootstrap_servers: str, topic: str, records: Iterable[Written], *, codec: Codec | None = None
) -> list[tuple[int, int]]:
    """Write records in order, and give the partition and offset of each once all are acknowledged."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", compression_type=codec, linger_ms=5
    ) as producer:
        sent = [
            await producer.send(
                topic,
                record.value,
                record.key,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
                headers=list(record.headers),
            )
            for record in records
        ]
        await producer.flush()
        return [(acknowledged.partition, acknowledged.offset) for acknowledged in [await one for one in sent]]


async def read_all(bootstrap_servers: str, topic: str) -> list["ConsumerRecord[bytes | None, bytes | None]"]:
    """Every record that a topic holds now, partition by partition in order of offset. LookupError without the topic."""
    read: list[ConsumerRecord[bytes | None, bytes | None]] = []
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest", group_id=None)
    async with consumer:
        partitions = [TopicPartition(topic, number) for number in await _partitions(bootstrap_servers, topic)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                read += batch
    wanted = (record for record in read if record.offset < ends[TopicPartition(topic, record.partition)])
    return sorted(wanted, key=lambda record: (record.partition, record.offset))


async def _partitions(bootstrap_servers: str, topic: str) -> list[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if described["error_code"] == UnknownTopicOrPartitionError.errno:
        raise LookupError(f"there is no topic {topic}")
    return [partition["partition"] for partition in described["partitions"]]
