"""What one partition has parked: read past, remembered as ranges, and read again later. Holds no event.

Each range has an index of its records: how many of which campaign, and a word for each ID and each person, by which whoever
comes later finds out that somebody stands before it. A range is indexed anew by each pass over it.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from consumer.core.terms import AT_ONCE, Instant, Offset

MOST_SLOTS, FEWEST_SLOTS = 1 << 18, 1 << 10
"""Of the filter of all words, a power of two, a byte each. Where more is parked, more of those who come are looked for in each
range: some 40 us beside 300,000 parked records."""
SLOTS_SHARE = 128
"""So small a part of the buffer's bytes are they at most, for each partition that has parked something."""
FULL_SLOT = 255
"""A slot that has counted so far says "perhaps" for ever."""
RECORD_BYTES = 12
"""What a parked record takes in the index, about: its words; and what is not packed yet."""
RANGE_BYTES = 2_000
SMALL_SHARE = 0.25
"""Of the records that a range may have: neighbours with no more together become one."""
_NEVER = Instant(float("inf"))

WORD = 0xFFFF_FFFF
"""The bits of a word."""
NOBODYS = 0
"""Stands for the campaign of a record that is no event."""


class Glance(NamedTuple):
    """One record, at a glance."""

    campaign_id: int
    """`NOBODYS` of a record that is no event."""
    immediate: bool
    words: tuple[int, ...]
    """Stand for its ID and its person, in 32 bits each: what shares one with an earlier record may not overtake it.

    Two that are equal by chance only wait for one another. A resend has the word of the event that it repeats."""
    expires_at: Instant | None


_CAMPAIGN, _IMMEDIATE, _WORDS, _EXPIRES_AT = map(attrgetter, ("campaign_id", "immediate", "words", "expires_at"))


def word_of(name: Hashable) -> int:
    """Return what stands for an ID or a person: compared within this process alone, the interpreter's own hash will do."""
    return hash(name) & WORD


class ParkedRange:
    """Parked records that stand close together."""

    __slots__ = (
        "_fresh", "_sealed", "campaigns", "count", "expires_at", "first_ms", "start", "stop", "urgent", "wanted",
    )  # fmt: skip

    def __init__(self, start: Offset) -> None:
        self.start = start
        self.stop = start
        self.count = 0
        """How many records it holds, as far as it is known."""
        self.campaigns: dict[int, int] = {}
        self.urgent: dict[int, int] = {}
        """Of those, the immediate ones."""
        self.expires_at = _NEVER
        """When the first of them expires."""
        self.first_ms = -1
        """The timestamp in Kafka of the first of them; -1 where it has none."""
        self.wanted: set[int] = set()
        """Words of whoever must not wait: somebody who is due waits for them."""
        self._fresh: set[int] = set()
        self._sealed: array[int] | None = None

    def words(self) -> Iterable[int]:
        """Return the words of its records, each once."""
        return self._fresh if self._sealed is None else self._sealed

    def has(self, word: int) -> bool:
        """Return whether a record of it has this word."""
        sealed = self._sealed
        if sealed is None:
            return word in self._fresh
        at = bisect_left(sealed, word)
        return at < len(sealed) and sealed[at] == word

    def add(self, glances: Sequence[Glance], first_ms: int) -> Collection[int]:
        """Take records in, of which the first one has this timestamp; return those of their words that are new here."""
        if not self.count:
            self.first_ms = first_ms
        self.count += len(glances)
        for campaign_id, count in Counter(map(_CAMPAIGN, glances)).items():
            self.campaigns[campaign_id] = self.campaigns.get(campaign_id, 0) + count
        for glance in filter(_IMMEDIATE, glances):
            self.urgent[glance.campaign_id] = self.urgent.get(glance.campaign_id, 0) + 1
        self.expires_at = min(self.expires_at, min(filter(None, map(_EXPIRES_AT, glances)), default=_NEVER))
        new = set(chain.from_iterable(map(_WORDS, glances)))
        new -= self._fresh
        self._fresh |= new
        return new

    @classmethod
    def joined(cls, one: "ParkedRange", after: "ParkedRange") -> "ParkedRange":
        """Return a complete range that is both of these."""
        both = cls(one.start)
        both.stop, both.first_ms, both.count = after.stop, one.first_ms, one.count + after.count
        both.campaigns = dict(Counter(one.campaigns) + Counter(after.campaigns))
        both.urgent = dict(Counter(one.urgent) + Counter(after.urgent))
        both.expires_at = min(one.expires_at, after.expires_at)
        both.wanted = one.wanted | after.wanted
        both._fresh = {*one.words(), *after.words()}
        both.seal()
        return both

    def seal(self) -> None:
        """Take no more in: its words are packed."""
        if self._sealed is None:
            self._sealed, self._fresh = array("I", sorted(self._fresh)), set()

    @property
    def is_sealed(self) -> bool:
        """Whether it takes no more in."""
        return self._sealed is not None


class Parked:
    """The ranges of one partition, ascending."""

    def __init__(self, slots: int = MOST_SLOTS) -> None:
        self._slots_wanted = slots
        self.ranges: list[ParkedRange] = []
        self.count = 0
        """Records that are parked, as far as it is known."""
        self.campaigns: dict[int, int] = {}
        self._slots = bytearray()
        self.passing: ParkedRange | None = None
        """The range that is being read again: what of it stays is found out."""
        self.passed_at = AT_ONCE
        """When the last pass ended: of several partitions, the one that has waited longest is next."""
        self.urgent_at = AT_ONCE
        """When the last pass for immediate records began."""
        self.no_expiry_until = AT_ONCE
        """Until when no pass is made for expired records alone."""

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @property
    def size_bytes(self) -> int:
        """What the indices take, about."""
        return len(self._slots) + RECORD_BYTES * self.count + RANGE_BYTES * len(self.ranges)

    @property
    def first_ms(self) -> int | None:
        """The timestamp in Kafka of the first parked record; None where none is parked."""
        return self.ranges[0].first_ms if self.ranges else None

    def tail(self, start: Offset, *, most: int) -> ParkedRange:
        """Return the range that takes in what is parked now, from `start` on; of at most so many records."""
        last = self.ranges[-1] if self.ranges else None
        if last is not None and not last.is_sealed:
            if last.count < most:
                return last
            last.seal()
        self.ranges.append(ParkedRange(start))
        return self.ranges[-1]

    def add(self, to: ParkedRange, glances: Sequence[Glance], first_ms: int) -> None:
        """Index records in a range of ours."""
        self._paint(to.add(glances, first_ms))
        self.count += len(glances)
        for campaign_id, count in Counter(map(_CAMPAIGN, glances)).items():
            self._change(campaign_id, count)

    def _paint(self, words: Iterable[int]) -> None:
        if not self._slots:
            self._slots = bytearray(self._slots_wanted)
        slots, mask = self._slots, self._slots_wanted - 1
        for word in words:
            if slots[word & mask] < FULL_SLOT:
                slots[word & mask] += 1

    def _wipe(self, words: Iterable[int]) -> None:
        slots, mask = self._slots, self._slots_wanted - 1
        for word in words:
            if slots[word & mask] < FULL_SLOT:
                slots[word & mask] -= 1

    # ---------------------------------------------------------------- who stands before

    def ahead_of(self, words: Sequence[int], *, before: ParkedRange | None = None) -> list[ParkedRange]:
        """Return the ranges that hold a record with one of these words: all of them, or those `before` one."""
        slots, mask = self._slots, self._slots_wanted - 1
        if not slots or not [word for word in words if slots[word & mask]]:
            passing = self.passing
            return [] if passing is None or before is not None else [one for one in (passing,) if _has(one, words)]
        ranges = self.ranges if before is None else self.ranges[: self.ranges.index(before)]
        return [one for one in ranges if _has(one, words)]

    def want(self, event_id: str) -> None:
        """Somebody waits for what is parked of this event ID: let it come back soon, whatever it waits for."""
        words = (word_of(event_id),)
        for one in self.ranges and self.ahead_of(words):
            one.wanted.update(words)

    # ---------------------------------------------------------------- passes

    def begin_pass(self, over: ParkedRange) -> ParkedRange:
        """Read a range again; return the one that what stays is to be indexed in, which takes its place in the end."""
        assert self.passing is None
        over.seal()
        self._wipe(over.words())
        self.passing = over
        return ParkedRange(over.start)

    def end_pass(self, stays: ParkedRange, *, most: int) -> None:
        """The range was read to its end: only what stays is parked still. Small neighbours become one range.

        Each pass over the last range ends it, and most leave little: what comes would look through ever more of them.
        """
        over = self.passing
        assert over is not None
        self.passing = None
        self.count += stays.count - over.count
        for campaign_id, count in over.campaigns.items():
            self._change(campaign_id, -count)
        for campaign_id, count in stays.campaigns.items():
            self._change(campaign_id, count)
        stays.stop = over.stop
        at = self.ranges.index(over)
        self.ranges[at : at + 1] = [stays] if stays.count else []
        self._paint(stays.words())
        stays.seal()
        self._join(at, most)
        self._join(at - 1, most)
        if not self.ranges:
            self._slots = bytearray()

    def _join(self, at: int, most: int) -> None:
        """Make one range of this one and the next, if both are complete, and together no more than a part of a full one."""
        if not 0 <= at < len(self.ranges) - 1:
            return
        one, after = self.ranges[at : at + 2]
        if one.is_sealed and after.is_sealed and one.count + after.count <= most * SMALL_SHARE:
            self._wipe(set(one.words()).intersection(after.words()))  # each word of a range is painted once
            self.ranges[at : at + 2] = [ParkedRange.joined(one, after)]

    def _change(self, campaign_id: int, by: int) -> None:
        left = self.campaigns.get(campaign_id, 0) + by
        if left > 0:
            self.campaigns[campaign_id] = left
        else:
            self.campaigns.pop(campaign_id, None)


def slots_for(buffer_max_bytes: int) -> int:
    """Return how many slots a partition's filter has."""
    return max(FEWEST_SLOTS, min(MOST_SLOTS, 1 << (buffer_max_bytes // SLOTS_SHARE).bit_length() - 1))


def _has(one: ParkedRange, words: Sequence[int]) -> bool:
    return any(map(one.has, words))
