"""Takes a partition over: reads what `core/takeover.py` decides by. Reads only; the pipeline owns what comes of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.core.journal import Outcome, Placed, decode
from consumer.core.lane import TakenOver
from consumer.core.policy import Policies
from consumer.core.takeover import (
    OUR_MARK,
    Evidence,
    Start,
    check_group,
    claimed_since,
    differs,
    last_checkpoint,
    replay,
    starting_point,
)
from consumer.core.terms import JournalOffset, Offset, Partition
from consumer.service.facts import Facts
from consumer.service.ports import Clock, EventsConsumer, JournalLog

FIRST_STEP = 512
"""Journal entries read in the first step backwards; each further step reads twice as far."""

TRUNCATION_PATIENCE_SECONDS = 30.0
"""A broker that has just become leader may know a shorter log for a moment."""

PATIENCE_STEP_SECONDS = 1.0


class OvertakenError(Exception):
    """Another member has claimed the partition since; the message is its name."""


class PartitionStoppedError(Exception):
    """A partition must not start before somebody has looked at it; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of a journal partition up to our claim."""

    entries: Sequence[Placed]
    is_whole: bool


class Takeover:
    """Reads one partition's journal and evidence, once its claim stands."""

    def __init__(
        self,
        *,
        consumer: EventsConsumer,
        journal: JournalLog,
        clock: Clock,
        policies: Policies,
        group: str,
        facts: Facts,
    ) -> None:
        self._consumer = consumer
        self._journal = journal
        self._clock = clock
        self._policies = policies
        self._group = group
        self._facts = facts

    async def run(self, partition: Partition, claimed_at: JournalOffset, process: str) -> TakenOver:
        """Return where to start and what the journal says of the records from there on.

        Raises:
            OvertakenError: somebody else has claimed the partition meanwhile.
            PartitionStoppedError: the evidence forbids a start.
            SharedJournalError: another group writes this journal.
        """
        reading = await self._read(partition, claimed_at)
        check_group(reading.entries, self._group, f"of {partition}")
        try:
            start = await self._start(partition, reading)
        except PartitionStoppedError:
            await self._check_overtaken(partition, claimed_at, process)
            raise
        if start.rewound:
            committed = Offset(start.offset - start.rewound)
            self._facts.commit_rewound(partition, committed=committed, watermark=start.offset)
        if start.skipped:
            watermark = Offset(start.offset - start.skipped)
            self._facts.commit_skipped(partition, watermark=watermark, committed=start.offset)
        if start.lost:
            self._facts.records_lost(partition, start=Offset(start.offset - start.lost), stop=start.offset)
        return replay(reading.entries, start.offset)

    async def _check_overtaken(self, partition: Partition, claimed_at: JournalOffset, process: str) -> None:
        _, end = await self._journal.bounds(partition)
        since = await self._journal.read(partition, JournalOffset(claimed_at + 1), end)
        other = claimed_since([decode(entry.offset, entry.value) for entry in since], process)
        if other is not None:
            raise OvertakenError(other)

    async def _start(self, partition: Partition, reading: Reading) -> Start:
        found = last_checkpoint(reading.entries)
        checkpoint = None if found is None else found[1]
        committed = await self._consumer.committed(partition)
        give_up_at = self._clock.now().steady + TRUNCATION_PATIENCE_SECONDS
        while True:
            log_start, log_end = await self._consumer.log_bounds(partition)
            point = starting_point(
                Evidence(
                    committed=None if committed is None else committed.offset,
                    committed_by_us=committed is not None and committed.metadata.startswith(OUR_MARK),
                    checkpoint=checkpoint,
                    journal_is_whole=reading.is_whole,
                    log_start=log_start,
                    log_end=log_end,
                )
            )
            if isinstance(point, Start):
                break
            if not point.may_pass or self._clock.now().steady >= give_up_at:
                raise PartitionStoppedError(point.why)
            await asyncio.sleep(PATIENCE_STEP_SECONDS)
        mark = None if checkpoint is None else checkpoint.mark
        if mark is not None and log_start <= mark.offset < log_end:
            record = await self._consumer.read_one(partition, mark.offset)
            if record is not None and differs(mark, record.timestamp, record.key, record.value):
                message = f"the record at offset {mark.offset} is not the one that was read before: "
                raise PartitionStoppedError(message + "the topic was recreated")
        return point

    async def _read(self, partition: Partition, claimed_at: JournalOffset) -> Reading:
        """Read backwards: to the last checkpoint, then as far as unpublished results and deduplication need."""
        first, _ = await self._journal.bounds(partition)
        entries: list[Placed] = []
        start, step = claimed_at, FIRST_STEP
        while start > first and last_checkpoint(entries) is None:
            start = await self._prepend(partition, entries, start, max(first, JournalOffset(start - step)))
            step *= 2
        found = last_checkpoint(entries)
        if found is not None and found[1].unpublished is not None and found[1].unpublished < start:
            start = await self._prepend(partition, entries, start, max(first, found[1].unpublished))
        await self._read_for_deduplication(partition, entries, start, first)
        return Reading(entries=entries, is_whole=first == 0)

    async def _read_for_deduplication(
        self, partition: Partition, entries: list[Placed], start: JournalOffset, first: JournalOffset
    ) -> None:
        horizon = self._clock.now().wall - self._policies.deduplication_ttl_seconds
        oldest = await self._journal.offset_at(partition, int(horizon * 1000))
        if oldest is None:
            return
        step = FIRST_STEP
        while start > max(first, oldest) and _remembered(entries) < self._policies.deduplication_max_entries:
            start = await self._prepend(partition, entries, start, max(first, oldest, JournalOffset(start - step)))
            step *= 2

    async def _prepend(
        self, partition: Partition, entries: list[Placed], stop: JournalOffset, start: JournalOffset
    ) -> JournalOffset:
        read = await self._journal.read(partition, start, stop)
        entries[:0] = [decode(entry.offset, entry.value) for entry in read]
        return start


def _remembered(entries: Sequence[Placed]) -> int:
    return sum(
        len(settled.offsets)
        for placed in entries
        if isinstance(placed.entry, Outcome)
        for settled in placed.entry.settled
    )
