"""Reads parked records again: a task for each piece, beside the group's own reading. Decides nothing."""

import asyncio
from collections.abc import Iterable
from functools import partial

from consumer.core.commands import ReadAgain
from consumer.core.journal.lane import Lane
from consumer.core.pipeline import Pipeline
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.facts import Facts
from consumer.service.inbox import Inbox
from consumer.service.ports import EventsConsumer
from consumer.service.unreadable import PARKED, LaneDroppedError, until_readable


class Rereading:
    """Carries out what the pipeline wants to be read again."""

    def __init__(
        self,
        consumer: EventsConsumer,
        *,
        pipeline: Pipeline,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        telemetry: EngineTelemetry,
        facts: Facts,
    ) -> None:
        self._consumer = consumer
        self._pipeline = pipeline
        self._inbox = inbox
        self._tasks = tasks
        self._telemetry = telemetry
        self._facts = facts
        self._reading: dict[Lane, asyncio.Task[None]] = {}
        """The latest of each lane; it may have ended."""

    def start(self, reads: Iterable[ReadAgain]) -> None:
        """Read these; the pipeline is told of each. What is read for a lane that was dropped meanwhile ends.

        Without that, it would wait for a leader for as long as there is none, and occupy one of few readers.
        """
        for lane in [lane for lane in self._reading if lane.dropped]:
            self._reading.pop(lane).cancel()
        for one in reads:
            self._reading[one.lane] = self._tasks.create_task(self._read(one), name=f"read {one.lane.partition} again")

    async def _read(self, one: ReadAgain) -> None:
        lane = one.lane
        read = partial(self._consumer.read_again, lane.partition, one.start, one.stop)
        try:
            records, reached = await until_readable(lane, read, self._facts, PARKED)
        except LaneDroppedError:
            return
        self._telemetry.read_again(lane.partition, count=len(records))
        fetched = await self._inbox.ask(partial(self._pipeline.read_again, lane, records, reached))
        if fetched.records:
            self._telemetry.fetched(lane.partition, fetched)
