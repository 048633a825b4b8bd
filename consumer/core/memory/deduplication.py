"""Which event IDs have an outcome already, for a while. Bounded by age and by count; never reads a clock.

The youngest IDs of a partition stand in a dictionary, the others in segments of 24 bytes an ID, behind one filter for
the whole process. Segments are written to the journal, small ones together, and a checkpoint names them (`MemorySummary`).
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

from consumer.core.memory.fingerprint_filter import FingerprintFilter
from consumer.core.memory.pieces import LONG_AGO, NEVER, Merging, PartitionMemory, Piece
from consumer.core.memory.segments import MemorySummary, Segment, first_words, packed
from consumer.core.policy import MemorySizes, Policies
from consumer.core.terms import Instant, JournalOffset, Offset, Partition

GENERATIONS = 4
"""A segment holds what was settled within a quarter of the time to live, and is forgotten with its youngest ID."""

PIECES_AT_LEAST = 16
"""In so many the bound on entries is divided at least: what is forgotten for want of room goes piece by piece."""

UNPACKED_IN_ALL = 200_000
"""IDs in dictionaries, of all partitions together: 150 bytes each."""

BYTES_AN_ID = 36
"""In the journal at most: 16 and 8 bytes in base64, and some for the entry."""
ROOM_FOR_ANY_BYTES = 2**30

NOTHING: Mapping[bytes, Offset] = {}


@dataclass(slots=True, kw_only=True)
class Recalled:
    """What a take-over found behind the last segment: IDs of the journal's tail."""

    upto: JournalOffset
    """Where that tail begins."""
    ids: dict[bytes, Offset] = field(default_factory=dict)
    since: Instant = NEVER
    until: Instant = LONG_AGO
    forgotten: Instant | None = None


class Deduplication:
    """Fingerprints of settled events, with the offset of the first, by partition.

    The bound on entries is one for the whole process: past it goes the piece whose youngest ID is the oldest, of
    whichever partition.
    """

    def __init__(self, *, ttl_seconds: float, max_entries: int, sizes: MemorySizes | None = None) -> None:
        self._ttl_seconds = ttl_seconds
        self._max_entries = max_entries
        self._span_seconds = ttl_seconds / GENERATIONS
        self._sizes = sizes or MemorySizes()
        self._segment_ids = max(1, min(self._sizes.segment_ids, max_entries // PIECES_AT_LEAST))
        self._run_ids = max(1, min(self._sizes.run_ids, self._segment_ids))
        self._partitions: dict[Partition, PartitionMemory] = {}
        self._packing: deque[PartitionMemory] = deque()
        """Partitions of which something is to be packed."""
        self._filter = FingerprintFilter(max_entries)
        self._expire_at = NEVER
        """Nothing is older than its time before this."""
        self.entries = 0

    @classmethod
    def by(cls, policies: Policies) -> Self:
        """Return an empty memory, as the operator wants it."""
        return cls(
            ttl_seconds=policies.deduplication_ttl_seconds,
            max_entries=policies.deduplication_max_entries,
            sizes=policies.memory_sizes,
        )

    # ---------------------------------------------------------------- asked for each batch

    def known(self, partition: Partition, fingerprints: list[bytes], now: Instant) -> Mapping[bytes, Offset]:
        """Return which of these have an outcome, with the offset of the first event of each: mostly none."""
        self.expire(now)
        memory = self._partitions.get(partition)
        if memory is None:
            return NOTHING
        found: dict[bytes, Offset] = {}
        fresh = memory.fresh
        if not fresh.keys().isdisjoint(fingerprints):
            found = {fingerprint: fresh[fingerprint] for fingerprint in fingerprints if fingerprint in fresh}
        if memory.pieces:
            for index, word, colours in self._filter.perhaps(fingerprints):
                for piece in memory.pieces:
                    if not colours & piece.colours:
                        continue
                    first = piece.ids.find(piece.words, word, fingerprints[index])
                    if first is not None:
                        found[fingerprints[index]] = first
                        break
        return found

    def settled(
        self,
        partition: Partition,
        fingerprints: Collection[bytes],
        offsets: Iterable[Offset],
        at: Instant,
        *,
        stands: JournalOffset | None = None,
    ) -> None:
        """Remember events that got their outcome at `at`; it `stands` in the journal, behind all told of before."""
        if not fingerprints:
            return
        memory = self._partitions.setdefault(partition, PartitionMemory())
        if memory.fresh and at - memory.since >= self._span_seconds:
            while memory.fresh:
                self._pack_run(memory)
        elif len(memory.fresh) >= self._most_fresh():
            self._pack_run(memory)
        before = len(memory.fresh)
        memory.fresh.update(zip(fingerprints, offsets, strict=True))
        memory.since, memory.until = min(memory.since, at), max(memory.until, at)
        memory.fresh_to = None if stands is None else JournalOffset(stands + 1)
        self.entries += len(memory.fresh) - before
        self._expire_at = min(self._expire_at, Instant(at + self._ttl_seconds))
        self.expire(at)
        self._make_room(newest=memory)

    def _most_fresh(self) -> int:
        return max(1, min(self._run_ids, UNPACKED_IN_ALL // len(self._partitions)))

    def _is_much(self, fresh: Mapping[bytes, Offset]) -> bool:
        """Return whether what is fresh is packed in several pieces, as after a take-over."""
        return len(fresh) >= 2 * self._run_ids

    def _pack_run(self, memory: PartitionMemory) -> None:
        """Turn what is fresh into a piece; the first of it where it is much."""
        fresh = memory.fresh
        if not self._is_much(fresh):
            piece = self._piece(packed(fresh, since=memory.since, until=memory.until))
            piece.covers_to = memory.fresh_to
            memory.drop_fresh()
        else:
            first = dict(islice(fresh.items(), self._run_ids))
            piece = self._piece(packed(first, since=memory.since, until=memory.until))
            for fingerprint in first:
                del fresh[fingerprint]
        memory.pieces.append(piece)
        memory.count()

    def _piece(self, ids: Segment) -> Piece:
        colour = self._filter.next_colour(len(ids))
        if colour is not None:
            self._filter.wipe(colour)
            for piece in self._pieces():
                if piece.colours >> colour & 1:
                    self._filter.paint(piece.words, 0)
        words = first_words(ids.fingerprints)
        return Piece(ids=ids, words=words, colours=1 << self._filter.paint(words, len(ids)))

    def _pieces(self) -> Iterator[Piece]:
        for memory in self._partitions.values():
            yield from memory.pieces

    # ---------------------------------------------------------------- forgetting

    def expire(self, now: Instant) -> None:
        """Forget what is older than the time to live."""
        if now <= self._expire_at:
            return
        oldest, self._expire_at = now - self._ttl_seconds, NEVER
        for memory in self._partitions.values():
            for piece in [piece for piece in memory.pieces if piece.ids.until < oldest]:
                self._drop(memory, piece)
            if memory.fresh and memory.until < oldest:
                self._drop_fresh(memory)
            for until in [*(piece.ids.until for piece in memory.pieces), *([memory.until] if memory.fresh else [])]:
                self._expire_at = min(self._expire_at, Instant(until + self._ttl_seconds))
        self._clear_if_empty()

    def _drop(self, memory: PartitionMemory, piece: Piece) -> None:
        memory.drop(piece)
        self.entries -= len(piece.ids)

    def _drop_fresh(self, memory: PartitionMemory) -> None:
        self.entries -= len(memory.fresh)
        memory.drop_fresh()

    def _clear_if_empty(self) -> None:
        if not self.entries:
            self._filter.clear()

    def _make_room(self, *, newest: PartitionMemory | None = None) -> None:
        """Forget the oldest past the bound; last of all what `newest` has just got."""
        while self.entries > self._max_entries:
            until, memory, piece = self._oldest(newest)
            if piece is None and self._is_much(memory.fresh):
                self._pack_run(memory)  # no more of it goes than has to
                continue
            memory.forgotten = max(until, memory.forgotten or until)
            if piece is None:
                self._drop_fresh(memory)
            else:
                self._drop(memory, piece)

    def _oldest(self, newest: PartitionMemory | None = None) -> tuple[Instant, PartitionMemory, Piece | None]:
        """Return the piece whose youngest ID is the oldest: a segment, or what is fresh of a partition."""
        ends: list[tuple[Instant, PartitionMemory, Piece | None]] = []
        for memory in self._partitions.values():
            ends += [(piece.ids.until, memory, piece) for piece in memory.pieces]
            if memory.fresh:
                ends.append((memory.until, memory, None))
        return min(ends, key=lambda end: (end[0], end[1] is newest and end[2] is None))

    def forget(self, partition: Partition) -> None:
        """Drop a partition that is no longer ours."""
        memory = self._partitions.pop(partition, None)
        if memory is not None:
            self.entries -= len(memory.fresh) + sum(len(piece.ids) for piece in memory.pieces)
            if memory in self._packing:
                self._packing.remove(memory)
            self._clear_if_empty()

    def window_seconds(self, now: Instant) -> float:
        """Return how far back every partition remembers: the time to live, less where something had to be forgotten."""
        forgotten = [memory.forgotten for memory in self._partitions.values() if memory.forgotten is not None]
        return min(self._ttl_seconds, now - max(forgotten)) if forgotten else self._ttl_seconds

    # ---------------------------------------------------------------- a take-over

    def has_room(self, until: Instant) -> bool:
        """Return whether a segment whose youngest ID is of this instant would be remembered."""
        return self.entries < self._max_entries or (self.entries > 0 and until > self._oldest()[0])

    def recall(
        self,
        partition: Partition,
        ids: Segment,
        *,
        stands: JournalOffset | None = None,
        covers_to: JournalOffset | None = None,
    ) -> None:
        """Remember a segment that a take-over has read, or made of the outcomes below `covers_to`.

        Those that stand in the journal come newest first, the others oldest first.
        """
        memory = self._partitions.setdefault(partition, PartitionMemory())
        piece = self._piece(ids)
        piece.stands, piece.covers_to = stands, covers_to
        memory.pieces.insert(0 if stands is not None else len(memory.pieces), piece)
        memory.count()
        self.entries += len(ids)
        self._expire_at = min(self._expire_at, Instant(ids.until + self._ttl_seconds))
        self._make_room()

    def missed(self, partition: Partition, until: Instant) -> None:
        """Take note that what was settled up to an instant is not remembered: there was no room, or it is gone."""
        memory = self._partitions.setdefault(partition, PartitionMemory())
        memory.forgotten = max(until, memory.forgotten or until)

    def begin(self, partition: Partition, recalled: Recalled) -> None:
        """A partition is taken over: from now on its segments may be written."""
        memory = self._partitions.setdefault(partition, PartitionMemory())
        if recalled.ids:
            before = len(memory.fresh)
            memory.fresh |= recalled.ids
            memory.since, memory.until = min(memory.since, recalled.since), max(memory.until, recalled.until)
            self.entries += len(memory.fresh) - before
            self._expire_at = min(self._expire_at, Instant(recalled.until + self._ttl_seconds))
        if recalled.forgotten is not None:
            self.missed(partition, recalled.forgotten)
        memory.upto = recalled.upto
        self._make_room()
        if self._is_much(memory.fresh):
            self._pack_soon(memory)

    # ---------------------------------------------------------------- the journal

    def memory(self, partition: Partition) -> MemorySummary | None:
        """Return what a checkpoint is to say of a partition: exactly what the proven entries say."""
        memory = self._partitions.get(partition)
        if memory is None or memory.upto is None:
            return None
        segments = tuple(ref for piece in memory.pieces for ref in piece.named())
        return MemorySummary(upto=memory.upto, forgotten=memory.forgotten, segments=segments)

    def to_write(
        self, partition: Partition, end: JournalOffset, *, room_bytes: int = ROOM_FOR_ANY_BYTES
    ) -> Piece | None:
        """Return a segment to be journaled, where enough is remembered, or stands in the tail, that none holds yet.

        Everything proven stands below `end`, and no append is out. One segment at a time is on its way; small ones
        are written once more in one with others, so that a take-over has few to read. What has to be merged for it
        comes once `pack_some` is done with it.
        """
        memory = self._partitions.get(partition)
        if memory is None or memory.upto is None or memory.writing is not None or memory.merging is not None:
            return None
        most = max(1, min(self._segment_ids, room_bytes // BYTES_AN_ID))
        if memory.merged is not None and len(memory.merged.ids) <= most:
            memory.writing, memory.merged = memory.merged, None
            return memory.writing
        if memory.merged is None and not self._is_due(memory, end):
            return None
        if memory.fresh:
            if self._is_much(memory.fresh):
                self._pack_soon(memory)
                return None
            memory.fresh_to = end
            self._pack_run(memory)
        memory.divide(most)
        group = memory.group(most, span_seconds=self._span_seconds, sizes=self._sizes)
        if not group:
            memory.upto = end
        elif len(group) == 1:
            memory.writing = group[0]
        else:
            memory.merging = Merging(group)
            self._pack_soon(memory)
        return memory.writing

    def _is_due(self, memory: PartitionMemory, end: JournalOffset) -> bool:
        assert memory.upto is not None
        is_full = len(memory.fresh) + memory.unwritten >= self._segment_ids
        return is_full or end - memory.upto >= self._sizes.tail_entries

    def _pack_soon(self, memory: PartitionMemory) -> None:
        if memory not in self._packing:
            self._packing.append(memory)

    def pack_some(self) -> bool:
        """Pack or merge some IDs where that is due, a millisecond or two of work; return whether it did."""
        while self._packing:
            memory = self._packing[0]
            if memory.merging is not None:
                self.entries -= memory.merge_some(self._run_ids)
                return True
            if self._is_much(memory.fresh):
                self._pack_run(memory)
                return True
            self._packing.popleft()
        return False

    def write_anew(self, partition: Partition) -> None:
        """The segment on its way was too large for the journal: it is made of fewer IDs."""
        self._partitions[partition].writing = None

    def written(self, partition: Partition, piece: Piece, stands: JournalOffset | None) -> None:
        """A segment is proven to stand in the journal."""
        memory = self._partitions[partition]
        assert stands is not None
        assert memory.writing is piece
        assert memory.upto is not None
        memory.writing = None
        piece.stands, piece.replaces = stands, ()
        memory.count()
        if piece.covers_to is not None:
            memory.upto = max(memory.upto, piece.covers_to)
