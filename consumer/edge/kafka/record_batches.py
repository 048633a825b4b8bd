"""What a broker answers to a fetch, record by record, whatever producers and disks have made of it. Asks no broker.

The client's own way ends with an exception at the first thing that it does not expect, a header's name that is not
UTF-8 for one, and would meet it again for ever. Here its compiled parser goes first, for it is quick; what that cannot
read is read by hand, and what nobody can read comes out as an `UnreadableRecord` in its place.
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
from consumer.edge.kafka.lenient_parser import CONTROL, HEAD, TRANSACTIONAL, BatchHead, decompressed, read_by_hand

CHUNK_RECORDS: Final = 1_000
"""Unpacked in one go, about a millisecond: a batch of 1 MiB may hold a hundred thousand."""

MOST_RECORDS: Final = 1_000_000
"""A damaged batch that pretends to hold more is taken for one whose head is damaged, too."""

_FRAME: Final = Struct(">qi")  # base offset, and how many bytes follow
_MAGIC_AT: Final = 16
_LEAST_BYTES: Final = 26
"""Of the oldest format: so long is a record without key and value, with its frame."""
_ABORT: Final = b"\0\0\0\0"  # a control record's key: version 0, type 0

_offset_of = attrgetter("offset")


class DamagedError(CorruptRecordException):  # type: ignore[misc]  # the client is untyped
    """What was fetched is not what was written: its checksum or its frame is wrong. It is worth asking again."""

    def __init__(self, partition: TopicPartition, offset: int, why: str) -> None:
        """Name the partition and the first offset of what is damaged."""
        super().__init__(f"{partition.topic}:{partition.partition} is damaged at offset {offset}: {why}")
        self.partition = partition


class FetchedBytes:
    """Stands where the client makes its own reader of what was fetched, and keeps the bytes as they are."""

    def __init__(self, data: bytes | None) -> None:
        """Take what a broker has answered with for one partition."""
        self.data = data or b""
        self._own: Any = None

    def next_batch(self) -> Any:
        """Read on in the client's own way, for clients of this process that nobody has taught another."""
        self._own = self._own or MemoryRecords(self.data)
        return self._own.next_batch()

    def has_next(self) -> bool:
        """Whether there is anything to be read: at least one batch that has come whole."""
        if self._own is not None:
            return bool(self._own.has_next())
        if len(self.data) < _FRAME.size:
            return False
        _, length = _FRAME.unpack_from(self.data)
        return bool(_FRAME.size + length <= len(self.data))

    def size_in_bytes(self) -> int:
        """Nothing: of a batch that has not come whole the client would pass over one offset."""
        return 0


class Patience:
    """How long what is damaged is asked for again: another replica may lead meanwhile, and have it whole."""

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        """Prepare; `clock` counts seconds."""
        self._seconds = seconds
        self._clock = clock
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def is_over(self, partition: TopicPartition, offset: int) -> bool:
        """Return whether what is damaged here has been asked for long enough."""
        known, since = self._since.get(partition, (None, 0.0))
        if known != offset:
            self._since[partition] = (offset, self._clock())
            return self._seconds <= 0
        return self._clock() - since >= self._seconds


class Unpacked:
    """The records of one partition that came with one answer, from a position on; `take` them as wanted.

    Stands where the client keeps its own, and so has the name of its position.
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
        """Prepare. `aborted` are transactions as (producer, first offset); None where they are to be read, too."""
        self.next_fetch_offset = position
        """Behind the last record taken, and behind what nobody may read."""
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
        """Whether nobody knows how many offsets what is damaged takes: the rest of the answer is asked for again."""
        self._chunks = self._unpack()

    def take(self, most: int | None = None) -> list[Any]:
        """Return the next records, up to `most`; fewer only where there are no more.

        Raises:
            DamagedError: what comes next is damaged; nothing before it is lost.
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

    def let_go(self) -> None:
        """Nothing of it is wanted any more: what waits holds us, as we hold it, until a collector comes."""
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
                yield from self._in_order(head, chain(batch))  # the parser by itself can be begun only once
            except Exception:  # noqa: BLE001 - whatever the parser stumbles over, the other way is to read it
                yield from self._by_hand(head, raw)
        self._reached = max(self._reached, head.end)

    def _in_order(self, head: BatchHead, records: Iterator[Any]) -> Iterator[Sequence[Any]]:
        """Yield a batch's records in chunks.

        Raises:
            ValueError: their offsets are not as the batch says.
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

    def _by_hand(self, head: BatchHead, raw: bytes) -> Iterator[Sequence[Any]]:
        try:
            body = decompressed(head, raw[HEAD.size :])
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            yield from self._unreadable(
                head.base, head.end, f"its batch cannot be decompressed ({type(error).__name__})"
            )
            return
        records = read_by_hand(head, body)
        while chunk := list(islice(records, CHUNK_RECORDS)):
            yield self._from_here(chunk)

    def _unreadable(self, first: int, end: int, why: str) -> Iterator[Sequence[Any]]:
        """Yield a stand-in for every offset from `first`, or the position if that is further on, up to `end`."""
        self._reached = max(self._reached, first)
        while self._reached < end:
            offsets = range(self._reached, min(end, self._reached + CHUNK_RECORDS))
            self._reached = offsets[-1] + 1
            yield [UnreadableRecord(offset=offset, why=why) for offset in offsets]

    def _damaged(self, base: int, head: BatchHead | None, why: str) -> Iterator[Sequence[Any]]:
        """Wait as long as there is hope, then give up what the batch says that it holds, or the next offset alone.

        Its head is believed where it agrees with itself; that and the position say which offsets it has taken.
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
        """Whether a batch belongs to an aborted transaction; a marker that ends one is taken note of."""
        if self._aborted is None:
            return False
        while self._aborted and self._aborted[0][1] <= head.base:
            self._aborting.add(self._aborted.pop(0)[0])
        if head.attributes & CONTROL:
            marker = next(read_by_hand(head, raw[HEAD.size :]), None)
            if marker is not None and (marker.key or b"")[:4] == _ABORT:
                self._aborting.discard(head.producer)
            return False
        return bool(head.attributes & TRANSACTIONAL) and head.producer in self._aborting


def _is_rising(offsets: Sequence[int], least: int, head: BatchHead) -> bool:
    """Whether these may be the offsets of a batch that was compacted."""
    if head.is_dense or offsets[0] < least or offsets[-1] >= head.end:
        return False
    return all(map(int.__lt__, offsets, offsets[1:]))
