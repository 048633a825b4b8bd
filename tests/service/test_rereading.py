"""What is parked is read again until it can be: told while it cannot, and no longer than its lane is ours. No broker."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from consumer.core.commands import ReadAgain
from consumer.core.event import Record
from consumer.core.terms import Offset, Partition
from consumer.service import unreadable
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.inbox import Inbox
from consumer.service.ports import EventsConsumer, RefusedError, TopicGoneError
from consumer.service.rereading import Rereading
from tests.core.makers import P0, at
from tests.core.runner import Runner
from tests.service.test_publisher import Heard


class Log:
    """Answers each question as the test has said; without an answer, as a partition without a leader: never."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers: Iterator[Exception | None] = iter(answers)
        self.asked = asyncio.Event()
        self.waiting = 0

    async def read_again(self, _partition: Partition, _start: Offset, stop: Offset) -> tuple[Sequence[Record], Offset]:
        self.asked.set()
        for answer in self._answers:
            if answer is not None:
                raise answer
            return (), stop
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1
        raise AssertionError("unreachable")


class Desk:
    """What reads again, and all around it."""

    def __init__(self, log: Log, tasks: asyncio.TaskGroup) -> None:
        self.runner = Runner()
        self.lane = self.runner.pipeline.lanes[P0]
        self.inbox = Inbox()
        self.heard = Heard()
        self.rereading = Rereading(
            cast("EventsConsumer", log),
            pipeline=self.runner.pipeline,
            inbox=self.inbox,
            tasks=tasks,
            telemetry=cast("EngineTelemetry", Heard()),
            facts=self.heard,
        )

    def start(self) -> None:
        self.rereading.start([ReadAgain(self.lane, Offset(0), Offset(9))])


@pytest.mark.parametrize("wrong", [RefusedError("no"), TopicGoneError("the log ends at 3")])
async def test_what_cannot_be_read_is_told_once_and_stops_the_partition_until_it_can(
    wrong: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable, "READ_AGAIN_SECONDS", 0.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        desk = Desk(Log(wrong, wrong, wrong, wrong, None), tasks)
        whys: list[str | None] = []
        desk.heard.writes_refused = lambda _partition, why: whys.append(why)  # type: ignore[attr-defined]
        desk.heard.writes_taken = lambda _partition: whys.append(desk.lane.refused)  # type: ignore[attr-defined]
        desk.start()
        await desk.inbox.wait(None)  # it has been read, and the pipeline is to be told
        desk.lane.dropped = True
        for fact in desk.inbox.take():
            fact(at(0))

    assert whys == [f"what is parked of it cannot be read: {wrong}", None]


async def test_a_passing_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreadable, "READ_AGAIN_SECONDS", 0.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        desk = Desk(Log(TopicGoneError("the log ends at 3"), None), tasks)
        desk.start()
        await desk.inbox.wait(None)
        desk.lane.dropped = True
        for fact in desk.inbox.take():
            fact(at(0))

    assert desk.heard.facts == []


async def test_reading_without_an_answer_ends_with_its_lane() -> None:
    log = Log()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        desk = Desk(log, tasks)
        desk.start()
        await log.asked.wait()
        desk.rereading.start([])
        assert log.waiting == 1
        desk.runner.pipeline.drop(P0)
        desk.rereading.start([])  # as each turn does

    assert log.waiting == 0
