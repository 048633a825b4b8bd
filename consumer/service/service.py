"""The service as a whole: its tasks, its start, its revokes and its drain. Decides nothing about events."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from config.membership import REVOKE_DRAIN_SECONDS
from config.settings import SETTLING_SECONDS
from consumer.core.journal.entries import Claim
from consumer.core.outcome import Status
from consumer.core.pipeline import Pipeline
from consumer.core.policy import Policies
from consumer.core.sending.delivery import RandomSource
from consumer.core.terms import Now, Partition
from consumer.service.control import Control
from consumer.service.engine import Engine
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.facts import DrainPhase, During, Facts
from consumer.service.inbox import Inbox
from consumer.service.partitions import Partitions
from consumer.service.ports import Clock, ControlLog, EventsConsumer, JournalLog, Platform, ResultsProducer
from consumer.service.publisher import ResultsPublisher
from consumer.service.rereading import Rereading
from consumer.service.status_shape import ServiceState
from consumer.service.takeover import Takeover

FETCH_RECORDS = 700
"""Records per fetch: some 5 ms of work. A larger fetch delays the stages behind it for longer, holds more events, and has
left the processor's caches at the next stage (2,000 cost 8 % of CPU). A smaller one costs as much in turns."""

FETCH_SECONDS = 0.2
"""How long a fetch waits for records. A partition that is resumed is read after this time at the latest."""

TAKEN_OVER_SECONDS = 0.05
"""How long a fetch waits while no partition can be read: the first take-over is noticed after this time."""

ROOM_SECONDS = 0.02
"""How often a full buffer is checked for room."""

COMMIT_EVERY_SECONDS = 1.0
CHECKPOINT_EVERY_SECONDS = 5.0
CHECKPOINT_GROUPS = 20
"""Partitions have their checkpoints in so many groups, one after the other: each costs the loop a millisecond or two."""
RENEW_EVERY_SECONDS = 3_600.0
"""The last checkpoint of an idle partition is never older than this: the journal's retention may be hours."""
SUMMARY_EVERY_SECONDS = 30.0
LOGS_EVERY_SECONDS = 5.0
WATCH_EVERY_SECONDS = 1.0
LOOP_PROBE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberIdentity:
    """Who we are in claims, and what we consume."""

    group: str
    process: str
    version: str
    results_topic: str
    dead_letter_topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The implementations of `ports.py` that the service works with, and randomness."""

    consumer: EventsConsumer
    journal: JournalLog
    control: ControlLog
    results: ResultsProducer
    platform: Platform
    clock: Clock
    random_source: RandomSource
    facts: Facts


class _DrainedError(Exception):
    """Ends the TaskGroup after the drain, with all tasks that still run."""


class Service:
    """One member of the group."""

    def __init__(
        self,
        *,
        identity: MemberIdentity,
        policies: Policies,
        world: World,
        grace_seconds: float,
        api_timeout_seconds: float,
    ) -> None:
        self.identity = identity
        self.policies = policies
        self._world = world
        self._grace_seconds = grace_seconds
        self._api_timeout_seconds = api_timeout_seconds
        self.pipeline = Pipeline(policies, group=identity.group, random_source=world.random_source)
        self.started_at = world.clock.now().steady
        self.looked_for_records_at = self.started_at
        """When the fetch loop last started a round, whether or not there was anything to read."""
        self.state: ServiceState = "starting"
        self.watches: list[Callable[[], None]] = []
        """Called every second while the service runs, for people's sake: their errors are reported, and end nothing."""
        self._inbox = Inbox()
        self._telemetry = EngineTelemetry(world.facts, self.pipeline)
        self._tasks = asyncio.TaskGroup()
        self.partitions = self._new_partitions()
        self.engine = self._new_engine()
        self.control = Control(
            world.control, pipeline=self.pipeline, inbox=self._inbox, clock=world.clock, facts=world.facts
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then drain and leave.

        Raises:
            ExceptionGroup: a task of the service failed; all others were cancelled.
        """
        world = self._world
        async with AsyncExitStack() as edges:
            edges.push_async_callback(world.platform.close)
            await world.journal.start()
            edges.push_async_callback(world.journal.stop)
            edges.push_async_callback(world.control.stop)
            await world.results.start()
            edges.push_async_callback(world.results.stop)
            try:
                async with self._tasks:
                    edges.push_async_callback(world.consumer.stop)
                    await self._consume(stop)
            except* _DrainedError:
                pass

    async def _consume(self, stop: asyncio.Event) -> None:
        """Start the loops and the consumer; drain once `stop` is set.

        Raises:
            _DrainedError: the drain is over.
        """
        consumer = self._world.consumer
        self._start(self.engine.run(), name="engine")
        self._start(self.control.follow(), name="control")
        self._start(self._every(COMMIT_EVERY_SECONDS, self.partitions.commit), name="commit")
        self._start(self._checkpoints(), name="checkpoint")
        self._start(self._every(RENEW_EVERY_SECONDS, self._renew), name="renew")
        self._start(self._every(SUMMARY_EVERY_SECONDS, self._summary), name="summary")
        self._start(self._every(LOGS_EVERY_SECONDS, self.partitions.look_at_logs), name="logs")
        self._start(self._every(WATCH_EVERY_SECONDS, self._watch), name="watch")
        self._start(self._probe_loop(), name="loop-probe")
        await consumer.start(on_assigned=self.partitions.on_assigned, on_revoked=self._on_revoked)
        self.state = "running"
        fetch = self._tasks.create_task(self._fetch(), name="fetch")
        await stop.wait()
        fetch.cancel()
        await self._drain()
        raise _DrainedError

    def _start(self, loop: Coroutine[Any, Any, None], *, name: str) -> None:
        self._tasks.create_task(loop, name=name)

    def _new_partitions(self) -> Partitions:
        world = self._world
        takeover = Takeover(
            consumer=world.consumer,
            journal=world.journal,
            clock=world.clock,
            policies=self.policies,
            group=self.identity.group,
            facts=world.facts,
        )
        return Partitions(
            pipeline=self.pipeline,
            consumer=world.consumer,
            inbox=self._inbox,
            tasks=self._tasks,
            takeover=takeover,
            clock=world.clock,
            jitter=world.random_source.jitter,
            identity=self._claim,
            facts=world.facts,
        )

    def _new_engine(self) -> Engine:
        world, identity = self._world, self.identity
        publisher = ResultsPublisher(
            world.results,
            results_topic=identity.results_topic,
            dead_letter_topic=identity.dead_letter_topic,
            published=lambda done: self._inbox.tell(lambda _now: self.pipeline.published(done)),
            clock=world.clock,
            facts=world.facts,
        )
        return Engine(
            pipeline=self.pipeline,
            inbox=self._inbox,
            tasks=self._tasks,
            journal=world.journal,
            platform=world.platform,
            publisher=publisher,
            clock=world.clock,
            names=self.policies.field_names,
            facts=world.facts,
            look_after=self.partitions.look_after,
            rereading=Rereading(
                world.consumer,
                pipeline=self.pipeline,
                inbox=self._inbox,
                tasks=self._tasks,
                telemetry=self._telemetry,
                facts=world.facts,
            ),
        )

    def _claim(self, now: Now) -> Claim:
        return Claim(
            group=self.identity.group,
            member=self._world.consumer.member,
            process=self.identity.process,
            version=self.identity.version,
            claimed_at=now.wall,
        )

    # ---------------------------------------------------------------- loops

    async def _fetch(self) -> None:
        consumer = self._world.consumer
        while True:
            self.looked_for_records_at = self._world.clock.now().steady
            seconds = FETCH_SECONDS if self.partitions.pause_and_resume() else TAKEN_OVER_SECONDS
            self._share_rates()
            most = self._most_records()
            if most <= 0:
                await asyncio.sleep(ROOM_SECONDS)
                continue
            batches = await consumer.fetch(max_records=most, timeout_seconds=seconds)
            lanes = {
                partition: self.pipeline.lanes.get(partition) for partition in batches
            }  # the lanes that were read for; a partition may get another lane while we wait below
            for partition, records in batches.items():
                lane = lanes[partition]
                if lane is None:
                    continue
                fetched = await self._inbox.ask(partial(self.pipeline.fetched, lane, records))
                if fetched.records:
                    self._telemetry.fetched(partition, fetched)
            self.partitions.look_at_edges()

    def _most_records(self) -> int:
        """Return how many records a fetch may bring: where what has no room is parked, the room does not matter."""
        return FETCH_RECORDS if self.policies.read_ahead else min(FETCH_RECORDS, self.pipeline.buffer.room_events)

    def _share_rates(self) -> None:
        own = sum(lane.started and not lane.leaving for lane in self.pipeline.lanes.values())
        of_all = self._world.consumer.partition_count()
        self.pipeline.access.limits.share(own, of_all, self._world.clock.now())

    async def _every(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await action()

    async def _checkpoints(self) -> None:
        number = 0
        while True:
            count = max(1, min(len(self.pipeline.lanes), CHECKPOINT_GROUPS))
            await asyncio.sleep(CHECKPOINT_EVERY_SECONDS / count)
            number = (number + 1) % count
            lanes = list(self.pipeline.lanes.values())
            await self._inbox.ask(partial(self.pipeline.want_checkpoints, of=lanes[number::count]))

    async def _renew(self) -> None:
        await self._inbox.ask(self.pipeline.renew_checkpoints)

    async def _summary(self) -> None:
        self._world.facts.summary()

    async def _watch(self) -> None:
        for look in self.watches:
            try:
                look()
            except Exception as error:  # noqa: BLE001 - whatever it is
                self._world.facts.unexpected_error(during=During.TELLING, error=error)

    async def _probe_loop(self) -> None:
        clock = self._world.clock
        while True:
            before = clock.now().steady
            await asyncio.sleep(LOOP_PROBE_SECONDS)
            self._world.facts.loop_delayed(seconds=max(0.0, clock.now().steady - before - LOOP_PROBE_SECONDS))

    # ---------------------------------------------------------------- revoke

    async def _on_revoked(self, _partitions: Iterable[Partition]) -> None:
        """Hand all partitions over: start nothing new, let requests finish, publish, checkpoint, commit.

        Rebalances are eager: each takes back all our partitions, whichever it names.
        """
        began_at = self._world.clock.now().steady
        leaving = await self._inbox.ask(lambda _now: self.partitions.hand_back())
        await self.engine.until(lambda: not self.pipeline.delivery.out_with(leaving), seconds=REVOKE_DRAIN_SECONDS)
        await self._publish_and_commit(leaving, seconds=SETTLING_SECONDS)
        await self._inbox.ask(lambda _now: self.partitions.forget(leaving))
        seconds = self._world.clock.now().steady - began_at
        self._world.facts.partitions_revoked(leaving, seconds=seconds)

    async def _publish_and_commit(self, partitions: Iterable[Partition], *, seconds: float) -> None:
        """Publish what is settled, then checkpoint and commit."""
        lanes = [lane for partition in partitions if (lane := self.pipeline.lanes.get(partition)) is not None]
        until = self._world.clock.now().steady + seconds

        def quiet() -> bool:
            return not any(lane.started and lane.busy for lane in lanes)

        await self.engine.until(quiet, seconds=seconds)
        await self._inbox.ask(self.pipeline.want_checkpoints)
        left = max(0.0, until - self._world.clock.now().steady)
        await self.engine.until(quiet, seconds=left)
        await self.partitions.commit()

    # ---------------------------------------------------------------- drain

    async def _drain(self) -> None:
        """Stop within the grace period, phase by phase. What cannot be finished is left to the next owner."""
        clock, facts, pipeline = self._world.clock, self._world.facts, self.pipeline
        began_at = clock.now().steady
        self.state = "draining"
        await self._watch()  # the drain may be over before they look again
        start_until = began_at + self._grace_seconds - self._api_timeout_seconds - SETTLING_SECONDS
        wait_until = began_at + self._grace_seconds - SETTLING_SECONDS

        def left(until: float) -> float:
            return max(0.0, until - clock.now().steady)

        def report(phase: DrainPhase) -> None:
            facts.drain_phase(phase, held=pipeline.buffer.held_events, in_flight=pipeline.queue.in_flight)

        report(DrainPhase.CLOSING_WINDOWS)

        def hurry(_now: Now) -> None:
            pipeline.flush_windows = True

        await self._inbox.ask(hurry)
        report(DrainPhase.SENDING)
        await self.engine.until(self._nothing_to_send, seconds=left(start_until))

        def stop_starting(_now: Now) -> None:
            pipeline.delivery.starting = False

        await self._inbox.ask(stop_starting)
        await self.engine.until(lambda: not pipeline.delivery.any_out, seconds=left(wait_until))
        for post in list(self.engine.posts):
            post.cancel()
        report(DrainPhase.SETTLING)
        await self._publish_and_commit(list(pipeline.lanes), seconds=SETTLING_SECONDS - 1.0)
        report(DrainPhase.LEAVING)
        facts.drained(seconds=clock.now().steady - began_at, left_unsettled=pipeline.buffer.held_events)

    def _nothing_to_send(self) -> bool:
        pipeline = self.pipeline
        return not (len(pipeline.windows) or pipeline.queue.queued or pipeline.delivery.any_out or self._may_yet_send())

    def _may_yet_send(self) -> bool:
        """Return whether an event waits for another one of its person, or a journal entry for its proof."""
        return any(lane.started and (lane.persons or not lane.ledger.idle) for lane in self.pipeline.lanes.values())

    # ---------------------------------------------------------------- for `status.py`

    @property
    def clock(self) -> Clock:
        """The service's clock."""
        return self._world.clock

    @property
    def member(self) -> str:
        """Our ID in the group, empty before the first join."""
        return self._world.consumer.member

    @property
    def is_in_group(self) -> bool:
        """Whether the group has ever given us something. Who has an ID may wait for that: a member that died has its time."""
        return bool(self.member) and self.partitions.rebalancing.was_assigned

    @property
    def results_by_status(self) -> Mapping[Status, int]:
        """Outcomes proven since the process started."""
        return self.engine.results_by_status
