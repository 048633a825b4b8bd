"""What a topic does not take is cut or waited for, and what nobody here owns any more is let go of."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import orjson
import pytest

from consumer.core.journal.lane import FirstRecord, Lane, Settlement
from consumer.core.outcome import Reason, Response, Status, Verdict
from consumer.core.terms import JournalOffset, Now, Offset, Partition
from consumer.service import publisher as publishing
from consumer.service.facts import Facts
from consumer.service.ports import MessageTooLargeError, NotTakenError, PlainMessage, TopicGoneError
from consumer.service.publisher import ResultsPublisher
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import P0, P1, at
from tests.core.runner import Runner

WORDS = Response(status=200, id=7, message="m" * 300, item={"message": "n" * 900})


@dataclass
class Topics:
    """Takes messages up to a size, and while nothing is wrong with it."""

    most_bytes: int = 10_000
    wrong: str | None = None
    gone: bool = False
    begun: int = 0
    """Publications of which anything was handed over."""
    taken: list[tuple[str, int, PlainMessage]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    async def publish(self, topic: str, partition: int | None, messages: Sequence[PlainMessage]) -> None:
        self.asked.set()
        self.begun += 1
        await asyncio.sleep(0)
        assert partition is not None
        if self.wrong is not None:
            raise TopicGoneError(self.wrong) if self.gone else NotTakenError(self.wrong)
        for index, message in enumerate(messages):
            if len(message[0] or b"") + len(message[1] or b"") > self.most_bytes:
                raise MessageTooLargeError("too large", published=index)
            self.taken.append((topic, partition, message))


class Heard:
    """Counts what is told."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **words: self.facts.append((name, args or words))

    def named(self, name: str) -> list[Any]:
        return [about for said, about in self.facts if said == name]


class Clock:
    """Stands still."""

    def now(self) -> Now:
        return at(0)


@dataclass
class Desk:
    """A publisher with all around it."""

    topics: Topics = field(default_factory=Topics)
    heard: Heard = field(default_factory=Heard)
    published: list[Settlement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = Runner(partitions=[P0, P1])
        self.publisher = ResultsPublisher(
            self.topics,
            results_topic="results",
            dead_letter_topic="letters",
            published=self.published.extend,
            clock=Clock(),
            facts=cast("Facts", self.heard),
        )

    def settlement(
        self, lane: Lane, *, count: int = 1, verdict: Verdict | None = None, value: bytes = b"{"
    ) -> Settlement:
        records = [WildRecord(value=value, offset=n) for n in range(count)]
        decoded = list(self.runner.pipeline._decoder.batch(lane.partition, records, at(0)))  # noqa: SLF001
        given = verdict or Verdict(status=Status.INVALID, reason=Reason.NOT_JSON, completed_at=at(0).wall)
        settlement = Settlement(
            lane=lane,
            items=[(given, decoded)],
            offsets=[record.offset for record in decoded],
            size_bytes=1,
            first=FirstRecord(Offset(0), -1, at(0).wall),
        )
        settlement.journal_offset = JournalOffset(1)
        lane.begin_settling(settlement)
        lane.publish(settlement)
        return settlement

    def lane(self) -> Lane:
        return self.runner.pipeline.lanes[P0]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for longer than a turn."""
    monkeypatch.setattr(publishing, "NOT_TAKEN_SECONDS", 0.0)


async def test_a_dead_letter_and_a_result_are_cut_to_what_their_topics_take() -> None:
    desk = Desk(topics=Topics(most_bytes=900))
    settlement = desk.settlement(desk.lane(), value=b"[" * 300_000)
    assert desk.publisher.add([settlement]) == [0]
    await desk.publisher.flush(0)
    (letter, _), (result, _) = [(taken[2], taken[0]) for taken in desk.topics.taken]
    assert letter[1] is None
    assert dict(letter[2])["dlq-truncated"] == b"value of 300000 bytes"
    assert orjson.loads(result[1] or b"")["status"] == "invalid"
    assert desk.published == [settlement]
    assert desk.heard.named("message_cut") == [("letters", P0)]


async def test_what_settles_right_after_a_publication_shares_the_next_one() -> None:
    desk = Desk()
    lane = desk.lane()
    desk.publisher.add([desk.settlement(lane)])
    await desk.publisher.flush(0)
    assert (
        len(desk.heard.named("results_published")) == 2
    )  # one of dead letters, one of results: nothing was waited for
    desk.publisher.add([desk.settlement(lane)])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(desk.publisher.flush(0))
        await asyncio.sleep(0)  # it has begun
        desk.publisher.add([desk.settlement(lane)])
    assert [words["count"] for words in desk.heard.named("results_published")] == [1, 1, 2, 2]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "topics", [Topics(wrong="no key, no record"), Topics(wrong="no topic", gone=True), Topics(most_bytes=10)]
)
async def test_what_is_not_taken_stops_its_partition_with_words_until_it_is(topics: Topics) -> None:
    desk = Desk(topics=topics)
    lane = desk.lane()
    settlement = desk.settlement(lane)
    desk.publisher.add([settlement])
    flushing = asyncio.create_task(desk.publisher.flush(0))  # noqa: TID251 - a publication of its own
    while lane.refused is None:
        await topics.asked.wait()
        topics.asked.clear()
        await asyncio.sleep(0)
    assert lane.refused in {"no key, no record", "no topic", "too large"}
    assert P0 not in desk.runner.readable()
    assert P1 in desk.runner.readable()
    later = desk.settlement(lane)
    assert desk.publisher.add([later]) == []
    topics.wrong, topics.most_bytes = None, 10_000
    await flushing
    assert lane.refused is None
    assert desk.published == [settlement, later]
    assert len(desk.heard.named("writes_refused")) == len(desk.heard.named("writes_taken")) == 1


async def test_publications_that_come_together_begin_in_different_iterations_of_the_loop() -> None:
    """Six that build and batch their results in one keep the loop from everything else for 18 ms."""
    desk = Desk()
    lanes = desk.runner.pipeline.lanes
    settlements = [desk.settlement(lanes[partition]) for partition in (P0, P1)]
    numbers = desk.publisher.add(settlements)
    flushing = [asyncio.create_task(desk.publisher.flush(number)) for number in numbers]  # noqa: TID251 - as above
    begun: list[int] = []
    while len(desk.published) < len(settlements):
        await asyncio.sleep(0)
        begun.append(desk.topics.begun)
    for one in flushing:
        await one
    rises = [after - before for before, after in pairwise([0, *begun])]
    assert rises[0] == 1, "the first waits for nothing"
    assert max(rises) == 1, begun


async def test_a_partition_of_the_same_number_in_another_topic_keeps_its_results_when_one_is_dropped() -> None:
    desk = Desk()
    other = desk.runner.take(Partition("other-events", 0))
    dropped, kept = desk.settlement(desk.lane()), desk.settlement(other)
    desk.publisher.add([dropped, kept])
    assert desk.publisher.forget([desk.lane()]) == [dropped]
    await desk.publisher.flush(0)
    assert desk.published == [kept]


@pytest.mark.usefixtures("at_once")
async def test_nothing_is_held_of_lanes_that_were_dropped_but_what_is_on_its_way() -> None:
    """Results that cannot be published, and one rebalance after the other."""
    desk = Desk(topics=Topics(wrong="no permission"))
    pipeline = desk.runner.pipeline
    flushing: asyncio.Task[None] | None = None
    for _ in range(10):
        lane = desk.lane()
        lane.held_events = 5_000
        settlements = [desk.settlement(lane, count=5) for _ in range(1_000)]
        if desk.publisher.add(settlements):
            flushing = asyncio.create_task(desk.publisher.flush(0))  # noqa: TID251 - as above
        await desk.topics.asked.wait()
        desk.topics.asked.clear()
        pipeline.drop(P0)
        commands = pipeline.turn(at(0))
        pipeline.published(desk.publisher.forget(commands.dropped))
        pipeline.published(desk.published)
        desk.published.clear()
        on_their_way = pipeline.buffer.held_events
        assert on_their_way <= publishing.MAX_RESULTS + 5, "what was taken off the queue is counted, and no more"
        desk.runner.take(P0)
    assert flushing is not None
    await flushing
    pipeline.published(desk.published)
    assert pipeline.buffer.held_events == 0
    assert desk.topics.taken == []
