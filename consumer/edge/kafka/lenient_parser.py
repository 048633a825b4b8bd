"""A lenient, slow parser for record batches that the client's compiled parser cannot read. Asks no broker."""

import gzip
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

from aiokafka.codec import lz4_decode, snappy_decode, zstd_decode

from consumer.core.event import UnreadableRecord

HEAD: Final = Struct(">qiibIhiqqqhii")
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
"""Bits of a batch's attributes: it is part of a transaction; it is a control batch, such as the end of one."""
_CODEC, _APPEND_TIME = 0x07, 0x08


class LenientRecord(NamedTuple):
    """A record from the lenient parser, with those fields of the compiled parser's records that we use."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class BatchHead(NamedTuple):
    """The head of a batch, before its records."""

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
        """One past the batch's last offset."""
        return self.base + self.last_delta + 1

    @property
    def is_dense(self) -> bool:
        """Whether every offset has a record: compaction has removed none."""
        return self.records == self.last_delta + 1


def decompressed(head: BatchHead, body: bytes) -> bytes:
    """Return the decompressed records of a batch. A damaged body raises the error of the codec's library."""
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


def parse_leniently(head: BatchHead, body: bytes) -> Iterator[LenientRecord | UnreadableRecord]:
    """Yield the records of a decompressed batch. After a record with an impossible length, all others are unreadable.

    In a batch without gaps, a record's offset follows from its place; the offset in the record itself is ignored.
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


def _record(head: BatchHead, raw: bytes) -> LenientRecord:
    timestamp_delta, at = _varint(raw, 1)  # after the record's attributes, which are not used yet
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
    return LenientRecord(head.base + offset_delta, timestamp, key, value, headers)


def _name(raw: bytes) -> str:
    """Return a header's name. If it is not UTF-8, it is decoded as Latin-1, which never fails."""
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
