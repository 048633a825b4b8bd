"""Gains and losses of partitions: claims, take-overs, revokes. Owns which take-over runs; never sends.

The consumer group decides who may claim a partition. The journal decides who owns it. Where another member's claim takes
a partition that the group still assigns to us, we claim it again shortly after: a late claim must not leave it ownerless.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from consumer.core.journal.entries import Claim
from consumer.core.journal.lane import Lane, TakenOver
from consumer.core.journal.ledger import OwnershipState
from consumer.core.journal.stop import Stop, cure, journal_damaged, not_ours
from consumer.core.journal.takeover import OUR_MARK
from consumer.core.pipeline import Pipeline
from consumer.core.terms import JournalOffset, Now, Offset, Partition, Ticks
from consumer.service.facts import Facts
from consumer.service.inbox import Inbox
from consumer.service.ports import Clock, Committed, EventsConsumer, NoBrokerError, RefusedError, TopicGoneError
from consumer.service.rebalancing import Rebalancing
from consumer.service.recalling import Recalling
from consumer.service.takeover import OvertakenError, PartitionStoppedError, Takeover
from consumer.service.unread import UnreadRecords, first_unread
from consumer.service.unreadable import LaneDroppedError, until_readable

CLAIM_AGAIN_SECONDS = (1.0, 5.0)
"""A random delay between these: two members that both claim a partition must not go on doing so in step."""

LOOK_AGAIN_SECONDS = 3.0
"""How often a stopped partition's journal is checked for an operator's permission to start."""

COMMIT_DEADLINE_SECONDS = 5.0
LOG_ENDS_SECONDS = 10.0


class Partitions:
    """Decides which partitions this process has lanes for, by what the group and the journals say."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        consumer: EventsConsumer,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        takeover: Takeover,
        clock: Clock,
        jitter: Callable[[], float],
        identity: Callable[[Now], Claim],
        facts: Facts,
    ) -> None:
        self._pipeline = pipeline
        self._consumer = consumer
        self._inbox = inbox
        self._tasks = tasks
        self._takeover = takeover
        self._clock = clock
        self._jitter = jitter
        self._identity = identity
        self._facts = facts
        self.rebalancing = Rebalancing(clock, facts)
        self._paused: set[Partition] = set()
        self._takeovers: dict[Partition, asyncio.Task[None]] = {}
        """Each partition's latest take-over; it may have ended."""
        self._handing_back = False
        """Whether a revoke is under way: nothing is claimed until the next assignment, though the client still has it."""
        self.committed: dict[Partition, Offset] = {}
        self.all_committed_at = clock.now().steady
        """When the commits were last complete: acknowledged, or there was nothing to commit."""
        self.stopped: dict[Partition, Stop] = {}
        """Partitions that wait for a person, and why."""
        self.log_ends: dict[Partition, Offset] = {}
        self.unread = UnreadRecords(consumer, clock)
        self.known_done: dict[Partition, Offset] = {}
        """For stopped partitions: the offset below which everything is done, as far as their evidence says."""
        self.broker_trouble: str | None = None
        """Why the ends of the logs could not be read at the last attempt; None where they could."""
        self.brokers_away_since: Ticks | None = None
        """Since when some or all of them could not be read."""
        self.unanswered: tuple[Partition, ...] = ()
        """Partitions whose leaders did not answer at the last attempt, while others did."""
        self.unreadable: Mapping[str, str] = {}
        """Events topics that wait for a person, and why."""

    # ---------------------------------------------------------------- the group

    def on_assigned(self, partitions: Iterable[Partition]) -> None:
        """The group assigned these to us; they are paused at first."""
        granted = list(partitions)
        self._handing_back = False
        self._paused.update(granted)
        self._facts.partitions_assigned(granted)
        self.rebalancing.assigned(granted)
        for partition in granted:
            self.claim(partition)

    def claim(self, partition: Partition) -> None:
        """Claim a partition in the engine's next turn, if it is assigned to us then and has no lane."""
        self._inbox.tell(partial(self._assign, partition))

    def _assign(self, partition: Partition, _now: Now) -> None:
        if self._handing_back or partition in self._pipeline.lanes or partition not in self._consumer.assignment():
            return
        claim = self._identity(self._clock.now())
        self._pipeline.assigned(partition, lambda: self._identity(self._clock.now()), claim.process)

    def hand_back(self) -> list[Partition]:
        """Begin a revoke of all partitions: start nothing more for them, claim none. Return those that have a lane.

        A lost partition is claimed again after a delay. If that delay ended during the revoke, the new lane would
        outlive the assignment, and its read position with it.
        """
        self._handing_back = True
        self.rebalancing.revoked()
        leaving = list(self._pipeline.lanes)
        self._pipeline.leave(leaving)
        for partition in leaving:
            if not self._pipeline.lanes[partition].started:
                self._end_takeover(partition)
        return leaving

    def forget(self, partitions: Iterable[Partition]) -> None:
        """These are no longer ours: drop their lanes and all that is known of them."""
        gone = list(partitions)
        for partition in gone:
            self._end_takeover(partition)
        self._pipeline.drop_all(gone)
        for partition in gone:
            self._paused.discard(partition)
            self.committed.pop(partition, None)
            self.stopped.pop(partition, None)
            self.log_ends.pop(partition, None)
            self.known_done.pop(partition, None)
            self.unread.forget(partition)

    def _end_takeover(self, partition: Partition) -> None:
        """Cancel a take-over whose lane is dropped: two must not read the same journal at once."""
        takeover = self._takeovers.pop(partition, None)
        if takeover is not None:
            takeover.cancel()

    # ---------------------------------------------------------------- the journal

    def look_after(self, lane: Lane) -> None:
        """Start the task that a lane's standing requires; called after every turn."""
        match lane.ledger.standing:
            case OwnershipState.LOOKING if not lane.looking:
                lane.looking = True
                self._tasks.create_task(self._look(lane), name=f"look at {lane.partition}")
            case OwnershipState.TAKING_OVER if not lane.taking_over:
                lane.taking_over = True
                self._facts.partition_claimed(lane.partition, claim_offset=lane.ledger.claimed_at)
                takeover = self._tasks.create_task(self._take_over(lane), name=f"take-over {lane.partition}")
                self._takeovers[lane.partition] = takeover
            case OwnershipState.LOST:
                self._lose(lane)
            case OwnershipState.RECREATED if lane.partition not in self.stopped:
                self._stop(
                    lane.partition, journal_damaged("its journal ends before what was proven: it was recreated or cut")
                )
                self.known_done[lane.partition] = lane.watermark.value
                since = JournalOffset(lane.ledger.expected - 1)
                emptied = self._pipeline.empty(lane.partition)
                self._tasks.create_task(self._until_accepted(emptied, since), name=f"stopped {lane.partition}")
            case _:
                pass

    async def _look(self, lane: Lane) -> None:
        """Check which group the journal belongs to before anything is written to it. If to another, wait for a person."""

        async def look() -> str | None:
            return await self._takeover.other_group(lane.partition)

        try:
            other = await until_readable(lane, look, self._facts)
            if other is not None and not lane.dropped:
                self._stop(lane.partition, not_ours(other, lane.group))
            while other is not None and not lane.dropped:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                other = await until_readable(lane, look, self._facts)
        except LaneDroppedError:
            return

        def claim(_now: Now) -> None:
            if lane.dropped:
                return
            if self.stopped.pop(lane.partition, None) is not None:
                self._facts.partition_accepted(lane.partition)
            lane.ledger.may_claim()

        self._inbox.tell(claim)

    async def _take_over(self, lane: Lane) -> None:
        began_at = self._clock.now().steady
        try:
            taken = await until_readable(lane, partial(self._read_past, lane), self._facts)
        except PartitionStoppedError as error:
            if lane.dropped:
                return
            if error.known_done is not None:
                self.known_done[lane.partition] = error.known_done
            self._saw_end(lane.partition, error.log_end)
            self._stop(lane.partition, error.stop)
            await self._until_accepted(lane, lane.ledger.claimed_at)
            return
        except OvertakenError as error:
            self._overtaken(lane, by=str(error))
            return
        except LaneDroppedError:
            return

        def begin(now: Now) -> None:
            if lane.dropped or lane.partition not in self._consumer.assignment():
                return
            self._pipeline.taken_over(lane, taken, now)
            self._saw_end(lane.partition, taken.log_end)
            self._consumer.seek(lane.partition, taken.start)
            self._facts.partition_owned(
                lane.partition,
                seconds=now.steady - began_at,
                watermark=taken.start,
                unknown_attempts=sum(trials.lost > 0 for trials in taken.trials.values()),
            )
            self.rebalancing.standing(lane.partition)

        self._inbox.tell(begin)

    def _saw_end(self, partition: Partition, log_end: Offset | None) -> None:
        """A take-over has seen where the log ends: its lag is known before the next look."""
        if log_end is not None:
            self.log_ends[partition] = log_end

    async def _read_past(self, lane: Lane) -> TakenOver:
        recalling = Recalling(deduplication=self._pipeline.deduplication, inbox=self._inbox, lane=lane)
        try:
            return await self._takeover.run(lane.partition, lane.ledger.claimed_at, lane.ledger.process, recalling)
        except (RefusedError, TopicGoneError):
            await recalling.forget_all()  # the journal will be read from the beginning again
            raise

    async def _until_accepted(self, lane: Lane, since: JournalOffset) -> None:
        """Poll a stopped partition's journal until an operator lets it start, or it is no longer ours."""

        async def accepted() -> bool:
            return await self._takeover.is_accepted(lane.partition, since, lane.ledger.process)

        while not lane.dropped:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                if await until_readable(lane, accepted, self._facts):
                    self._inbox.tell(partial(self._start_anew, lane))
                    return
            except OvertakenError as error:
                self._overtaken(lane, by=str(error))
                return
            except LaneDroppedError:
                return

    def _start_anew(self, lane: Lane, now: Now) -> None:
        if not lane.dropped:
            self.stopped.pop(lane.partition, None)
            self._facts.partition_accepted(lane.partition)
            self._end_takeover(lane.partition)
            self._pipeline.drop(lane.partition)
            self._assign(lane.partition, now)

    def _overtaken(self, lane: Lane, *, by: str) -> None:
        def overtaken(_now: Now) -> None:
            if not lane.dropped:
                lane.ledger.overtaken(by=by)

        self._inbox.tell(overtaken)

    def _stop(self, partition: Partition, stop: Stop) -> None:
        self.stopped[partition] = stop
        self._facts.partition_stopped(partition, why=stop.why, cure=cure(stop, partition))
        self.rebalancing.standing(partition)

    def _lose(self, lane: Lane) -> None:
        self._facts.partition_lost(lane.partition, claimed_by=lane.ledger.lost_to or "another member")
        self.stopped.pop(lane.partition, None)
        self._end_takeover(lane.partition)
        self._pipeline.lose(lane.partition)
        self._consumer.pause([lane.partition])
        self._paused.add(lane.partition)
        self._tasks.create_task(self._claim_again(lane.partition), name=f"claim {lane.partition} again")

    async def _claim_again(self, partition: Partition) -> None:
        low, high = CLAIM_AGAIN_SECONDS
        await asyncio.sleep(low + (high - low) * self._jitter())
        self.claim(partition)

    # ---------------------------------------------------------------- reading and committing

    def pause_and_resume(self) -> bool:
        """Resume the partitions that may be read now, pause all others; return whether any may be read."""
        assigned = self._consumer.assignment()
        readable = self._pipeline.buffer.readable(self._clock.now()) & assigned
        pause = (assigned - readable) - self._paused
        resume = self._paused & readable
        if pause:
            self._consumer.pause(pause)
        if resume:
            self._consumer.resume(resume)
        self._paused = set(assigned - readable)
        return bool(readable)

    def look_at_edges(self) -> None:
        """After each fetch: report unreadable topics, positions behind unreadable offsets, and logs that were truncated."""
        self._look_at_topics()
        for partition, position in self._consumer.passed().items():
            lane = self._pipeline.lanes.get(partition)
            if lane is not None and lane.started:  # a lane that starts later has its own position by then
                self._inbox.tell(partial(self._passed, lane, position))
        for partition, why in self._consumer.truncated().items():
            self._inbox.tell(partial(self._begin_anew, partition, why))

    def _look_at_topics(self) -> None:
        before, self.unreadable = self.unreadable, self._consumer.unreadable()
        for topic in self.unreadable.keys() - before.keys():
            ours = [partition for partition in self._pipeline.lanes if partition.topic == topic]
            self._facts.events_topic_unreadable(topic, ours, why=self.unreadable[topic])
        for topic in before.keys() - self.unreadable.keys():
            self._facts.events_topic_readable(topic)

    def _passed(self, lane: Lane, position: Offset, _now: Now) -> None:
        self._pipeline.passed(lane, position)

    def _begin_anew(self, partition: Partition, why: str, _now: Now) -> None:
        """Drop a partition whose log has changed under us, and take it over again."""
        lane = self._pipeline.lanes.get(partition)
        if lane is None or not lane.started:
            return
        self._facts.kafka_trouble(why=f"{partition}: {why}; it is taken over again")
        self._pipeline.lose(partition)
        self._consumer.pause([partition])
        self._paused.add(partition)
        self.claim(partition)

    def first_unread_ms(self, lane: Lane) -> int | None:
        """Return the timestamp of the first unread record of a partition with nothing in hand; None where none is known."""
        reached = lane.watermark.position if lane.started else self.known_done.get(lane.partition)
        return None if reached is None else self.unread.timestamp_ms(lane.partition, reached)

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions that are assigned to us; none during a revoke."""
        return frozenset() if self._handing_back else self._consumer.assignment()

    @property
    def away_seconds(self) -> float:
        """For how long we have had no assignment."""
        return self._consumer.away_seconds

    @property
    def paused(self) -> frozenset[Partition]:
        """Partitions that are not read now."""
        return frozenset(self._paused)

    async def commit(self) -> None:
        """Commit each watermark that has moved, once a checkpoint of ours is proven; a commit may be ahead of it."""
        offsets = {
            lane.partition: Committed(offset=lane.watermark.value, metadata=OUR_MARK)
            for lane in self._pipeline.lanes.values()
            if lane.checkpointed
            and self.committed.get(lane.partition) != lane.watermark.value
            and lane.partition.topic not in self.unreadable  # the brokers refuse commits for it, too
        }
        began_at = self._clock.now().steady
        if not offsets:
            self.all_committed_at = began_at
            return
        if await self._consumer.commit(offsets, deadline_seconds=COMMIT_DEADLINE_SECONDS):
            positions = {partition: committed.offset for partition, committed in offsets.items()}
            self.committed.update(positions)
            self.all_committed_at = self._clock.now().steady
            self._facts.committed(positions, seconds=self.all_committed_at - began_at)
        else:
            self._facts.commit_failed(offsets)

    async def look_at_logs(self) -> None:
        """Read the ends of the logs, for the lag; this also shows whether brokers answer."""
        asked, asked_at = list(self._pipeline.lanes), self._clock.now().steady
        try:
            async with asyncio.timeout(LOG_ENDS_SECONDS):
                ends = await self._consumer.log_ends(asked)
        except (TimeoutError, NoBrokerError) as error:
            self.broker_trouble = str(error) or f"no answer within {LOG_ENDS_SECONDS:.0f} s"
            self.brokers_away_since = self.brokers_away_since or asked_at
            return
        self.broker_trouble = None
        self.unanswered = tuple(partition for partition in asked if partition not in ends)
        self.brokers_away_since = (self.brokers_away_since or asked_at) if self.unanswered else None
        self.log_ends.update({partition: end for partition, end in ends.items() if partition in self._pipeline.lanes})
        begun_anew = await self.unread.begun_anew(self.known_done, ends)
        self.known_done.update({partition: at for partition, at in begun_anew.items() if partition in self.known_done})
        first = first_unread(self._pipeline.lanes, self.known_done, ends)
        await self.unread.look(first, paused=self._paused)
