"""The records of a plan in a few bytes each: offsets as steps, and a digest of what stands there. Reads no topic.

Of each partition: for every record the step from the offset before it, doubled, with a lowest bit that says whether its
deadline is put off, as a little-endian base-128 number; behind all of these, four bytes of digest for every record.
"""

import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from sys import byteorder
from typing import Final, NamedTuple, Protocol

import msgspec
from xxhash import xxh3_64_intdigest

DIGEST_BYTES: Final = 4
_32_BITS: Final = 2**32 - 1
_SEVEN_BITS: Final = 0x7F
_MORE: Final = 0x80
_NONE: Final = 1
"""Seed of what is not there, so that no key and an empty one differ."""


class OriginalRecord(Protocol):
    """The part of a record that a resend repeats; what a Kafka client hands out fits as it is."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class PlannedRecord(NamedTuple):
    """One record that is to be sent again."""

    offset: int
    digest: int
    """`record_digest` of it when the plan was made."""
    extended: bool
    """Whether it gets a new deadline, counted from its publication."""


class BadCodingError(ValueError):
    """Coded records that are none; the message is one line."""


def record_fingerprint(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Return 64 bits of key, value and headers."""
    digest = xxh3_64_intdigest(key or b"", 0 if key is not None else _NONE)
    digest = xxh3_64_intdigest(value or b"", digest if value is not None else digest ^ _NONE)
    for name, content in headers:
        digest = xxh3_64_intdigest(name.encode(), digest)
        digest = xxh3_64_intdigest(content or b"", digest if content is not None else digest ^ _NONE)
    return digest


def digest_in(fingerprint: int) -> int:
    """Return the 32 bits of a fingerprint that a plan holds."""
    return fingerprint & _32_BITS


def record_digest(record: OriginalRecord) -> int:
    """Return 32 bits of key, value and headers: another record at its offset has others, but for one in four billion."""
    return digest_in(record_fingerprint(record.key, record.value, record.headers))


class PlannedPartition(msgspec.Struct, frozen=True, kw_only=True):
    """The records of one partition that are to be sent again, in the order of their offsets."""

    topic: str
    partition: int
    count: int
    first: int
    last: int
    coded: str
    """See above, compressed by zlib, as base64."""

    def raw(self) -> bytes:
        """Return what the digest of a plan goes over.

        Raises:
            BadCodingError: it cannot be read.
        """
        try:
            return zlib.decompress(b64decode(self.coded, validate=True))
        except (ValueError, zlib.error):
            raise BadCodingError(f"the records of {self.topic}:{self.partition} cannot be read") from None

    def records(self) -> Iterator[PlannedRecord]:
        """Yield the records, in the order of their offsets.

        Raises:
            BadCodingError: they cannot be read, or are not as many as the plan says.
        """
        raw = self.raw()
        digests_at = len(raw) - DIGEST_BYTES * self.count
        if digests_at < self.count:
            raise BadCodingError(f"the records of {self.topic}:{self.partition} are not as many as the plan says")
        digests = array("I")
        digests.frombytes(raw[digests_at:])
        if byteorder == "big":
            digests.byteswap()
        yield from self._decoded(raw[:digests_at], digests)

    def _decoded(self, steps: bytes, digests: "array[int]") -> Iterator[PlannedRecord]:
        offset, number, shift, index = 0, 0, 0, 0
        for byte in steps:
            number |= (byte & _SEVEN_BITS) << shift
            if byte & _MORE:
                shift += 7
                continue
            offset += number >> 1
            if index < self.count:
                yield PlannedRecord(offset, digests[index], bool(number & 1))
            number = shift = 0
            index += 1
        if index != self.count or shift or offset != self.last:
            raise BadCodingError(f"the records of {self.topic}:{self.partition} are not as many as the plan says")


class Coding:
    """Codes the records of one partition, one after the other."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._steps = bytearray()
        self._digests = array("I")
        self._first = self._last = 0

    def add(self, record: PlannedRecord) -> None:
        """Add the next record; offsets rise."""
        offset, digest, extended = record
        if self._digests:
            assert offset > self._last, (offset, self._last)
        else:
            self._first = offset
        number = (offset - self._last) << 1 | extended
        while number > _SEVEN_BITS:
            self._steps.append(number & _SEVEN_BITS | _MORE)
            number >>= 7
        self._steps.append(number)
        self._digests.append(digest)
        self._last = offset

    def done(self) -> PlannedPartition | None:
        """Return what was added; None where that is nothing."""
        if not self._digests:
            return None
        digests = self._digests
        if byteorder == "big":
            digests.byteswap()
        raw = bytes(self._steps) + digests.tobytes()
        return PlannedPartition(
            topic=self._topic,
            partition=self._partition,
            count=len(digests),
            first=self._first,
            last=self._last,
            coded=b64encode(zlib.compress(raw)).decode("ascii"),
        )
