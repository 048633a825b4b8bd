"""How far a partition is done: below the watermark everything has its outcome and its acknowledged result.

Counts only offsets that were read: gaps (compaction, transactions) are normal. Never commits.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import takewhile

from consumer.core.terms import Offset


class Watermark:
    """One partition's progress."""

    __slots__ = ("_done", "_open", "position")

    def __init__(self, start: Offset) -> None:
        self.position = start
        """One past the last offset that was read, or found to hold nothing that may be read."""
        self._open: deque[Offset] = deque()
        self._done: set[Offset] = set()

    def read(self, offsets: Sequence[Offset]) -> None:
        """Take note of offsets that were read, in the partition's order."""
        if offsets:
            assert offsets[0] >= self.position, (offsets[0], self.position)
            self._open.extend(offsets)
            self.position = Offset(offsets[-1] + 1)

    def passed(self, position: Offset) -> None:
        """Take note that what stands between the last record read and `position` is none that may be read."""
        self.position = max(self.position, position)

    def done(self, offsets: Iterable[Offset]) -> None:
        """Take note that the outcomes of these are proven and their results acknowledged."""
        done, waiting = self._done, self._open
        done.update(offsets)
        below = list(takewhile(done.__contains__, waiting))
        done.difference_update(below)
        for _ in below:
            waiting.popleft()

    @property
    def value(self) -> Offset:
        """The offset that may be committed."""
        return self._open[0] if self._open else self.position

    @property
    def ahead(self) -> int:
        """Offsets between the watermark and what has been read."""
        return self.position - self.value

    def done_above(self) -> list[Offset]:
        """Return the offsets above the watermark that are done already, sorted."""
        return sorted(self._done)
