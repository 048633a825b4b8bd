"""What is remembered of settled event IDs, packed: sorted fingerprints and offsets, some 24 bytes an ID. Values only.

Such a segment stands in the journal as one entry, `segment`, and a checkpoint names those that still say something:
a take-over reads them instead of all the outcomes that they were made of.
"""

from array import array
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from sys import byteorder

from consumer.core.terms import Instant, JournalOffset, Offset

FINGERPRINT_BYTES = 16
WORD_BYTES = 4
"""Of the beginning of a fingerprint, which is what is looked for first."""

NARROW, WIDE = "I", "Q"
"""Offsets above the lowest one in four bytes each; in eight where a segment spans more than that."""
WIDE_BYTES = 8
NARROW_SPAN = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The IDs of some settled events, sorted by fingerprint, and the offsets of their records beside them."""

    since: Instant
    """When the first of them was settled."""
    until: Instant
    """When the last of them was."""
    fingerprints: bytes
    """16 bytes each."""
    base: Offset
    """The lowest offset."""
    above: "array[int]"
    """How far above that each record stands."""

    def __len__(self) -> int:
        return len(self.above)

    def items(self) -> Iterator[tuple[bytes, Offset]]:
        """Yield fingerprints and offsets."""
        prints, size, base = self.fingerprints, FINGERPRINT_BYTES, self.base
        starts = range(0, len(prints), size)
        return zip(
            [prints[start : start + size] for start in starts], [Offset(base + one) for one in self.above], strict=True
        )

    def find(self, words: "array[int]", word: int, fingerprint: bytes) -> Offset | None:
        """Return a fingerprint's offset, None where it is not here; `words` and `word` are what both begin with."""
        index, size = bisect_left(words, word), FINGERPRINT_BYTES
        while index < len(words) and words[index] == word:
            if self.fingerprints[size * index : size * (index + 1)] == fingerprint:
                return Offset(self.base + self.above[index])
            index += 1
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRef:
    """A segment as a checkpoint names it: where it stands, how many IDs it holds, and of what time."""

    stands: JournalOffset
    count: int
    since: Instant
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySummary:
    """What is remembered of a partition's IDs, as its checkpoint says: the segments, and the outcomes from `upto` on."""

    upto: JournalOffset
    """Outcomes below are in the segments, as far as they are remembered at all."""
    forgotten: Instant | None
    """Of what was settled at or before this instant, something was forgotten before its time. None: nothing was."""
    segments: tuple[SegmentRef, ...]


def first_words(fingerprints: bytes) -> "array[int]":
    """Return what each fingerprint begins with, as a number."""
    words = array(NARROW)
    assert words.itemsize == WORD_BYTES
    words.frombytes(fingerprints)
    words = words[:: FINGERPRINT_BYTES // WORD_BYTES]
    if byteorder == "little":
        words.byteswap()  # then their order is that of the bytes
    return words


def packed(ids: Mapping[bytes, Offset], *, since: Instant, until: Instant) -> Segment:
    """Return IDs as a segment; there is at least one."""
    order = sorted(ids)
    offsets = [ids[fingerprint] for fingerprint in order]
    base = min(offsets)
    code = NARROW if max(offsets) - base < NARROW_SPAN else WIDE
    above = array(code, [offset - base for offset in offsets])
    return Segment(since=since, until=until, fingerprints=b"".join(order), base=base, above=above)


def merged(segments: Sequence[Segment]) -> Segment:
    """Return the IDs of some segments, given oldest first, as one: of an ID that stands twice the first offset counts."""
    ids = dict(chain.from_iterable(segment.items() for segment in reversed(segments)))
    return packed(
        ids, since=min(segment.since for segment in segments), until=max(segment.until for segment in segments)
    )


def cut(segment: Segment, start: int, stop: int) -> Segment:
    """Return a part of a segment: its IDs from `start` on, up to and without `stop`."""
    prints = segment.fingerprints[FINGERPRINT_BYTES * start : FINGERPRINT_BYTES * stop]
    return replace(segment, fingerprints=prints, above=segment.above[start:stop])


def divided(segment: Segment, most: int) -> Iterator[Segment]:
    """Yield a segment in parts of so many IDs at most."""
    for start in range(0, len(segment), most):
        yield cut(segment, start, start + most)


def joined(parts: Sequence[Segment]) -> Segment:
    """Return parts as one segment; each holds greater fingerprints than the one before it."""
    base = min(part.base for part in parts)
    top = max(part.base + max(part.above) for part in parts)
    above = array(NARROW if top - base < NARROW_SPAN else WIDE)
    for part in parts:
        shift = part.base - base
        above.extend([one + shift for one in part.above])
    return Segment(
        since=min(part.since for part in parts),
        until=max(part.until for part in parts),
        fingerprints=b"".join([part.fingerprints for part in parts]),
        base=base,
        above=above,
    )


# ---------------------------------------------------------------- as JSON


def segment_fields(entry: Segment) -> dict[str, object]:
    """Return a segment's fields in the journal."""
    return {
        "since": entry.since,
        "until": entry.until,
        "base": entry.base,
        "width": entry.above.itemsize,
        "above": b64encode(little_endian(entry.above).tobytes()).decode("ascii"),
        "fingerprints": b64encode(entry.fingerprints).decode("ascii"),
    }


def little_endian(numbers: "array[int]") -> "array[int]":
    """Turn numbers of this machine into little-endian ones, or back."""
    if byteorder == "little":
        return numbers
    turned = numbers[:]
    turned.byteswap()
    return turned


def memory_fields(memory: MemorySummary | None) -> dict[str, object] | None:
    """Return what a checkpoint says of the remembered IDs."""
    if memory is None:
        return None
    return {
        "upto": memory.upto,
        "forgotten": memory.forgotten,
        "segments": [[one.stands, one.count, one.since, one.until] for one in memory.segments],
    }
