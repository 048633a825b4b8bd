"""Taking a partition over beside everything else: it gives way while it reads, and ends with its lane."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from consumer.core.journal.entries import Accepted, Intent
from consumer.core.journal.lane import TakenOver
from consumer.core.journal.ledger import OwnershipState
from consumer.core.journal.replay import Remembering
from consumer.core.pipeline import Pipeline
from consumer.core.policy import Policies
from consumer.core.terms import Instant, JournalOffset, Now, Offset, Partition, SendId
from consumer.service.evidence import SLICE_ENTRIES, PartitionEvidence
from consumer.service.facts import Facts
from consumer.service.inbox import Inbox
from consumer.service.partitions import Partitions
from consumer.service.ports import EventsConsumer, PlainEntry, RefusedError, TopicGoneError
from consumer.service.recalling import Recalling
from consumer.service.takeover import Takeover
from tests.core.makers import P0, Names, at, make_claim
from tests.inspection.journals import OneJournal, OneLog


@dataclass
class EndlessJournal(OneJournal):
    """A journal whose reading never comes to its end."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def each(
        self,
        partition: Partition,  # noqa: ARG002
        start: JournalOffset,  # noqa: ARG002
        stop: JournalOffset,  # noqa: ARG002
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],  # noqa: ARG002
    ) -> None:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()


@dataclass
class SickJournals(OneJournal):
    """Journals of many partitions, of which only one has a leader."""

    well: Partition = P0

    async def each(
        self,
        partition: Partition,
        start: JournalOffset,
        stop: JournalOffset,
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],
    ) -> None:
        if partition != self.well:
            await asyncio.Event().wait()
        await super().each(partition, start, stop, take)


@dataclass
class LostJournal(OneJournal):
    """A journal topic that is gone for so many questions, and then there again."""

    missing: int = 0
    error: Exception = field(default_factory=lambda: TopicGoneError("no such topic: create it"))

    async def bounds(self, partition: Partition) -> tuple[JournalOffset, JournalOffset]:
        if self.missing:
            self.missing -= 1
            raise self.error
        return await super().bounds(partition)


class OneMember(OneLog):
    """A member of the group that has one partition."""

    def assignment(self) -> frozenset[Partition]:
        return frozenset({P0})

    def seek(self, partition: Partition, offset: Offset) -> None:
        """Nothing is read from it."""


class StillClock:
    """Time stands."""

    def now(self) -> Now:
        return at(0)


class Nobody:
    """Hears everything, and says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_told, **_words: None


def intents(count: int) -> OneJournal:
    journal = OneJournal()
    journal.say(make_claim("before"))
    for number in range(count):
        offsets = (Offset(number),)
        name = SendId(f"s{number}")
        journal.say(Intent(send_id=name, attempt=1, campaign_id=1, offsets=offsets, intended_at=Instant(1.0)))
    return journal


def make_takeover(journal: OneJournal, facts: Facts) -> Takeover:
    consumer = cast("EventsConsumer", OneMember())
    return Takeover(consumer=consumer, journal=journal, clock=StillClock(), policies=Policies(), group="g", facts=facts)


def make_partitions(
    pipeline: Pipeline, inbox: Inbox, tasks: asyncio.TaskGroup, journal: OneJournal, facts: Facts
) -> Partitions:
    return Partitions(
        pipeline=pipeline,
        consumer=cast("EventsConsumer", OneMember()),
        inbox=inbox,
        tasks=tasks,
        takeover=make_takeover(journal, facts),
        clock=StillClock(),
        jitter=lambda: 0.5,
        identity=lambda _now: make_claim("me"),
        facts=facts,
    )


async def test_a_take_over_ends_when_its_lane_is_dropped() -> None:
    journal, inbox, facts = EndlessJournal(values=intents(9).values), Inbox(), cast("Facts", Nobody())
    pipeline = Pipeline(Policies(), group="g", random_source=Names().random_source())
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        partitions = make_partitions(pipeline, inbox, tasks, journal, facts)
        lane = pipeline.assigned(P0, lambda: make_claim("me"), "me")
        lane.ledger.may_claim()
        pipeline.turn(at(0))
        pipeline.appended(lane, JournalOffset(10), at(0))
        assert lane.ledger.standing is OwnershipState.TAKING_OVER
        partitions.look_after(lane)
        await journal.reached.wait()
        partitions.forget([P0])
        await journal.given_up.wait()
    assert lane.dropped
    assert not inbox.take(), "it hands nothing over any more"


@pytest.mark.parametrize("error", [TopicGoneError("no such topic: create it"), RefusedError("denied: grant it")])
async def test_a_journal_that_only_a_person_can_bring_back_is_waited_for_with_words_wherever_it_is_read(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whether it is looked whose it is, taken over, or waited for a person's word: none of it ends the process."""
    monkeypatch.setattr("consumer.service.unreadable.READ_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr("consumer.service.partitions.LOOK_AGAIN_SECONDS", 0.0)
    journal, inbox = LostJournal(values=intents(9).values, error=error), Inbox()
    pipeline = Pipeline(Policies(), group="g", random_source=Names().random_source())
    waits: list[str] = []

    class Hearing(Nobody):
        def writes_refused(self, _partition: Partition, *, why: str) -> None:
            waits.append(why)

    facts = cast("Facts", Hearing())

    async def until(holds: Callable[[], bool]) -> None:
        while not holds():
            for fact in inbox.take():
                fact(at(0))
            await asyncio.sleep(0)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        partitions = make_partitions(pipeline, inbox, tasks, journal, facts)
        lane = pipeline.assigned(P0, lambda: make_claim("me"), "me")
        journal.missing = 2
        partitions.look_after(lane)
        await until(lambda: lane.ledger.standing is OwnershipState.UNSURE)
        journal.say(make_claim("me"))
        pipeline.turn(at(0))
        pipeline.appended(lane, JournalOffset(10), at(0))
        journal.missing = 2
        partitions.look_after(lane)
        await until(lambda: lane.started)
        assert lane.refused is None
        assert all(str(error) in why for why in waits)
        assert waits
        lane.ledger.standing = OwnershipState.RECREATED
        partitions.look_after(lane)
        journal.missing = 3
        await until(lambda: pipeline.lanes[P0].refused is not None)
        await until(lambda: pipeline.lanes[P0].refused is None)
        partitions.forget([P0])


async def test_a_journal_that_was_given_to_another_group_while_others_had_the_partition_is_not_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was looked at when the partition was ours before: our claim now would take it from its owner once."""
    monkeypatch.setattr("consumer.service.partitions.LOOK_AGAIN_SECONDS", 0.0)
    journal, inbox, facts = OneJournal(), Inbox(), cast("Facts", Nobody())
    journal.say(make_claim("me"))
    pipeline = Pipeline(Policies(), group="g", random_source=Names().random_source())

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        partitions = make_partitions(pipeline, inbox, tasks, journal, facts)

        async def until(holds: Callable[[], bool]) -> None:
            while not holds():
                for fact in inbox.take():
                    fact(at(0))
                for lane in pipeline.lanes.values():
                    partitions.look_after(lane)
                await asyncio.sleep(0)

        partitions.on_assigned([P0])
        await until(lambda: P0 in pipeline.lanes and pipeline.lanes[P0].ledger.standing is OwnershipState.UNSURE)
        partitions.forget(partitions.hand_back())
        journal.say(Accepted(group="other", start=Offset(0), end=Offset(0), why="given up", accepted_at=Instant(2.0)))
        partitions.on_assigned([P0])
        await until(lambda: bool(partitions.stopped))
        assert "'other'" in partitions.stopped[P0].why
        assert pipeline.lanes[P0].ledger.standing is OwnershipState.LOOKING, "nothing is written to it"
        partitions.forget([P0])


async def test_take_overs_that_wait_for_a_broker_keep_no_other_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.service.takeover.AT_ONCE_SECONDS", 0.01)
    partitions = [Partition(P0.topic, number) for number in range(10)]
    journal = SickJournals(values=intents(3).values, well=partitions[-1])
    pipeline, inbox = Pipeline(Policies(), group="g", random_source=Names().random_source()), Inbox()
    takeover = make_takeover(journal, cast("Facts", Nobody()))

    async def run(partition: Partition) -> TakenOver:
        lane = pipeline.assigned(partition, lambda: make_claim("me"), "me")
        recalling = Recalling(deduplication=pipeline.deduplication, inbox=inbox, lane=lane)
        return await takeover.run(partition, JournalOffset(4), "me", recalling)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        *waiting, well = [tasks.create_task(run(partition)) for partition in partitions]
        assert len((await well).trials) == 3
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()


async def test_others_have_their_turn_between_slices_of_a_journal() -> None:
    journal = intents(10 * SLICE_ENTRIES)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def nothing(_replay: object) -> None:
        pass

    remembering = Remembering(horizon=Instant(0.0), oldest=None, policies=Policies())
    end = JournalOffset(len(journal.values))
    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        reading = await PartitionEvidence(events=OneLog(), journal=journal).read_to_remember(
            P0, end, remembering, nothing
        )
        counting.cancel()
    assert len(reading.replay.taken_over(Offset(0)).trials) == 10 * SLICE_ENTRIES
    assert turns >= 10
