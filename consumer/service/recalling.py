"""Hands what a take-over has read of event IDs to the pipeline, segment by segment. Reads the segments; keeps none.

One segment of a take-over is in hand at a time, and the pipeline's bound holds over all take-overs from the first on.
"""

from collections.abc import Callable
from functools import partial

from consumer.core.journal.entry_decode import decode
from consumer.core.journal.lane import Lane
from consumer.core.journal.replay import Replay
from consumer.core.memory.deduplication import Deduplication
from consumer.core.memory.segments import Memory, Segment, SegmentRef
from consumer.core.terms import Instant, Now, Partition
from consumer.service.inbox import Inbox
from consumer.service.ports import JournalReader


class Recalling:
    """What one lane's take-over remembers."""

    def __init__(self, *, deduplication: Deduplication, inbox: Inbox, lane: Lane) -> None:
        self._deduplication = deduplication
        self._inbox = inbox
        self._lane = lane

    async def sliced(self, replay: Replay) -> None:
        """Take out of a reading what it has made of outcomes that stand in no segment."""
        if replay.anew:
            replay.anew = False
            await self.nothing()
        for ids, covers_to in replay.take_packed():
            await self._tell(partial(self._deduplication.recall, ids=ids, covers_to=covers_to))

    async def nothing(self) -> None:
        """Forget it all: the partition does not begin, or nothing that was read says anything any more."""
        await self._tell(self._deduplication.forget)

    async def segments(self, journal: JournalReader, memory: Memory, horizon: Instant) -> None:
        """Read the segments that a checkpoint names, youngest first: what is too old or finds no room stays out."""
        for ref in sorted(memory.segments, key=lambda ref: (ref.until, ref.stands), reverse=True):
            if ref.until < horizon:
                continue
            ids = await self._read(journal, ref) if self._deduplication.has_room(ref.until) else None
            if ids is None:
                await self._tell(partial(self._deduplication.missed, until=ref.until))
            else:
                await self._tell(partial(self._deduplication.recall, ids=ids, stands=ref.stands))

    async def _read(self, journal: JournalReader, ref: SegmentRef) -> Segment | None:
        """Return a segment; None where retention has removed it, or none can be read there."""
        entry = await journal.read_one(self._lane.partition, ref.stands)
        if entry is None:
            return None
        placed = decode(ref.stands, entry)
        return placed.entry if placed.counts and isinstance(placed.entry, Segment) else None

    async def _tell(self, act: Callable[[Partition], None]) -> None:
        def apply(_now: Now) -> None:
            if not self._lane.dropped:  # else it is another lane's turn
                act(self._lane.partition)

        await self._inbox.ask(apply)
