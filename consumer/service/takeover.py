"""Takes a partition over: reads its past until it is clear where to start. The pipeline owns what comes of it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from consumer.core.journal.entries import Accepted, Placed, Skipped
from consumer.core.journal.group import foreign_claims, group_of, not_ours
from consumer.core.journal.lane import TakenOver
from consumer.core.journal.replay import Remembering
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

AT_ONCE = 4
"""Take-overs that read their journals: the others wait, so that what is in flight stays within some MiB."""

AT_ONCE_SECONDS = 10.0
"""Past this a take-over keeps nobody waiting any more: it waits for a broker itself, mostly, for however long that is away."""


class OvertakenError(Exception):
    """Another member has claimed the partition since; the message is its name."""


class PartitionStoppedError(Exception):
    """A partition must not start before somebody has looked at it; the message says why."""

    def __init__(self, why: str, *, known_done: Offset | None = None) -> None:
        """`known_done` is the offset below which everything is done, where that is known."""
        super().__init__(why)
        self.known_done = known_done


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
        self._past = PartitionEvidence(events=consumer, journal=journal)
        self._clock = clock
        self._policies = policies
        self._group = group
        self._facts = facts
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(
        self, partition: Partition, claimed_at: JournalOffset, process: str, recalling: Recalling
    ) -> TakenOver:
        """Return where to start and what the journal says of the records from there on.

        The event IDs of segments are given to `recalling` as they are read.

        Raises:
            OvertakenError: somebody else has claimed the partition meanwhile.
            PartitionStoppedError: the evidence forbids a start.
        """
        horizon = Instant(self._clock.now().wall - self._policies.deduplication_ttl_seconds)
        remembering = Remembering(horizon=horizon, oldest=None, policies=self._policies)
        async with self._turn():
            reading = await self._past.read_to_remember(partition, claimed_at, remembering, recalling.sliced)
        other = group_of(reading.replay.people)
        if other not in (None, self._group):  # it claimed in the moment between our look and our claim
            await recalling.nothing()
            raise PartitionStoppedError(not_ours(other, self._group))
        self._tell_of_intruders(partition, reading)
        try:
            start = await self._start(partition, reading)
        except PartitionStoppedError:
            await recalling.nothing()
            other = claimed_since(await self._since(partition, claimed_at), process)
            if other is not None:
                raise OvertakenError(other) from None
            raise
        if start.commit:
            await self._take_back_the_commit(partition, start.offset)
        if reading.replay.memory is not None:
            async with self._turn():
                await recalling.segments(self._journal, reading.replay.memory, horizon)
        return reading.replay.taken_over(start.offset, skipped=self._tell(partition, start))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Be one of the few that read; whoever reads for long is none of them any more."""
        await self._slots.acquire()
        lent = [self._slots]

        def give_back() -> None:
            while lent:
                lent.pop().release()

        late = asyncio.get_running_loop().call_later(AT_ONCE_SECONDS, give_back)
        try:
            yield
        finally:
            late.cancel()
            give_back()

    async def other_group(self, partition: Partition) -> str | None:
        """Return whose the partition's journal is, where it is another group's."""
        try:
            group = await self._past.group(partition)
        except TopicGoneError:  # claiming says so, and gives a journal that is too small more partitions
            return None
        return None if group == self._group else group

    async def is_accepted(self, partition: Partition, claimed_at: JournalOffset, process: str) -> bool:
        """Return whether an operator has let the stopped partition start since.

        Raises:
            OvertakenError: somebody else has claimed it.
        """
        since = await self._since(partition, claimed_at)
        other = claimed_since([placed for placed in since if not isinstance(placed.entry, Accepted)], process)
        if other is not None:
            raise OvertakenError(other)
        return claimed_since(since, process) is not None

    def _tell_of_intruders(self, partition: Partition, reading: JournalReading) -> None:
        """Tell of what others have written by mistake since our last checkpoint."""
        replay = reading.replay
        if replay.strays:
            self._facts.journal_strays(partition, offsets=replay.strays)
        claims = list(foreign_claims(replay.people_behind(), self._group))
        if claims:
            self._facts.foreign_claims(partition, group=claims[-1].group, member=claims[-1].member, count=len(claims))

    async def _since(self, partition: Partition, claimed_at: JournalOffset) -> Iterable[Placed]:
        return await self._past.since(partition, JournalOffset(claimed_at + 1))

    async def _start(self, partition: Partition, reading: JournalReading) -> Start:
        give_up_at = self._clock.now().steady + TRUNCATION_PATIENCE_SECONDS
        while True:
            evidence = await self._past.evidence(partition, reading)
            point = starting_point(evidence)
            if isinstance(point, Start):
                return point
            if not point.may_pass or self._clock.now().steady >= give_up_at:
                raise PartitionStoppedError(point.why, known_done=known_done(evidence))
            await asyncio.sleep(PATIENCE_STEP_SECONDS)

    async def _take_back_the_commit(self, partition: Partition, offset: Offset) -> None:
        """Commit less than the group has: before our checkpoint stands, or the next owner would go by the commit."""
        wanted = {partition: Committed(offset=offset, metadata=OUR_MARK)}
        while partition in self._consumer.assignment():
            if await self._consumer.commit(wanted, deadline_seconds=COMMIT_DEADLINE_SECONDS):
                return
            self._facts.commit_failed([partition])
            await asyncio.sleep(PATIENCE_STEP_SECONDS)

    def _tell(self, partition: Partition, start: Start) -> Skipped | None:
        """Tell what somebody has done to the group or to the log; return what the journal is to say of it."""
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
