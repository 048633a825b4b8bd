"""Reads the evidence for a take-over: the journal from its last checkpoint on, the commit, the log's bounds. Writes nothing.

A take-over and `inspect` both read through this module, so that both decide by the same evidence. A journal is read
in slices, and other tasks run between them. Of what is read, only what a `Replay` keeps stays in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from consumer.core.journal.entries import Checkpoint, Placed
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.group import NAMES_A_GROUP, JournalOwnership
from consumer.core.journal.replay import Landmark, Remembering, Replay, landmark
from consumer.core.journal.takeover import OUR_MARK, Evidence, differs
from consumer.core.terms import JournalOffset, Offset, Partition
from consumer.service.ports import EventsLog, JournalReader, PlainEntry

FIRST_STEP = 512
"""Journal entries searched in the first step backwards; each further step searches twice as many."""

SLICE_ENTRIES, SLICE_BYTES = 256, 256 * 1024
"""How much is decoded without a pause: some 5 ms of the event loop."""

AfterSlice = Callable[[Replay], Awaitable[None]]
"""Called after each slice; it may take out of the replay what was made so far."""

LONGEST_STEP = 8_192
"""The most entries read at once in the search for the group that a journal belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReading:
    """What was read of a journal partition."""

    replay: Replay
    is_whole: bool
    """Whether the journal still has its first entry."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint that counts."""
        return self.replay.checkpoint

    @property
    def checkpoint_at(self) -> JournalOffset | None:
        """The journal offset of that checkpoint."""
        return self.replay.found.at if self.replay.found is not None and self.replay.checkpoint is not None else None


class PartitionEvidence:
    """Reads what Kafka holds about a partition. Joins no group, writes nothing."""

    def __init__(self, *, events: EventsLog, journal: JournalReader) -> None:
        self._events = events
        self._journal = journal

    async def read(self, partition: Partition, stop: JournalOffset) -> JournalReading:
        """Read the journal up to `stop`, from the last checkpoint or from an earlier entry that unpublished results need."""
        first, _ = await self._journal.bounds(partition)
        found = await self._landmark(partition, first, stop)
        return await self._replay(partition, Replay(found, first=first), first, stop, _take_nothing)

    async def read_to_remember(
        self, partition: Partition, stop: JournalOffset, remembering: Remembering, after_slice: AfterSlice
    ) -> JournalReading:
        """Read as `read` does, and the event IDs that no segment holds."""
        first, _ = await self._journal.bounds(partition)
        found = await self._landmark(partition, first, stop)
        if found is not None and isinstance(found.entry, Checkpoint) and found.entry.memory is None:
            oldest = await self._journal.offset_at(partition, max(0, int(remembering.horizon * 1000)))
            remembering = remembering._replace(oldest=oldest)
        replay = Replay(found, first=first, remembering=remembering)
        return await self._replay(partition, replay, first, stop, after_slice)

    async def _landmark(self, partition: Partition, first: JournalOffset, stop: JournalOffset) -> Landmark | None:
        """Search backwards for the entry from which to read: step by step, each range once and from its start."""
        found: Landmark | None = None

        async def look(entries: Sequence[PlainEntry]) -> None:
            nonlocal found
            found = landmark(entries) or found

        step = FIRST_STEP
        while found is None and stop > first:
            start = max(first, JournalOffset(stop - step))
            await self._journal.each(partition, start, stop, look)
            stop, step = start, 2 * step
        return found

    async def _replay(
        self, partition: Partition, replay: Replay, first: JournalOffset, stop: JournalOffset, after_slice: AfterSlice
    ) -> JournalReading:
        async def take(entries: Sequence[PlainEntry]) -> None:
            for some in _slices(entries):
                replay.feed(some)
                await after_slice(replay)
                await asyncio.sleep(0)

        await self._journal.each(partition, replay.begin, stop, take)
        return JournalReading(replay=replay, is_whole=first == 0)

    async def evidence(self, partition: Partition, reading: JournalReading) -> Evidence:
        """Collect what must be known before the first record is read."""
        committed = await self._events.committed(partition)
        log_start, log_end = await self._events.log_bounds(partition)
        return Evidence(
            committed=None if committed is None else committed.offset,
            committed_by_us=committed is not None and committed.metadata.startswith(OUR_MARK),
            checkpoint=reading.checkpoint,
            journal_is_whole=reading.is_whole,
            log_start=log_start,
            log_end=log_end,
            accepted=reading.replay.accepted,
            cut=reading.replay.cut,
            unreadable=reading.replay.unreadable,
            differs_at=await self._differs_at(partition, reading, log_start, log_end),
        )

    async def _differs_at(
        self, partition: Partition, reading: JournalReading, log_start: Offset, log_end: Offset
    ) -> Offset | None:
        mark = None if reading.checkpoint is None else reading.checkpoint.mark
        if mark is None or not log_start <= mark.offset < log_end:
            return None
        record = await self._events.read_one(partition, mark.offset)
        if record is None or not differs(mark, record.timestamp, record.key, record.value):
            return None
        return mark.offset

    async def group(self, partition: Partition) -> str | None:
        """Return the group that the journal belongs to, None where it belongs to none yet."""
        first, start = await self._journal.bounds(partition)
        title, step = JournalOwnership(), FIRST_STEP
        while start > first and not title.is_known:
            stop, start = start, max(first, JournalOffset(start - step))
            named: list[PlainEntry] = []
            await self._journal.each(partition, start, stop, partial(_keep_named, named))
            for offset, value in reversed(named):
                title.read_record(offset, value)
            step = min(2 * step, LONGEST_STEP)
        return title.group

    async def since(self, partition: Partition, start: JournalOffset) -> Sequence[Placed]:
        """Return the entries from `start` to the journal's present end."""
        _, end = await self._journal.bounds(partition)
        if end <= start:
            return ()
        return [decode(entry.offset, entry.value) for entry in await self._journal.read(partition, start, end)]


async def _keep_named(kept: list[PlainEntry], entries: Sequence[PlainEntry]) -> None:
    """Keep the entries that may name a group: about one of a thousand."""
    kept.extend([entry for entry in entries if NAMES_A_GROUP in entry[1]])


async def _take_nothing(_replay: Replay) -> None:
    """An `AfterSlice` for a reading that remembers no event IDs."""


def _slices(entries: Sequence[PlainEntry]) -> Iterator[Sequence[PlainEntry]]:
    """Yield entries in slices bounded by `SLICE_ENTRIES` and `SLICE_BYTES`."""
    start = size_bytes = 0
    for index, (_, value) in enumerate(entries):
        size_bytes += len(value)
        if size_bytes >= SLICE_BYTES or index - start + 1 >= SLICE_ENTRIES:
            yield entries[start : index + 1]
            start, size_bytes = index + 1, 0
    if start < len(entries):
        yield entries[start:]
