"""A range of parked records: how many of which campaign, and a word for each ID and each person. Holds no event.

By the words, whoever comes later finds out that somebody stands before it.
"""

from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from consumer.core.terms import Instant, Offset

BITS_A_WORD = 16
"""Of a filter: of words that are in none of its ranges, a sixteenth at most is looked for in each."""
FEWEST_WORDS = 64
"""So many does the smallest filter have room for."""
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


class FromHand(NamedTuple):
    """A record that was in hand, and is parked again."""

    offset: Offset
    timestamp_ms: int
    """Its timestamp in Kafka; -1 where it has none."""
    glance: Glance


_START = attrgetter("start")
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
        self.group: Group | None = None
        """Those it shares a filter with, once it takes no more in."""

    def has(self, word: int) -> bool:
        """Return whether a record of it has this word."""
        if word in self._fresh:
            return True
        sealed = self._sealed
        if sealed is None:
            return False
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
        if self._sealed is None or self._fresh:
            self._sealed, self._fresh = array("I", sorted(self._fresh.union(self._sealed or ()))), set()
        return self._sealed

    def add_earlier(self, records: Sequence[FromHand]) -> Mapping[int, int]:
        """Take records in that stood between those that it has, or before them; return how many there are of each campaign."""
        counts = self.add([one.glance for one in records], records[0].timestamp_ms)
        self.first_ms = min(self.first_ms, records[0].timestamp_ms)
        return counts


class Group:
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

    def insert(self, one: ParkedRange) -> None:
        """Take an empty range in, which stands among the others."""
        insort(self.ranges, one, key=_START)
        one.group = self

    def learn(self, one: ParkedRange) -> None:
        """Take note of the words of a range that is here from now on."""
        self.note(one.seal())
        one.group = self

    def note(self, words: Collection[int]) -> None:
        """Take note of words that one of its ranges has."""
        bits, mask = self.filter, self.mask
        for word in words:
            bit = word & mask
            bits[bit >> 3] |= 1 << (bit & 7)
        self.room -= len(words)

    def renew(self) -> None:
        """Forget the words that are here no more, and make room for as many as are here, where they have become too many."""
        if self.room < 0:
            held = sum([len(one.seal()) for one in self.ranges])
            most = max(self._most_words, held + held // 4)  # what is parked again may be more than there was
            self._begin(min(most, max(FEWEST_WORDS, 2 * held)))
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
