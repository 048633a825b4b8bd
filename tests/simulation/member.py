"""What one member sees of the consumer group, and of the events topics: the port that the service reads by. Assigns nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from config.membership import REVOKE_BOUND_SECONDS
from consumer.core.terms import Offset, Partition
from consumer.service.ports import Committed
from tests.simulation.broker import Record
from tests.simulation.scenario import URGENT_TOPIC

if TYPE_CHECKING:
    from tests.simulation.process import Process


class Member:
    """One process's membership: the port that the service reads by."""

    def __init__(self, process: "Process") -> None:
        self.process = process
        self.world = process.world
        self.group = process.world.groups[process.group]
        self.member = ""
        self.joins = 0
        self.was_frozen = False
        self.stops = False
        self._away_since: float | None = process.world.time
        self._generation = -1
        self._deaf_until = 0.0
        self._assigned: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._read: set[Partition] = set()
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def away_seconds(self) -> float:
        """For how long the group has given us no place."""
        return 0.0 if self._away_since is None else self.world.time - self._away_since

    async def start(
        self,
        *,
        on_assigned: Callable[[Iterable[Partition]], None],
        on_revoked: Callable[[Iterable[Partition]], Awaitable[None]],
    ) -> None:
        """Join the group, sooner or later."""
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        await self.process.waits(self.world.logs.delay())
        self.member = self.process.name
        self._called = asyncio.Event()
        self._called.set()
        self._task = self.process.loop.create_task(self._belong(), name="membership")

    async def _belong(self) -> None:
        world, group = self.world, self.group
        while True:
            await self._called.wait()
            self._called.clear()
            if not group.wants(self):
                continue
            if self._assigned:
                await self._give_back(sorted(self._assigned))
            self.joins += 1
            await self.process.waits(world.logs.delay())
            group.join(self)

    async def _give_back(self, partitions: list[Partition]) -> None:
        self._read.clear()
        began_at, self.was_frozen = self.world.time, False
        try:
            await self._on_revoked(partitions)
        except Exception as error:  # noqa: BLE001  # as the client: it comes out of the next fetch
            self._failure = error
        seconds = self.world.time - began_at
        if seconds > REVOKE_BOUND_SECONDS and not (self.was_frozen or self.stops):
            raise self.world.judge.broken_by("giving partitions back takes longer than its bound", seconds)
        self._assigned = frozenset()
        self._away_since = self.world.time
        for partition in partitions:
            self.world.judge.let_go(self.process.name, partition.number)

    # ---------------------------------------------------------------- what comes from the group

    def call(self) -> None:
        """The group asks, or answers a heartbeat: join again."""
        if self.world.time >= self._deaf_until:
            self.process.deliver(self._hear)

    def _hear(self) -> None:
        self._called.set()

    def deafen(self, seconds: float) -> None:
        """Let nothing of the group reach this member for a while."""
        self._deaf_until = self.world.time + seconds
        self.group.falls_silent(self, seconds)
        self.world.after(seconds + 0.01, self.call)

    def hears(self) -> None:
        """Let the group be heard again."""
        self._deaf_until = 0.0
        if self.member:
            self.call()

    def granted(self, joins: int, generation: int, partitions: list[Partition]) -> None:
        """The group has assigned these, in answer to the latest time that we joined."""
        if joins != self.joins or self.stops_now:
            return
        self._generation = generation
        self._away_since = None
        self._assigned = frozenset(partitions)
        self._positions = {}
        self._read = set()
        for partition in partitions:
            self.world.judge.let_go(self.process.name, partition.number)
        self._on_assigned(partitions)

    @property
    def stops_now(self) -> bool:
        """Whether we have left."""
        return self._task.done()

    # ---------------------------------------------------------------- reading

    def stirred(self, partition: Partition) -> None:
        """A record has been published."""
        if partition in self._read and self._waiter is not None:
            self.process.answer(self._waiter, None)

    async def fetch(self, *, max_records: int, timeout_seconds: float) -> Mapping[Partition, Sequence[Record]]:
        """Return what there is; wait a little where there is nothing."""
        if self._failure is not None:
            raise self._failure
        self.process.holds_no_more_than_it_may()
        if not any(self._available(partition) for partition in sorted(self._read)):
            self._waiter = waiter = self.process.loop.create_future()
            timer = self.process.loop.call_later(timeout_seconds, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        batches: dict[Partition, Sequence[Record]] = {}
        room = max_records
        for partition in sorted(self._read, key=lambda one: (one.topic != URGENT_TOPIC, one)):
            batch = self._available(partition)[:room]
            if batch:
                room -= len(batch)
                batches[partition] = batch
                self._positions[partition] = batch[-1].offset + 1
                offsets = [record.offset for record in batch]
                self.world.judge.handed_out(self.process.name, partition.number, offsets)
        return batches

    def unreadable(self) -> Mapping[str, str]:
        """Every topic is there, and may be read."""
        return {}

    def passed(self) -> Mapping[Partition, Offset]:
        """Return positions behind what nobody may read: the client reads on as soon as it is asked for more."""
        passed = {}
        for partition in sorted(self._read):
            position, log = self._positions.get(partition), self.world.logs.events[partition.number]
            if position is None or position >= log.end or log.from_(position, 1):
                continue
            self._positions[partition] = log.end
            passed[partition] = Offset(log.end)
        return passed

    def partition_count(self) -> int:
        """Return how many partitions there are."""
        return len(self.world.logs.events)

    def truncated(self) -> Mapping[Partition, str]:
        """No log becomes shorter."""
        return {}

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return how far these logs reach."""
        await self.process.waits(self.world.logs.delay())
        return {partition: Offset(self.world.logs.events[partition.number].end) for partition in partitions}

    async def read_again(self, partition: Partition, start: Offset, stop: Offset) -> tuple[Sequence[Record], Offset]:
        """Return some records of a range, beside the group's own reading."""
        self.process.holds_no_more_than_it_may()
        await self.process.waits(self.world.logs.delay())
        self.world.reached["read again"] += 1
        found = self.world.logs.events[partition.number].from_(start, 6)
        records = [record for record in found if record.offset < stop]
        return records, Offset(records[-1].offset + 1) if records else stop

    async def first_timestamp_ms(self, partition: Partition, start: Offset) -> int | None:
        """Return when the first record from here on was published; at once, so that no other delay is another one."""
        found = (
            [] if self.world.logs.trouble_seconds() > 0 else self.world.logs.events[partition.number].from_(start, 1)
        )
        return found[0].timestamp if found else None

    def _available(self, partition: Partition) -> list[Record]:
        if self.world.logs.trouble_seconds() > 0:
            return []
        position = self._positions.get(partition)
        return [] if position is None else self.world.logs.events[partition.number].from_(position, 6)

    def seek(self, partition: Partition, offset: Offset) -> None:
        """Read from here when resumed."""
        if partition in self._assigned:
            self._positions[partition] = offset
            self.world.judge.let_go(self.process.name, partition.number)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Hand out nothing more of these."""
        self._read.difference_update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Hand out records of these."""
        self._read.update(self._assigned.intersection(partitions))

    def assignment(self) -> frozenset[Partition]:
        """Return what the group has given us and not taken back."""
        return self._assigned

    # ---------------------------------------------------------------- commits and logs

    async def committed(self, partition: Partition) -> Committed | None:
        """Return the group's commit."""
        delay = self.world.logs.delay()
        if self.world.dice.strikes("read_slow"):
            delay += self.world.logs.seldom((0.3, 2.0))
        await self.process.waits(delay)
        found = self.group.committed.get(partition.number)
        return None if found is None else Committed(offset=Offset(found[0]), metadata=found[1])

    async def commit(self, offsets: Mapping[Partition, Committed], *, deadline_seconds: float) -> bool:
        """Commit, as a member of the generation that we know."""
        process, world = self.process, self.world
        if not offsets.keys() <= self._assigned:
            return False
        land = partial(self.group.commit, self, self._generation, dict(offsets))
        delay = world.logs.delay()
        if delay > deadline_seconds or world.dice.strikes("commit_lost"):
            if world.logs.seldom((True, True, False)):
                world.after(world.logs.seldom((0.01, 1.0, 4.0)), land)
            await process.waits(world.logs.seldom((0.01, deadline_seconds)))
            return False
        answered: asyncio.Future[bool] = process.loop.create_future()
        world.after(delay, lambda: process.answer(answered, land()))
        return await answered

    async def log_bounds(self, partition: Partition) -> tuple[Offset, Offset]:
        """Return beginning and end."""
        await self.process.waits(self.world.logs.delay())
        log = self.world.logs.events[partition.number]
        return Offset(log.first), Offset(log.end)

    async def read_one(self, partition: Partition, offset: Offset) -> Record | None:
        """Return the record at exactly this offset."""
        await self.process.waits(self.world.logs.delay())
        found = self.world.logs.events[partition.number].from_(offset, 1)
        return found[0] if found and found[0].offset == offset else None

    async def stop(self) -> None:
        """Leave the group."""
        if self.member:
            self._task.cancel()
            if self.process.alive:
                self.group.expel(self)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
