"""Batches of records made by hand, as other clients may write them and disks may leave them. Checks nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

FRAME = Struct(">qiib")
REST = Struct(">hiqqqhii")
TRANSACTIONAL, CONTROL = 0x10, 0x20
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"
CODECS = (lambda data: data, gzip_encode, snappy_encode, lz4_encode, zstd_encode)
"""By their numbers in a batch's attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A record as bytes; a header's name too, for nobody makes sure that it is text."""

    value: bytes | None = b"{}"
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    delta: int | None = None
    """Of its offset; None: its place in the batch."""
    timestamp_delta: int = 0


def body(records: Sequence[Raw]) -> bytes:
    """The records of a batch, uncompressed."""
    out = bytearray()
    for place, record in enumerate(records):
        inside = bytearray(b"\0")
        encode_varint(record.timestamp_delta, inside.append)
        encode_varint(place if record.delta is None else record.delta, inside.append)
        _field(inside, record.key)
        _field(inside, record.value)
        encode_varint(len(record.headers), inside.append)
        for name, content in record.headers:
            _field(inside, name)
            _field(inside, content)
        encode_varint(len(inside), out.append)
        out += inside
    return bytes(out)


def _field(out: bytearray, data: bytes | None) -> None:
    if data is None:
        encode_varint(-1, out.append)
    else:
        encode_varint(len(data), out.append)
        out += data


def batch(
    records: Sequence[Raw],
    *,
    base: int = 0,
    codec: int = 0,
    attributes: int = 0,
    producer: int = -1,
    span: int | None = None,
    count: int | None = None,
    timestamp_ms: int = 1_790_000_000_000,
    inside: bytes | None = None,
) -> bytes:
    """A whole batch with its checksum. `span` is how many offsets it covers, `inside` stands for what it holds."""
    encoded = CODECS[codec](body(records)) if inside is None else inside
    span = len(records) if span is None else span
    count = len(records) if count is None else count
    rest = REST.pack(codec | attributes, span - 1, timestamp_ms, timestamp_ms, producer, -1, -1, count)
    checked = rest + bytes(encoded)
    length = 4 + 1 + 4 + len(checked)
    return b"".join((FRAME.pack(base, length, -1, 2), calc_crc32c(checked).to_bytes(4, "big"), checked))


def marker(key: bytes, *, base: int, producer: int) -> bytes:
    """A batch that ends a transaction, `key` being ABORT or COMMIT."""
    record = Raw(key=key, value=b"\0\0\0\0\0\0")
    return batch([record], base=base, attributes=TRANSACTIONAL | CONTROL, producer=producer)


async def publish(bootstrap_servers: str, partition: TopicPartition, raw: bytes) -> int:
    """Have the partition's leader append a batch as it is; return the offset of its first record."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        await client.add_topic(partition.topic)
        leader = client.cluster.leader_for_partition(partition)
        data = [(partition.topic, [(partition.partition, raw)])]
        request = ProduceRequest(transactional_id=None, required_acks=-1, timeout=10_000, topics=data)
        answer = await client.send(leader, request)
        ((_topic, ((_number, code, offset, *_),)),) = answer.topics
        if code:
            raise for_code(code)(f"the broker does not take it: {code}")
        return int(offset)
    finally:
        await client.close()
