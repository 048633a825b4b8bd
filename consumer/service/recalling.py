"""Restores deduplication at a take-over: reads event IDs, segment by segment, and gives them to the pipeline. Keeps none.

A take-over has one segment in memory at a time. The pipeline's bound on event IDs holds for all take-overs together.
"""

from collections.abc import Callable
from functools import partial

from consumer.core.journal.entry_decode import decode
from consumer.core.journal.lane import Lane
from consumer.core.journal.replay import Replay
from consumer.core.memory.deduplication import Deduplication
from consumer.core.memory.segments import MemorySummary, Segment, SegmentRef
from consumer.core.terms import Instant, Now, Partition
from consumer.service.inbox import Inbox
from consumer.service.ports import JournalReader


class Recalling:
    """Restores the event IDs of one lane."""

    def __init__(self, *, deduplication: Deduplication, inbox: Inbox, lane: Lane) -> None:
        self._deduplication = deduplication
        self._inbox = inbox
        self._lane = lane

    async def after_slice(self, replay: Replay) -> None:
        """Take from a replay the event IDs of outcomes that no segment holds."""
        if replay.anew:
            replay.anew = False
            await self.forget_all()
        for ids, covers_to in replay.take_packed():
            await self._apply(partial(self._deduplication.recall, ids=ids, covers_to=covers_to))

    async def forget_all(self) -> None:
        """Forget what was restored: the partition does not start, or its journal is read from the beginning again."""
        await self._apply(self._deduplication.forget)

    async def segments(self, journal: JournalReader, memory: MemorySummary, horizon: Instant) -> None:
        """Read the segments that a checkpoint names, youngest first. Those too old or beyond the bound are left out."""
        for ref in sorted(memory.segments, key=lambda ref: (ref.until, ref.stands), reverse=True):
            if ref.until < horizon:
                continue
            ids = await self._read(journal, ref) if self._deduplication.has_room(ref.until) else None
            if ids is None:
                await self._apply(partial(self._deduplication.missed, until=ref.until))
            else:
                await self._apply(partial(self._deduplication.recall, ids=ids, stands=ref.stands))

    async def _read(self, journal: JournalReader, ref: SegmentRef) -> Segment | None:
        """Return a segment; None where retention has removed it, or the entry there is no segment."""
        entry = await journal.read_one(self._lane.partition, ref.stands)
        if entry is None:
            return None
        placed = decode(ref.stands, entry)
        return placed.entry if placed.counts and isinstance(placed.entry, Segment) else None

    async def _apply(self, change: Callable[[Partition], None]) -> None:
        def apply(_now: Now) -> None:
            if not self._lane.dropped:  # else the partition may have another lane
                change(self._lane.partition)

        await self._inbox.ask(apply)
