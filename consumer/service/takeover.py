"""Takes a partition over: reads its journal and evidence, and decides where to start. Changes no pipeline state."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from consumer.core.journal.entries import Accepted, Placed, Skipped
from consumer.core.journal.group import foreign_claims, group_of
from consumer.core.journal.lane import TakenOver
from consumer.core.journal.replay import Remembering
from consumer.core.journal.stop import Stop, not_ours
from consumer.core.journal.takeover import OUR_MARK, Start, claimed_since, known_done, starting_point
from consumer.core.policy import Policies
from consumer.core.terms import Instant, JournalOffset, Offset, Partition
from consumer.service.evidence import JournalReading, PartitionEvidence
from consumer.service.facts import Facts
from consumer.service.ports import Clock, Committed, EventsConsumer, JournalLog, TopicGoneError
from consumer.service.recalling import Recalling

TRUNCATION_PATIENCE_SECONDS = 30.0
"""A broker that has just become leader may know a shorter log for a moment."""

PATIENCE_STEP_SECONDS = 1.0

COMMIT_DEADLINE_SECONDS = 5.0

TAKE_OVERS_AT_ONCE = 4
"""How many take-overs read their journals at once: what is in memory stays within some MiB."""

AT_ONCE_SECONDS = 10.0
"""A take-over that reads for longer frees its slot: most likely it waits for a broker that is away."""


class OvertakenError(Exception):
    """Another member has claimed the partition after us; the message is its name."""


class PartitionStoppedError(Exception):
    """A partition must not start before a person has decided; `stop` says why."""

    def __init__(self, stop: Stop, *, known_done: Offset | None = None, log_end: Offset | None = None) -> None:
        """`known_done` is the offset below which everything is done, `log_end` the partition's end, where those are known."""
        super().__init__(stop.why)
        self.stop = stop
        self.known_done = known_done
        self.log_end = log_end


class Takeover:
    """Reads a partition's journal and evidence, after our claim is written."""

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
        self._evidence = PartitionEvidence(events=consumer, journal=journal)
        self._clock = clock
        self._policies = policies
        self._group = group
        self._facts = facts
        self._slots = asyncio.Semaphore(TAKE_OVERS_AT_ONCE)

    async def run(
        self, partition: Partition, claimed_at: JournalOffset, process: str, recalling: Recalling
    ) -> TakenOver:
        """Return where to start, and what the journal says about the records from there on.

        The event IDs of segments are given to `recalling` as they are read.

        Raises:
            OvertakenError: another member has claimed the partition meanwhile.
            PartitionStoppedError: the evidence forbids a start.
        """
        horizon = Instant(self._clock.now().wall - self._policies.deduplication_ttl_seconds)
        remembering = Remembering(horizon=horizon, oldest=None, policies=self._policies)
        async with self._reading_slot():
            reading = await self._evidence.read_to_remember(partition, claimed_at, remembering, recalling.after_slice)
        other = group_of(reading.replay.people)
        if other not in (None, self._group):  # it claimed between our check and our claim
            await recalling.forget_all()
            raise PartitionStoppedError(not_ours(other, self._group))
        self._report_foreign_records(partition, reading)
        try:
            start, log_end = await self._start(partition, reading)
        except PartitionStoppedError:
            await recalling.forget_all()
            other = claimed_since(await self._since(partition, claimed_at), process)
            if other is not None:
                raise OvertakenError(other) from None
            raise
        if start.commit:
            await self._lower_the_commit(partition, start.offset)
        if reading.replay.memory is not None:
            async with self._reading_slot():
                await recalling.segments(self._journal, reading.replay.memory, horizon)
        taken = reading.replay.taken_over(start.offset, skipped=self._report_start(partition, start))
        return replace(taken, log_end=log_end)

    @asynccontextmanager
    async def _reading_slot(self) -> AsyncIterator[None]:
        """Hold one of `TAKE_OVERS_AT_ONCE` slots while reading, for `AT_ONCE_SECONDS` at most."""
        await self._slots.acquire()
        held = [self._slots]

        def release() -> None:
            while held:
                held.pop().release()

        timer = asyncio.get_running_loop().call_later(AT_ONCE_SECONDS, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    async def other_group(self, partition: Partition) -> str | None:
        """Return the group that the partition's journal belongs to; None where it is ours or belongs to none."""
        try:
            group = await self._evidence.group(partition)
        except TopicGoneError:  # the claim will report it, or add the partitions that the journal lacks
            return None
        return None if group == self._group else group

    async def is_accepted(self, partition: Partition, claimed_at: JournalOffset, process: str) -> bool:
        """Return whether an operator has let the stopped partition start after `claimed_at`.

        Raises:
            OvertakenError: another member has claimed it.
        """
        since = await self._since(partition, claimed_at)
        other = claimed_since([placed for placed in since if not isinstance(placed.entry, Accepted)], process)
        if other is not None:
            raise OvertakenError(other)
        return claimed_since(since, process) is not None

    def _report_foreign_records(self, partition: Partition, reading: JournalReading) -> None:
        """Report what others have written to the journal by mistake since our last checkpoint."""
        replay = reading.replay
        if replay.strays:
            self._facts.journal_strays(partition, offsets=replay.strays)
        claims = list(foreign_claims(replay.people_behind(), self._group))
        if claims:
            self._facts.foreign_claims(partition, group=claims[-1].group, member=claims[-1].member, count=len(claims))

    async def _since(self, partition: Partition, claimed_at: JournalOffset) -> Iterable[Placed]:
        return await self._evidence.since(partition, JournalOffset(claimed_at + 1))

    async def _start(self, partition: Partition, reading: JournalReading) -> tuple[Start, Offset]:
        """Return where to start, and where the events partition ends."""
        give_up_at = self._clock.now().steady + TRUNCATION_PATIENCE_SECONDS
        while True:
            evidence = await self._evidence.evidence(partition, reading)
            point = starting_point(evidence)
            if isinstance(point, Start):
                return point, evidence.log_end
            if not point.may_pass or self._clock.now().steady >= give_up_at:
                raise PartitionStoppedError(point, known_done=known_done(evidence), log_end=evidence.log_end)
            await asyncio.sleep(PATIENCE_STEP_SECONDS)

    async def _lower_the_commit(self, partition: Partition, offset: Offset) -> None:
        """Commit a lower offset than the group has, before our checkpoint: else the next owner would start at the commit."""
        wanted = {partition: Committed(offset=offset, metadata=OUR_MARK)}
        while partition in self._consumer.assignment():
            if await self._consumer.commit(wanted, deadline_seconds=COMMIT_DEADLINE_SECONDS):
                return
            self._facts.commit_failed([partition])
            await asyncio.sleep(PATIENCE_STEP_SECONDS)

    def _report_start(self, partition: Partition, start: Start) -> Skipped | None:
        """Report a moved commit and records lost to retention; return the entry that the journal gets for skipped ones."""
        wanted = Offset(start.offset - start.lost)
        skipped: Skipped | None = None
        if start.rewound:
            self._facts.commit_rewound(partition, committed=Offset(wanted - start.rewound), watermark=wanted)
        if start.skipped:
            watermark = Offset(wanted - start.skipped)
            self._facts.commit_skipped(partition, watermark=watermark, committed=wanted)
            skipped = Skipped(start=watermark, stop=wanted, skipped_at=self._clock.now().wall)
        if start.lost:
            self._facts.records_lost(partition, start=wanted, stop=start.offset)
        return skipped
