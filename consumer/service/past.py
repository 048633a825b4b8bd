"""A partition's past, read: its journal back to the last checkpoint, the group's commit, what the log holds. Reads only.

What a take-over decides by, and what `inspect` shows of it from outside: one reading, so that both judge alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.core.journal import Checkpoint, Outcome, Placed
from consumer.core.journal_decode import decode
from consumer.core.journal_group import Title
from consumer.core.takeover import (
    OUR_MARK,
    Evidence,
    accepted,
    cut,
    differs,
    last_checkpoint,
    since_accepted,
    unreadable,
)
from consumer.core.terms import Instant, JournalOffset, Offset, Partition
from consumer.service.ports import EventsLog, JournalReader

FIRST_STEP = 512
"""Journal entries read in the first step backwards; each further step reads twice as far."""

LONGEST_STEP = 8_192
"""Entries at once where nothing of them is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of a journal partition: all that still says something, up to where reading was to end."""

    entries: Sequence[Placed]
    is_whole: bool
    """Whether the journal still has its beginning."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last one that counts."""
        found = last_checkpoint(self.entries)
        return None if found is None else found[1]


class Past:
    """Looks at what stands in Kafka about a partition. Joins no group, writes nothing."""

    def __init__(self, *, events: EventsLog, journal: JournalReader) -> None:
        self._events = events
        self._journal = journal

    async def read(self, partition: Partition, stop: JournalOffset) -> Reading:
        """Read the journal backwards from `stop`: to the last checkpoint, and as far as unpublished results need."""
        return (await self._read(partition, stop))[0]

    async def read_to_remember(
        self, partition: Partition, stop: JournalOffset, *, since: Instant, max_entries: int
    ) -> Reading:
        """Read the same, and further: outcomes since an instant, until `max_entries` records are remembered."""
        reading, start = await self._read(partition, stop)
        entries = list(reading.entries)
        first, _ = await self._journal.bounds(partition)
        oldest = await self._journal.offset_at(partition, int(since * 1000))
        if oldest is None:
            return reading
        step = FIRST_STEP
        while start > max(first, oldest) and _remembered(entries) < max_entries and accepted(entries) is None:
            start = await self._prepend(partition, entries, start, max(first, oldest, JournalOffset(start - step)))
            entries = list(since_accepted(entries))
            step *= 2
        return Reading(entries=entries, is_whole=reading.is_whole)

    async def _read(self, partition: Partition, stop: JournalOffset) -> tuple[Reading, JournalOffset]:
        first, _ = await self._journal.bounds(partition)
        entries: list[Placed] = []
        start, step = stop, FIRST_STEP
        while start > first and last_checkpoint(entries) is None and accepted(entries) is None:
            start = await self._prepend(partition, entries, start, max(first, JournalOffset(start - step)))
            entries = list(since_accepted(entries))
            step *= 2
        found = last_checkpoint(entries)
        if found is not None and found[1].unpublished is not None and found[1].unpublished < start:
            start = await self._prepend(partition, entries, start, max(first, found[1].unpublished))
        return Reading(entries=since_accepted(entries), is_whole=first == 0), start

    async def _prepend(
        self, partition: Partition, entries: list[Placed], stop: JournalOffset, start: JournalOffset
    ) -> JournalOffset:
        read = await self._journal.read(partition, start, stop)
        entries[:0] = [decode(entry.offset, entry.value) for entry in read]
        return start

    async def evidence(self, partition: Partition, reading: Reading) -> Evidence:
        """Look at what must be known before the first record is read."""
        committed = await self._events.committed(partition)
        log_start, log_end = await self._events.log_bounds(partition)
        return Evidence(
            committed=None if committed is None else committed.offset,
            committed_by_us=committed is not None and committed.metadata.startswith(OUR_MARK),
            checkpoint=reading.checkpoint,
            journal_is_whole=reading.is_whole,
            log_start=log_start,
            log_end=log_end,
            accepted=accepted(reading.entries),
            cut=cut(reading.entries),
            unreadable=unreadable(reading.entries),
            differs_at=await self._differs_at(partition, reading, log_start, log_end),
        )

    async def _differs_at(
        self, partition: Partition, reading: Reading, log_start: Offset, log_end: Offset
    ) -> Offset | None:
        mark = None if reading.checkpoint is None else reading.checkpoint.mark
        if mark is None or not log_start <= mark.offset < log_end:
            return None
        record = await self._events.read_one(partition, mark.offset)
        if record is None or not differs(mark, record.timestamp, record.key, record.value):
            return None
        return mark.offset

    async def group(self, partition: Partition) -> str | None:
        """Return whose the journal is, None where it is nobody's yet. Keeps nothing of what it reads."""
        first, start = await self._journal.bounds(partition)
        title, step = Title(), FIRST_STEP
        while start > first and not title.is_known:
            stop, start = start, max(first, JournalOffset(start - step))
            for entry in reversed(await self._journal.read(partition, start, stop)):
                title.read_record(entry.offset, entry.value)
            step = min(2 * step, LONGEST_STEP)
        return title.group

    async def since(self, partition: Partition, start: JournalOffset) -> Sequence[Placed]:
        """Return what stands in the journal from `start` to its end now."""
        _, end = await self._journal.bounds(partition)
        if end <= start:
            return ()
        return [decode(entry.offset, entry.value) for entry in await self._journal.read(partition, start, end)]


def _remembered(entries: Sequence[Placed]) -> int:
    return sum(
        len(settled.offsets)
        for placed in entries
        if isinstance(placed.entry, Outcome)
        for settled in placed.entry.settled
    )
