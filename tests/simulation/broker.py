"""The logs of a world: events, journals and results, and what a process sees of them. Knows nothing of entries.

A journal partition has one order, whoever appends; what has left a process lands though the process is frozen or dead.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import orjson

from consumer.core.terms import JournalOffset, Partition
from consumer.service.ports import (
    AppendRefusedError,
    AppendTooLargeError,
    Entry,
    Message,
    NotTakenError,
    PlainEntry,
    PlainMessage,
    UnsureAppendError,
)
from tests.simulation.blows import Blow
from tests.simulation.scenario import OTHER_GROUP, OUR_GROUP, Publication

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

ACKNOWLEDGE_SECONDS = 5.0
NOBODY_LOOKS_SECONDS = 5.0
SMALL_APPEND_BYTES = 400
"""A claim fits, and an intent; an outcome of some records does not."""
SLIPS = (b"", b"hello", b"\xff\xfe", b"[]", b"[" * 9_999, b'{"at":-1,"kind":"intent"}', b'{"orderId":7}')
"""What a console producer writes to a topic that it was not meant for."""
T = TypeVar("T")

ALL_OF_IT = 0.8
"""A greater share than this removes a whole log: somebody clears a backlog."""
PIECE_ENTRIES = 5
RETENTION_SECONDS = 4.0
"""Younger entries are not removed, nor what the snapshots of that time need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the events topic."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(eq=False)
class EventLog:
    """One partition of the events topic."""

    partition: Partition
    records: list[Record] = field(default_factory=list)
    first: int = 0
    end: int = 0

    def from_(self, offset: int, count: int) -> list[Record]:
        """Return up to `count` records from `offset` on, as far as they are there."""
        at = bisect_left(self.records, max(offset, self.first), key=lambda record: record.offset)
        return self.records[at : at + count]


@dataclass(eq=False)
class JournalPartition:
    """One partition of the journal. `first` is where retention has left it to begin."""

    values: list[bytes] = field(default_factory=list)
    landed_at: list[float] = field(default_factory=list)
    first: int = 0
    down_until: float = 0.0
    small_until: float = 0.0


class Logs:
    """Everything that brokers keep."""

    def __init__(self, world: "World") -> None:
        self._world = world
        numbers = range(world.scenario.partitions)
        self.partitions = [Partition(world.scenario.topic_of(number), number) for number in numbers]
        self.events = [EventLog(partition) for partition in self.partitions]
        self.journals = [JournalPartition() for _ in numbers]
        self.results_down_until = 0.0
        self.results_refused_until = 0.0
        self.brokers_down_until = 0.0
        self._delays = world.dice.stream("brokers")

    # ---------------------------------------------------------------- the world's side

    def publish(self, publication: Publication) -> None:
        """Append to the events topic; now and then compaction or a transaction leaves a hole before it."""
        log = self.events[publication.partition]
        offset = log.end + (2 if self._world.dice.strikes("hole") else 0)
        headers = (("resend-id", publication.resend.encode()),) if publication.resend else ()
        key = b"k" if offset % 2 else None
        record = Record(
            offset=offset,
            timestamp=int(self._world.wall * 1000),
            key=key,
            value=publication.value,
            headers=headers,
        )
        log.records.append(record)
        log.end = offset + 1
        if self._world.dice.strikes("marker"):  # and perhaps an event that was aborted
            log.end += self.seldom((1, 2))
        self._world.note("events", "published", (publication.partition, offset, publication.value))
        place = (publication.partition, offset)
        self._world.judge.recorded(place, publication, key)
        if publication.valid:
            event_id = orjson.loads(publication.value or b"")["eventId"]
            self._world.judge.orders.published(place, record.timestamp, event_id)
        self._world.group.published(log.partition)

    def migrated(self, number: int, done: int) -> None:
        """An earlier system has read so many records, and committed that."""
        for _ in range(done):
            self.publish(Publication(at=0.0, partition=number, value=b"{}", reference="", identity="", valid=False))
        if done:
            self._world.group.committed[number] = (self.events[number].end, "")
            self._world.judge.removed(number, self.events[number].end)

    def end_transactions(self) -> None:
        """Where producers write in transactions, let each log end with what ends one."""
        if self._world.scenario.chances.marker:
            for log in self.events:
                log.end += 1

    def away(self, blow: Blow) -> None:
        """Let a part of the cluster be away for a while."""
        until = self._world.time + blow.amount
        match blow.kind:
            case "results_down":
                self.results_down_until = until
            case "results_refused":
                self.results_refused_until = until
            case "journal_small":
                self.journals[blow.where % len(self.journals)].small_until = until
            case "journal_down":
                self.journals[blow.where % len(self.journals)].down_until = until
            case _:
                self.brokers_down_until = until

    def calm(self) -> None:
        """Bring everything back."""
        self.results_down_until = self.brokers_down_until = self.results_refused_until = 0.0
        for journal in self.journals:
            journal.down_until = journal.small_until = 0.0

    def touch(self, blow: Blow) -> None:
        """Let retention remove the beginning of a log, or others write to a journal by mistake."""
        number = blow.where % len(self.events)
        if blow.kind == "slip":
            self._slip(number)
        elif blow.kind == "intruder":
            self._intrude(number)
        elif blow.kind == "events_cut":
            log = self.events[number]
            log.first = log.end if blow.amount > ALL_OF_IT else max(log.first, int(log.end * blow.amount))
            self._world.judge.removed(number, log.first)
        else:
            journal = self.journals[number]
            long_ago = self._world.time - RETENTION_SECONDS
            journal.first = max(journal.first, self._world.judge.journal_needed_from(number, long_ago))
            self._world.judge.forgets(number)

    def recreate(self, blow: Blow) -> None:
        """Let a journal begin anew: nobody can know any more what was sent."""
        number = blow.where % len(self.journals)
        self.journals[number] = JournalPartition()
        self._world.judge.abandon(number)
        if blow.amount < NOBODY_LOOKS_SECONDS:
            self._world.after(blow.amount, partial(self._accept, number))

    def _intrude(self, number: int) -> None:
        """Let a process of another group, of a version that does not look first, claim a journal that is somebody's."""
        journal = self.journals[number]
        if number not in self._world.judge.claimed:
            return
        claim = {"group": OTHER_GROUP, "member": "x", "process": "x", "version": "0", "claimed_at": self._world.wall}
        value = orjson.dumps({"at": 0, "kind": "claim", **claim})
        self._world.judge.journaled(number, len(journal.values), value, self._world.time)
        journal.values.append(value)
        journal.landed_at.append(self._world.wall)

    def _slip(self, number: int) -> None:
        """Let some records that are no entries land in a journal."""
        journal = self.journals[number]
        for _ in range(self._delays.choice((1, 1, 3))):
            journal.values.append(self._delays.choice(SLIPS))
            journal.landed_at.append(self._world.wall)

    def _accept(self, number: int) -> None:
        """Let an operator say that the partition may start anew (`inspect --accept`)."""
        log, journal = self.events[number], self.journals[number]
        word = {"group": OUR_GROUP, "start": log.first, "end": log.end, "why": "", "accepted_at": self._world.wall}
        journal.values.append(orjson.dumps({"at": len(journal.values), "kind": "accepted", **word}))
        journal.landed_at.append(self._world.wall)

    def trouble_seconds(self) -> float:
        """Return for how long no broker answers."""
        return max(0.0, self.brokers_down_until - self._world.time)

    def delay(self) -> float:
        """Return how long a broker's answer takes."""
        return self.trouble_seconds() + 0.0005 + 0.004 * self._delays.random()

    def seldom(self, choices: Sequence[T]) -> T:
        """Return one of these delays."""
        return self._delays.choice(choices)


class _Client:
    """What a process's clients of the brokers share."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world
        self._logs = process.world.logs

    async def start(self) -> None:
        await self._process.waits(self._logs.delay())

    async def stop(self) -> None:
        pass


class SimulatedJournal(_Client):
    """The journal as one process sees it."""

    async def append(self, partition: Partition, values: Sequence[bytes]) -> JournalOffset:
        """Append as one batch."""
        process, world, logs = self._process, self._world, self._logs
        number = partition.number
        if world.time < logs.journals[number].small_until and sum(map(len, values)) > SMALL_APPEND_BYTES:
            await process.waits(logs.delay())
            raise AppendTooLargeError("too large")
        if world.time < logs.journals[number].small_until and logs.seldom((True, False, False)):
            await process.waits(logs.delay())
            raise AppendRefusedError("no permission")
        acknowledged: asyncio.Future[JournalOffset] = process.loop.create_future()
        land = partial(self._land, number, list(values))
        heard = partial(process.answer, acknowledged)
        unsure = UnsureAppendError("no acknowledgement")
        delay = logs.delay()
        down_for = max(logs.journals[number].down_until, logs.brokers_down_until) - world.time
        if down_for > 0 or world.dice.strikes("append_lost"):
            world.after(logs.seldom((0.0, ACKNOWLEDGE_SECONDS)), partial(heard, unsure))
            if down_for > 0 and logs.seldom((True, False)):
                world.after(down_for + delay, land)
        elif world.dice.strikes("append_late"):
            world.after(logs.seldom((0.0, ACKNOWLEDGE_SECONDS)), partial(heard, unsure))
            world.after(logs.seldom((0.0, 0.6, 5.0, 8.0)), land)
        elif world.dice.strikes("ack_lost"):
            world.after(delay, land)
            world.after(delay + logs.seldom((0.0, ACKNOWLEDGE_SECONDS)), partial(heard, unsure))
        else:
            if world.dice.strikes("append_slow"):
                delay += logs.seldom((0.3, 1.2, 3.0))
            back = logs.delay()
            if world.dice.strikes("stunned"):
                world.after(delay, partial(process.freeze, logs.seldom((1.5, 4.0, 12.0)), counted=True))
            world.after(delay, lambda: world.after(back, partial(heard, land())))
        return await acknowledged

    def _land(self, number: int, values: list[bytes]) -> JournalOffset:
        """Take the next place, whoever has appended since this was sent."""
        world, journal = self._world, self._logs.journals[number]
        base = len(journal.values)
        for index, value in enumerate(values):
            journal.values.append(value)
            journal.landed_at.append(world.wall)
            self._is_ours(number)
            world.judge.journaled(number, base + index, value, world.time)
            world.note(self._process.name, "journals", (number, base + index, value))
        return JournalOffset(base)

    def _is_ours(self, number: int) -> None:
        judge = self._world.judge
        if self._process.group == OTHER_GROUP and number in judge.claimed and number not in judge.abandoned:
            raise judge.broken_by("another group writes into our journal", number)

    async def read(self, partition: Partition, start: JournalOffset, stop: JournalOffset) -> Sequence[Entry]:
        """Return what stands there."""
        await self._is_read()
        journal = self._logs.journals[partition.number]
        return [
            Entry(
                offset=JournalOffset(offset),
                timestamp_ms=int(journal.landed_at[offset] * 1000),
                value=journal.values[offset],
            )
            for offset in range(max(start, journal.first), min(stop, len(journal.values)))
        ]

    async def _is_read(self) -> None:
        delay = self._logs.delay()
        if self._world.dice.strikes("read_slow"):
            delay += self._logs.seldom((0.3, 2.0))
        await self._process.waits(delay)

    async def each(
        self,
        partition: Partition,
        start: JournalOffset,
        stop: JournalOffset,
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],
    ) -> None:
        """Hand over what stands there, a few entries at a time."""
        await self._is_read()
        journal = self._logs.journals[partition.number]
        offset = max(start, journal.first)
        while offset < min(stop, len(journal.values)):
            end = min(offset + PIECE_ENTRIES, stop, len(journal.values))
            await take([(JournalOffset(each), journal.values[each]) for each in range(offset, end)])
            offset = JournalOffset(end)

    async def read_one(self, partition: Partition, at: JournalOffset) -> bytes | None:
        """Return what stands there."""
        await self._is_read()
        journal = self._logs.journals[partition.number]
        return journal.values[at] if journal.first <= at < len(journal.values) else None

    async def bounds(self, partition: Partition) -> tuple[JournalOffset, JournalOffset]:
        """Return beginning and end."""
        await self._process.waits(self._logs.delay())
        journal = self._logs.journals[partition.number]
        return JournalOffset(journal.first), JournalOffset(len(journal.values))

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> JournalOffset | None:
        """Return the first offset that is as young."""
        await self._process.waits(self._logs.delay())
        journal = self._logs.journals[partition.number]
        for offset in range(journal.first, len(journal.values)):
            if int(journal.landed_at[offset] * 1000) >= timestamp_ms:
                return JournalOffset(offset)
        return None


class SimulatedResults(_Client):
    """Where one process publishes results and dead letters."""

    async def publish(self, topic: str, partition: int | None, messages: Sequence[PlainMessage]) -> None:
        """Return once everything is acknowledged; what was not heard of is sent again."""
        process, world, logs = self._process, self._world, self._logs
        assert partition is not None
        if world.time < logs.results_refused_until:
            await process.waits(logs.delay())
            raise NotTakenError("the topic is compacted")
        sent = [Message(*message) for message in messages]
        delay = logs.delay() + max(0.0, logs.results_down_until - world.time)
        if world.dice.strikes("result_slow"):
            delay += logs.seldom((0.5, 3.0))
        if world.dice.strikes("result_twice"):
            half = sent[: int(len(sent) * logs.seldom((0.0, 0.5, 1.0)))]
            world.after(delay, partial(self._land, topic, partition, half))
            delay += 0.2
        done: asyncio.Future[None] = process.loop.create_future()

        def arrive() -> None:
            down_for = logs.results_down_until - world.time
            if down_for > 0:  # it went away meanwhile: sent again, as long as there is somebody to do so
                if process.alive:
                    world.after(down_for + logs.delay(), arrive)
                return
            self._land(topic, partition, sent)
            world.after(logs.delay(), partial(process.answer, done, None))

        world.after(delay, arrive)
        await done
        if topic == "results":
            world.judge.acknowledged(process.name, [message.value or b"" for message in sent])

    def _land(self, topic: str, partition: int, messages: list[Message]) -> None:
        for message in messages:
            self._world.note(self._process.name, topic, (partition, message.value))
            if topic == "results":
                self._world.judge.result_published(partition, message.key, message.value or b"")
            else:
                self._world.judge.dead_letter_published(message.value, dict(message.headers))
