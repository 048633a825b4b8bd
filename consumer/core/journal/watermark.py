"""How far a partition is done: below the watermark everything has its outcome and its acknowledged result.

Counts only offsets that were read: gaps (compaction, transactions) are normal. What is parked has been read past, and is
waited for like what is in hand; it is read once more later, in an order of its own. Never commits.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from heapq import heappop, heappush, merge
from itertools import takewhile

from consumer.core.journal.offset_ranges import OffsetRanges, ranges
from consumer.core.terms import Offset


class Watermark:
    """One partition's progress."""

    __slots__ = ("_again", "_away", "_done", "_open", "parked", "position")

    def __init__(self, start: Offset) -> None:
        self.position = start
        """One past the last offset that was read, or found to hold nothing that may be read."""
        self.parked = OffsetRanges()
        """What was read past, and is to be read again."""
        self._open: deque[Offset] = deque()
        """What was read in the partition's order, from the first on that is not done."""
        self._again: list[Offset] = []
        """A heap of what was parked and is in hand now."""
        self._done: set[Offset] = set()
        self._away: set[Offset] = set()
        """What was in hand, and is parked again: it keeps its place in one of those two until it is the first there."""

    def read(self, offsets: Sequence[Offset]) -> None:
        """Take note of offsets that were read, in the partition's order."""
        if offsets:
            assert offsets[0] >= self.position, (offsets[0], self.position)
            self._open.extend(offsets)
            self.position = Offset(offsets[-1] + 1)

    def park(self, start: Offset, stop: Offset) -> None:
        """Take note that what stands here was read past; call it before what stands behind it is read."""
        assert start >= self.position, (start, self.position)
        self.parked.add(start, stop)
        self.position = stop

    def read_again(
        self, start: Offset, stop: Offset, taken: Collection[Offset], parked: Iterable[tuple[Offset, Offset]]
    ) -> None:
        """Take note that parked records were read again, from `start` up to `stop`: `taken` ones are in hand now.

        Of what was parked, `parked` stays as it is. What is in neither is nowhere.
        """
        before = self.parked.between(start, stop)
        self.parked.cut(start, stop)
        for first, end in parked:
            for one in before.between(first, end):
                self.parked.add(*one)
        for offset in taken:
            if offset in self._away:
                self._away.remove(offset)
            else:
                heappush(self._again, offset)

    def park_again(self, offsets: Sequence[Offset]) -> None:
        """Take note that these, ascending, are in hand no more, and have no outcome: they are to be read once more."""
        flat = list(ranges(offsets))
        for start, stop in zip(flat[::2], flat[1::2], strict=True):
            self.parked.add(start, stop)
        self._away.update(offsets)
        self._pass()

    def passed(self, position: Offset) -> None:
        """Take note that what stands between the last record read and `position` is none that may be read."""
        self.position = max(self.position, position)

    def done(self, offsets: Iterable[Offset]) -> None:
        """Take note that the outcomes of these are proven and their results acknowledged."""
        self._done.update(offsets)
        self._pass()

    def _pass(self) -> None:
        """Forget what is done, or parked again, and waited for by nothing before it."""
        done, waiting, again = self._done, self._open, self._again
        if self._away:
            self._pass_away()
            return
        below = list(takewhile(done.__contains__, waiting))
        done.difference_update(below)
        for _ in below:
            waiting.popleft()
        while again and again[0] in done:
            done.remove(heappop(again))

    def _pass_away(self) -> None:
        """The same, where something is parked again."""
        done, away, waiting, again = self._done, self._away, self._open, self._again
        while waiting and (waiting[0] in done or waiting[0] in away):
            offset = waiting.popleft()
            done.discard(offset)
            away.discard(offset)
        while again and (again[0] in done or again[0] in away):
            offset = heappop(again)
            done.discard(offset)
            away.discard(offset)

    @property
    def value(self) -> Offset:
        """The offset that may be committed."""
        reached = self._open[0] if self._open else self.position
        if self._again:
            reached = min(reached, self._again[0])
        first = self.parked.first
        return reached if first is None else min(reached, first)

    @property
    def ahead(self) -> int:
        """What has to be remembered of all that was read and stands at or above the watermark: offsets, and parked ranges."""
        return len(self._open) + len(self._again) - len(self._away) + len(self.parked)

    @property
    def unread(self) -> Offset:
        """The first offset that is still to be read, for the first time or again."""
        first = self.parked.first
        return self.position if first is None else first

    def done_above(self) -> OffsetRanges:
        """Return the offsets above the watermark that need no look any more: done, or found to hold nothing to be read."""
        done = self._done
        singles = [offset for offset in (*self._open, *self._again) if offset not in done]
        singles.sort()
        waited_for, above = OffsetRanges(), OffsetRanges()
        told = ranges(singles)
        for start, stop in merge(zip(told, told, strict=True), self.parked):
            waited_for.add(start, stop)
        for start, stop in waited_for.missing(self.value, self.position):
            above.add(start, stop)
        return above
