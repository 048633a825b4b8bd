"""Parses the record batches of a broker's answer, whatever producers and disks have made of them. Asks no broker.

The client itself raises an exception at the first thing that it does not expect, such as a header name that is not UTF-8,
and meets it again at each retry. Here its compiled parser goes first, because it is fast. A batch that it cannot parse
goes to the lenient parser (`lenient_parser.py`). A record that neither can parse becomes an `UnreadableRecord`.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from struct import Struct
from typing import Any, Final

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from consumer.core.event import UnreadableRecord
from consumer.edge.kafka.lenient_parser import CONTROL, HEAD, TRANSACTIONAL, BatchHead, decompressed, parse_leniently

CHUNK_RECORDS: Final = 1_000
"""Unpacked without a pause, about a millisecond: a batch of 1 MiB may hold a hundred thousand."""

MOST_RECORDS: Final = 1_000_000
"""If a damaged batch claims to hold more, its head counts as damaged, too."""

_FRAME: Final = Struct(">qi")  # base offset, and how many bytes follow
_MAGIC_AT: Final = 16
_LEAST_BYTES: Final = 26
"""The shortest batch: a record of the oldest format without key and value, with its frame."""
_ABORT: Final = b"\0\0\0\0"  # a control record's key: version 0, type 0

_offset_of = attrgetter("offset")


class DamagedError(CorruptRecordException):  # type: ignore[misc]  # the client is untyped
    """Fetched data has a wrong checksum or frame. It is worth fetching again."""

    def __init__(self, partition: TopicPartition, offset: int, why: str) -> None:
        """Name the partition and the first offset of what is damaged."""
        super().__init__(f"{partition.topic}:{partition.partition} is damaged at offset {offset}: {why}")
        self.partition = partition


class FetchedBytes:
    """Replaces the client's own reader of fetched data (`MemoryRecords`), and keeps the bytes as they are."""

    def __init__(self, data: bytes | None) -> None:
        """Take the part of a broker's answer that is about one partition."""
        self.data = data or b""
        self._own: Any = None

    def next_batch(self) -> Any:
        """Parse as the client does, for clients of this process that `hand_out_records` has not changed."""
        self._own = self._own or MemoryRecords(self.data)
        return self._own.next_batch()

    def has_next(self) -> bool:
        """Return whether there is at least one complete batch."""
        if self._own is not None:
            return bool(self._own.has_next())
        if len(self.data) < _FRAME.size:
            return False
        _, length = _FRAME.unpack_from(self.data)
        return bool(_FRAME.size + length <= len(self.data))

    def size_in_bytes(self) -> int:
        """Return 0: with any other size, the client would skip one offset at an incomplete batch."""
        return 0


class Patience:
    """How long damaged data is fetched again: another replica may become leader, and have it undamaged."""

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        """Prepare; `clock` counts seconds."""
        self._seconds = seconds
        self._clock = clock
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def is_over(self, partition: TopicPartition, offset: int) -> bool:
        """Return whether the damaged data at this offset has been fetched for long enough."""
        known, since = self._since.get(partition, (None, 0.0))
        if known != offset:
            self._since[partition] = (offset, self._clock())
            return self._seconds <= 0
        return self._clock() - since >= self._seconds


class Unpacked:
    """The records of one partition in one answer, from a position on; `take` returns them piece by piece.

    It replaces the client's own object, so `next_fetch_offset` has the client's name.
    """

    def __init__(
        self,
        partition: TopicPartition,
        data: bytes,
        *,
        position: int,
        aborted: Sequence[tuple[int, int]] | None,
        patience: Patience,
    ) -> None:
        """Prepare. `aborted` are transactions as (producer, first offset); None: aborted transactions are read, too."""
        self.next_fetch_offset = position
        """The offset past the last record taken, and past offsets that have no readable record."""
        self.is_empty = False
        self._partition = partition
        self._data = data
        self._reached = position
        self._aborted = None if aborted is None else sorted(aborted, key=lambda one: one[1])
        self._aborting: set[int] = set()
        self._patience = patience
        self._left: list[Any] = []
        self._trouble: DamagedError | None = None
        self._is_lost = False
        """Whether the end of the damaged data is unknown: then the rest of the answer is fetched again."""
        self._chunks = self._unpack()

    def take(self, most: int | None = None) -> list[Any]:
        """Return the next records, up to `most`; fewer only where there are no more.

        Raises:
            DamagedError: the next data is damaged; all records before it were returned.
        """
        if self._trouble is not None:
            raise self._trouble
        taken, self._left = self._left, []
        while most is None or len(taken) < most:
            try:
                chunk = next(self._chunks, None)
            except DamagedError as error:
                self._trouble = error
                if not taken:
                    raise
                break
            if chunk is None:
                self.is_empty = True
                break
            taken += chunk
        if most is not None and len(taken) > most:
            taken, self._left = taken[:most], taken[most:]
            self.is_empty = False
        self.next_fetch_offset = taken[-1].offset + 1 if self._left else self._reached
        return taken

    def close(self) -> None:
        """Free the data now: the suspended generator and this object refer to each other until garbage collection."""
        self._chunks.close()
        self._left = []

    # ---------------------------------------------------------------- batch by batch

    def _unpack(self) -> Generator[Sequence[Any], None, None]:
        data, at = self._data, 0
        while len(data) - at >= _FRAME.size and not self._is_lost:
            base, length = _FRAME.unpack_from(data, at)
            stop = at + _FRAME.size + length
            if stop - at < _LEAST_BYTES:
                yield from self._damaged(base, None, "a batch's length is impossible")
                return
            if stop > len(data):
                return
            raw, at = data[at:stop], stop
            if raw[_MAGIC_AT] < 2:  # noqa: PLR2004 - the format's number
                yield from self._old(raw)
                continue
            if len(raw) < HEAD.size:
                yield from self._damaged(base, None, "a batch's length is impossible")
                return
            yield from self._batch(BatchHead(*HEAD.unpack_from(raw)), raw)

    def _batch(self, head: BatchHead, raw: bytes) -> Iterator[Sequence[Any]]:
        batch = DefaultRecordBatch(raw)
        if not batch.validate_crc():
            yield from self._damaged(head.base, head, "a batch's checksum is wrong")
            return
        if head.end <= self._reached:
            return
        if not (self._is_hidden(head, raw) or head.attributes & CONTROL):
            try:
                yield from self._in_order(head, chain(batch))  # `chain`: the parser itself can be iterated only once
            except Exception:  # noqa: BLE001 - whatever the parser raises, the lenient one is tried
                yield from self._leniently(head, raw)
        self._reached = max(self._reached, head.end)

    def _in_order(self, head: BatchHead, records: Iterator[Any]) -> Iterator[Sequence[Any]]:
        """Yield a batch's records in chunks.

        Raises:
            ValueError: their offsets do not agree with the batch's head.
        """
        expected = head.base
        while chunk := list(islice(records, CHUNK_RECORDS)):
            offsets = list(map(_offset_of, chunk))
            if offsets != list(range(expected, expected + len(chunk))) and not _is_rising(offsets, expected, head):
                raise ValueError("offsets that do not follow one another")
            expected = offsets[-1] + 1
            yield self._from_here(chunk)
            self._reached = max(self._reached, expected)

    def _from_here(self, records: Sequence[Any]) -> Sequence[Any]:
        if records and records[0].offset < self._reached:
            records = [record for record in records if record.offset >= self._reached]
        if records:
            self._reached = records[-1].offset + 1
        return records

    def _leniently(self, head: BatchHead, raw: bytes) -> Iterator[Sequence[Any]]:
        try:
            body = decompressed(head, raw[HEAD.size :])
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            yield from self._unreadable(
                head.base, head.end, f"its batch cannot be decompressed ({type(error).__name__})"
            )
            return
        records = parse_leniently(head, body)
        while chunk := list(islice(records, CHUNK_RECORDS)):
            yield self._from_here(chunk)

    def _unreadable(self, first: int, end: int, why: str) -> Iterator[Sequence[Any]]:
        """Yield an `UnreadableRecord` for every offset from `first`, or from the position if that is later, up to `end`."""
        self._reached = max(self._reached, first)
        while self._reached < end:
            offsets = range(self._reached, min(end, self._reached + CHUNK_RECORDS))
            self._reached = offsets[-1] + 1
            yield [UnreadableRecord(offset=offset, why=why) for offset in offsets]

    def _damaged(self, base: int, head: BatchHead | None, why: str) -> Iterator[Sequence[Any]]:
        """Raise until the patience is over; then give up the offsets of the batch, or only the next one.

        The head is trusted if it is consistent. Then head and position say which offsets the batch covers.
        """
        if not self._patience.is_over(self._partition, base):
            raise DamagedError(self._partition, self._reached, why)
        if head is not None and head.is_dense and head.base <= self._reached and head.records <= MOST_RECORDS:
            end = head.end
        else:
            end = self._reached + 1
            self._is_lost = True
        yield from self._unreadable(self._reached, end, why)

    def _old(self, raw: bytes) -> Iterator[Sequence[Any]]:
        """Read a batch of a format that brokers have not written since 2017."""
        try:
            batch = LegacyRecordBatch(raw, raw[_MAGIC_AT])
            if not batch.validate_crc():
                yield from self._damaged(batch.base_offset, None, "a record's checksum is wrong")
                return
            records = list(batch)
        except DamagedError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            base, _ = _FRAME.unpack_from(raw)
            yield from self._unreadable(base, base + 1, f"it cannot be decompressed ({type(error).__name__})")
            return
        yield self._from_here(records)
        self._reached = max(self._reached, batch.next_offset)

    def _is_hidden(self, head: BatchHead, raw: bytes) -> bool:
        """Return whether a batch belongs to an aborted transaction; note a marker that ends one."""
        if self._aborted is None:
            return False
        while self._aborted and self._aborted[0][1] <= head.base:
            self._aborting.add(self._aborted.pop(0)[0])
        if head.attributes & CONTROL:
            marker = next(parse_leniently(head, raw[HEAD.size :]), None)
            if marker is not None and (marker.key or b"")[:4] == _ABORT:
                self._aborting.discard(head.producer)
            return False
        return bool(head.attributes & TRANSACTIONAL) and head.producer in self._aborting


def _is_rising(offsets: Sequence[int], least: int, head: BatchHead) -> bool:
    """Return whether these can be the offsets of a compacted batch."""
    if head.is_dense or offsets[0] < least or offsets[-1] >= head.end:
        return False
    return all(map(int.__lt__, offsets, offsets[1:]))
