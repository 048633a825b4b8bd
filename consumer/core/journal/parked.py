"""What one partition has parked: read past, remembered as ranges, and read again later. Holds no event.

Each range has an index of its records, by which whoever comes later finds out that somebody stands before it. A range is
indexed anew by each pass over it. What was in hand and is parked again goes where it stands.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter

from consumer.core.journal.parked_range import FromHand, Glance, Group, ParkedRange, word_of
from consumer.core.terms import AT_ONCE, Offset

GROUP_RANGES = 8
"""Full ranges that share one filter: it says of most words at once that none of them holds it."""
WORDS_A_RECORD = 2
RECORD_BYTES = 14
"""What a parked record takes in the index, about: its words, packed, and their share of a filter."""
RANGE_BYTES = 2_000
SMALL_SHARE = 0.25
"""Of the records that a range may have: neighbours with no more together become one."""
END = Offset(2**63)
"""Past every offset."""

_START, _OFFSET = attrgetter("start"), attrgetter("offset")


class Parked:
    """The ranges of one partition, ascending."""

    def __init__(self, range_records: int = 8_192) -> None:
        """Prepare for ranges of so many records."""
        self._range_records = range_records
        self.ranges: list[ParkedRange] = []
        self.count = 0
        """Records that are parked, as far as it is known."""
        self.campaigns: dict[int, int] = {}
        self._groups: list[Group] = []
        """Of all ranges but the last, which may still take records in."""
        self.passing: ParkedRange | None = None
        """The range that is being read again: what of it stays is found out."""
        self.passed_to = Offset(0)
        """Up to where that has come."""
        self._stays: ParkedRange | None = None
        """What of it stays, as far as that."""
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
            self._groups.append(Group(GROUP_RANGES * WORDS_A_RECORD * self._range_records))
        self._groups[-1].take(one)

    # ---------------------------------------------------------------- what was in hand

    def add_again(self, records: Sequence[FromHand]) -> None:
        """Park records, ascending, that were in hand: they stand among those that are parked, or before them."""
        at = 0
        while at < len(records):
            one, stop, most = self._range_at(records[at].offset)
            end = min(bisect_left(records, stop, lo=at, key=_OFFSET), at + most)
            self._take_in(one, records[at:end])
            at = end

    def _range_at(self, offset: Offset) -> tuple[ParkedRange, Offset, int]:
        """Return the range that takes in what was in hand and stands here; up to where, and how many."""
        at = bisect_right(self.ranges, offset, key=_START)
        before = self.ranges[at - 1] if at else None
        if before is not None and offset < before.stop:
            return before, before.stop, self._range_records
        if at == len(self.ranges):
            one, stop = self.tail(offset), END
        else:
            stop = self.ranges[at].start
            has_room = before is not None and before is not self.passing and before.count < self._range_records
            one = before if before is not None and has_room else self._insert(offset, at)
        return one, stop, max(1, self._range_records - one.count)

    def _insert(self, start: Offset, at: int) -> ParkedRange:
        """Begin a range before the one that stands `at` this place."""
        beside = self.ranges[max(0, at - 1)]
        if beside.group is None:
            self._seal(beside)
        group = beside.group
        assert group is not None
        if not group.fits(WORDS_A_RECORD * self._range_records):
            fresh = Group(GROUP_RANGES * WORDS_A_RECORD * self._range_records)
            self._groups.insert(self._groups.index(group), fresh)
            group = fresh
        one = ParkedRange(start)
        self.ranges.insert(at, one)
        group.insert(one)
        return one

    def _take_in(self, one: ParkedRange, records: Sequence[FromHand]) -> None:
        for campaign_id, count in one.add_earlier(records).items():
            self._change(campaign_id, count)
        self.count += len(records)
        one.stop = max(one.stop, Offset(records[-1].offset + 1))
        if one.group is not None:
            one.group.note([word for record in records for word in record.glance.words])
            one.group.renew()
        if one is self.passing and self._stays is not None:
            passed = records[: bisect_left(records, self.passed_to, key=_OFFSET)]
            if passed:  # the pass comes to the others
                self._stays.add_earlier(passed)

    # ---------------------------------------------------------------- who stands before

    def ahead_of(self, words: Sequence[int], *, before: ParkedRange | None = None) -> list[ParkedRange]:
        """Return the ranges that hold a record with one of these words: all of them, or those `before` one."""
        limit = END if before is None else before.start
        found: list[ParkedRange] = []
        for group in self._groups:
            if group.ranges[0].start >= limit:
                continue
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
        self.passing, self.passed_to = over, over.start
        self._stays = ParkedRange(over.start)
        return self._stays

    def end_pass(self, stays: ParkedRange) -> None:
        """The range was read to its end: only what stays is parked still. Small neighbours become one range.

        Each pass over the last range ends it, and most leave little: what comes would look through ever more of them.
        """
        over = self.passing
        assert over is not None
        assert over.group is not None
        self.passing = self._stays = None
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

    def _replace(self, group: Group, gone: ParkedRange, by: Sequence[ParkedRange]) -> None:
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
