"""A batch of records, read by hand where the compiled parser stumbles: slowly, and as far as anybody can. Asks no broker."""

import gzip
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

from aiokafka.codec import lz4_decode, snappy_decode, zstd_decode

from consumer.core.event import UnreadableRecord

HEAD: Final = Struct(">qiibIhiqqqhii")
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
"""In a batch's attributes: part of a transaction, and what ends one."""
_CODEC, _APPEND_TIME = 0x07, 0x08


class HandRead(NamedTuple):
    """A record that was read by hand, with what is looked at of the compiled parser's records."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class BatchHead(NamedTuple):
    """What stands before the records of a batch."""

    base: int
    length: int
    epoch: int
    magic: int
    checksum: int
    attributes: int
    last_delta: int
    first_timestamp: int
    max_timestamp: int
    producer: int
    producer_epoch: int
    sequence: int
    records: int

    @property
    def end(self) -> int:
        """One past its last offset."""
        return self.base + self.last_delta + 1

    @property
    def is_dense(self) -> bool:
        """Whether there is a record for every offset: compaction has removed none."""
        return self.records == self.last_delta + 1


def decompressed(head: BatchHead, body: bytes) -> bytes:
    """Return what stands behind a batch's head. What is wrong with it comes out in each library's own errors."""
    match head.attributes & _CODEC:
        case 0:
            return body
        case 1:
            return gzip.decompress(body)
        case 2:
            return bytes(snappy_decode(body))
        case 3:
            return bytes(lz4_decode(body))
        case 4:
            return bytes(zstd_decode(body))
        case unknown:
            raise ValueError(f"no codec has number {unknown}")


def read_by_hand(head: BatchHead, body: bytes) -> Iterator[HandRead | UnreadableRecord]:
    """Yield the records of a batch without compression; behind the first whose length is impossible none can be read.

    In a batch without gaps a record's place says its offset, whatever it says itself.
    """
    at, offset = 0, head.base - 1
    for place in range(head.records):
        try:
            length, start = _varint(body, at)
        except IndexError:
            length, start = -1, at
        at = start + length
        if length < 0 or at > len(body):
            last = min(offset + head.records - place, head.end - 1)
            for lost in range(offset + 1, last + 1):
                yield UnreadableRecord(offset=lost, why="its batch ends before it")
            return
        offset += 1
        try:
            record = _record(head, body[start:at])
        except (IndexError, ValueError) as error:
            yield UnreadableRecord(offset=offset, why=f"its fields do not fit ({error})")
            continue
        if not head.is_dense and offset <= record.offset < head.end:
            offset = record.offset
        yield record._replace(offset=offset)


def _record(head: BatchHead, raw: bytes) -> HandRead:
    timestamp_delta, at = _varint(raw, 1)  # behind attributes that say nothing yet
    offset_delta, at = _varint(raw, at)
    key, at = _bytes(raw, at)
    value, at = _bytes(raw, at)
    count, at = _varint(raw, at)
    if not 0 <= count <= len(raw):
        raise ValueError("an impossible number of headers")
    headers = []
    for _ in range(count):
        name, at = _bytes(raw, at)
        content, at = _bytes(raw, at)
        headers.append((_name(name or b""), content))
    if at != len(raw):
        raise ValueError("bytes are left over")
    is_append_time = head.attributes & _APPEND_TIME
    timestamp = head.max_timestamp if is_append_time else head.first_timestamp + timestamp_delta
    return HandRead(head.base + offset_delta, timestamp, key, value, headers)


def _name(raw: bytes) -> str:
    """A header's name. Where it is not UTF-8 it is most likely Latin-1, which says something of any bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _bytes(raw: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(raw, at)
    if length < 0:
        return None, at
    if at + length > len(raw):
        raise ValueError("a field is longer than its record")
    return raw[at : at + length], at + length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number in zig-zag coding, and where it ends.

    Raises:
        IndexError: it does not end, or not within ten bytes.
    """
    number = 0
    for shift in range(0, 70, 7):
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise IndexError("a number does not end")
