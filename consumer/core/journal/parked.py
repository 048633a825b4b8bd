"""What one partition has parked: read past, remembered as ranges, and read again later. Holds no event.

Each range has an index of its records: how many of which campaign, and a word for each ID and each person, by which whoever
comes later finds out that somebody stands before it. A range is indexed anew by each pass over it.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from consumer.core.terms import AT_ONCE, Instant, Offset

GROUP_RANGES = 8
"""Full ranges that share one filter: it says of most words at once that none of them holds it."""
BITS_A_WORD = 16
"""Of a filter: of words that are in none of its ranges, a sixteenth at most is looked for in each."""
WORDS_A_RECORD = 2
FEWEST_WORDS = 64
"""So many does the smallest filter have room for."""
RECORD_BYTES = 14
"""What a parked record takes in the index, about: its words, packed, and their share of a filter."""
RANGE_BYTES = 2_000
SMALL_SHARE = 0.25
"""Of the records that a range may have: neighbours with no more together become one."""
_NEVER = Instant(float("inf"))
END = Offset(2**63)
"""Past every offset."""

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
        "_fresh", "_sealed", "campaigns", "count", "expires_at", "first_ms", "group", "start", "stop", "urgent", "wanted",
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
        self.group: _Group | None = None
        """Those it shares a filter with, once it takes no more in."""

    def has(self, word: int) -> bool:
        """Return whether a record of it has this word."""
        sealed = self._sealed
        if sealed is None:
            return word in self._fresh
        at = bisect_left(sealed, word)
        return at < len(sealed) and sealed[at] == word

    def add(self, glances: Sequence[Glance], first_ms: int) -> Mapping[int, int]:
        """Take records in, of which the first one has this timestamp; return how many there are of each campaign."""
        if not self.count:
            self.first_ms = first_ms
        self.count += len(glances)
        counts = Counter(map(_CAMPAIGN, glances))
        for campaign_id, count in counts.items():
            self.campaigns[campaign_id] = self.campaigns.get(campaign_id, 0) + count
        for glance in filter(_IMMEDIATE, glances):
            self.urgent[glance.campaign_id] = self.urgent.get(glance.campaign_id, 0) + 1
        self.expires_at = min(self.expires_at, min(filter(None, map(_EXPIRES_AT, glances)), default=_NEVER))
        self._fresh.update(chain.from_iterable(map(_WORDS, glances)))
        return counts

    @classmethod
    def joined(cls, one: "ParkedRange", after: "ParkedRange") -> "ParkedRange":
        """Return a complete range that is both of these."""
        both = cls(one.start)
        both.stop, both.first_ms, both.count = after.stop, one.first_ms, one.count + after.count
        both.campaigns = dict(Counter(one.campaigns) + Counter(after.campaigns))
        both.urgent = dict(Counter(one.urgent) + Counter(after.urgent))
        both.expires_at = min(one.expires_at, after.expires_at)
        both.wanted = one.wanted | after.wanted
        both._fresh = {*one.seal(), *after.seal()}
        return both

    def seal(self) -> "array[int]":
        """Take no more in: its words are packed. Return them."""
        if self._sealed is None:
            self._sealed, self._fresh = array("I", sorted(self._fresh)), set()
        return self._sealed


class _Group:
    """Neighbouring ranges, and a filter of all words that they have ever held: a pass only takes some away."""

    __slots__ = ("_most_words", "_words", "filter", "mask", "ranges", "room")

    def __init__(self, most_words: int) -> None:
        """Prepare for so many words at most; few take little: hundreds of partitions may each have some parked."""
        self._most_words = most_words
        self.ranges: list[ParkedRange] = []
        self._begin(FEWEST_WORDS)

    def _begin(self, words: int) -> None:
        bits = 1 << max(10, (BITS_A_WORD * words - 1).bit_length())
        self.filter = bytearray(bits >> 3)
        self.mask = bits - 1
        self._words = words
        self.room = words
        """Words that may come before the filter is made anew."""

    def fits(self, words: int) -> bool:
        """Return whether so many words may come, as far as the largest filter goes."""
        return words <= self.room + self._most_words - self._words

    def take(self, one: ParkedRange) -> None:
        """Take a range in, which takes no more in itself."""
        self.learn(one)
        self.ranges.append(one)
        self.renew()

    def learn(self, one: ParkedRange) -> None:
        """Take note of the words of a range that is here from now on."""
        words, bits, mask = one.seal(), self.filter, self.mask
        for word in words:
            bit = word & mask
            bits[bit >> 3] |= 1 << (bit & 7)
        self.room -= len(words)
        one.group = self

    def renew(self) -> None:
        """Forget the words that are here no more, and make room for as many as are here, where they have become too many."""
        if self.room < 0:
            held = sum([len(one.seal()) for one in self.ranges])
            self._begin(min(self._most_words, max(FEWEST_WORDS, 2 * held)))
            for one in self.ranges:
                self.learn(one)

    def replace(self, gone: ParkedRange, by: Sequence[ParkedRange]) -> None:
        """Put others in the place of a range."""
        at = self.ranges.index(gone)
        self.ranges[at : at + 1] = by

    def may_have(self, words: Sequence[int]) -> bool:
        """Return whether one of these words may be here."""
        bits, mask = self.filter, self.mask
        for word in words:
            bit = word & mask
            if bits[bit >> 3] >> (bit & 7) & 1:
                return True
        return False


class Parked:
    """The ranges of one partition, ascending."""

    def __init__(self, range_records: int = 8_192) -> None:
        """Prepare for ranges of so many records."""
        self._range_records = range_records
        self.ranges: list[ParkedRange] = []
        self.count = 0
        """Records that are parked, as far as it is known."""
        self.campaigns: dict[int, int] = {}
        self._groups: list[_Group] = []
        """Of all ranges but the last, which may still take records in."""
        self.passing: ParkedRange | None = None
        """The range that is being read again: what of it stays is found out."""
        self.passed_at = AT_ONCE
        """When the last pass ended: of several partitions, the one that has waited longest is next."""
        self.urgent_at = AT_ONCE
        """When the last pass for immediate records began."""
        self.in_vain_until = AT_ONCE
        """Until when no pass is made for wanted records alone: the last one had no room for any."""
        self.no_expiry_until = AT_ONCE
        """Until when no pass is made for expired records alone."""

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @property
    def size_bytes(self) -> int:
        """What the indices take, about."""
        return RECORD_BYTES * self.count + RANGE_BYTES * len(self.ranges)

    @property
    def first_ms(self) -> int | None:
        """The timestamp in Kafka of the first parked record; None where none is parked."""
        return self.ranges[0].first_ms if self.ranges else None

    def tail(self, start: Offset) -> ParkedRange:
        """Return the range that takes in what is parked now, from `start` on."""
        last = self.ranges[-1] if self.ranges else None
        if last is not None and last.group is None:
            if last.count < self._range_records:
                return last
            self._seal(last)
        self.ranges.append(ParkedRange(start))
        return self.ranges[-1]

    def add(self, glances: Sequence[Glance], first_ms: int, *, start: Offset, stop: Offset) -> None:
        """Park neighbours, of which the first one has this timestamp."""
        tail = self.tail(start)
        tail.stop = stop
        self.count += len(glances)
        for campaign_id, count in tail.add(glances, first_ms).items():
            self._change(campaign_id, count)

    def _seal(self, one: ParkedRange) -> None:
        if not self._groups or not self._groups[-1].fits(len(one.seal())):
            self._groups.append(_Group(GROUP_RANGES * WORDS_A_RECORD * self._range_records))
        self._groups[-1].take(one)

    # ---------------------------------------------------------------- who stands before

    def ahead_of(self, words: Sequence[int], *, before: ParkedRange | None = None) -> list[ParkedRange]:
        """Return the ranges that hold a record with one of these words: all of them, or those `before` one."""
        limit = END if before is None else before.start
        found: list[ParkedRange] = []
        for group in self._groups:
            if group.ranges[0].start >= limit:
                break
            if group.may_have(words):
                found += [one for one in group.ranges if one.start < limit and _has(one, words)]
        if (
            self.ranges
            and self.ranges[-1].group is None
            and self.ranges[-1].start < limit
            and _has(self.ranges[-1], words)
        ):
            found.append(self.ranges[-1])
        return found

    def want(self, event_id: str) -> None:
        """Somebody waits for what is parked of this event ID: let it come back soon, whatever it waits for."""
        words = (word_of(event_id),)
        for one in self.ranges and self.ahead_of(words):
            one.wanted.update(words)

    # ---------------------------------------------------------------- passes

    def begin_pass(self, over: ParkedRange) -> ParkedRange:
        """Read a range again; return the one that what stays is to be indexed in, which takes its place in the end."""
        assert self.passing is None
        if over.group is None:
            self._seal(over)
        self.passing = over
        return ParkedRange(over.start)

    def end_pass(self, stays: ParkedRange) -> None:
        """The range was read to its end: only what stays is parked still. Small neighbours become one range.

        Each pass over the last range ends it, and most leave little: what comes would look through ever more of them.
        """
        over = self.passing
        assert over is not None
        assert over.group is not None
        self.passing = None
        self.count += stays.count - over.count
        for campaign_id, count in over.campaigns.items():
            self._change(campaign_id, -count)
        for campaign_id, count in stays.campaigns.items():
            self._change(campaign_id, count)
        stays.stop, stays.group = over.stop, over.group
        stays.seal()
        at = self.ranges.index(over)
        left = [stays] if stays.count else []
        self.ranges[at : at + 1] = left
        self._replace(over.group, over, left)
        self._join(at)
        self._join(at - 1)

    def _join(self, at: int) -> None:
        """Make one range of this one and the next, if both are complete, and together no more than a part of a full one."""
        if not 0 <= at < len(self.ranges) - 1:
            return
        one, after = self.ranges[at : at + 2]
        if one.group is None or after.group is None or one.count + after.count > self._range_records * SMALL_SHARE:
            return
        both = ParkedRange.joined(one, after)
        one.group.learn(both)
        self.ranges[at : at + 2] = [both]
        one.group.replace(one, [both])
        one.group.renew()
        self._replace(after.group, after, [])

    def _replace(self, group: _Group, gone: ParkedRange, by: Sequence[ParkedRange]) -> None:
        group.replace(gone, by)
        if not group.ranges:
            self._groups.remove(group)

    def _change(self, campaign_id: int, by: int) -> None:
        left = self.campaigns.get(campaign_id, 0) + by
        if left > 0:
            self.campaigns[campaign_id] = left
        else:
            self.campaigns.pop(campaign_id, None)


def _has(one: ParkedRange, words: Sequence[int]) -> bool:
    return any(map(one.has, words))
