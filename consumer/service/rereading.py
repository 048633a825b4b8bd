"""Reads parked records again: a task for each piece, beside the group's own reading. Decides nothing."""

import asyncio
from collections.abc import Iterable
from functools import partial

from consumer.core.commands import ReadAgain
from consumer.core.pipeline import Pipeline
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.inbox import Inbox
from consumer.service.ports import EventsConsumer, RefusedError, TopicGoneError
from consumer.service.unreadable import READ_AGAIN_SECONDS


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
    ) -> None:
        self._consumer = consumer
        self._pipeline = pipeline
        self._inbox = inbox
        self._tasks = tasks
        self._telemetry = telemetry

    def start(self, reads: Iterable[ReadAgain]) -> None:
        """Read these; the pipeline is told of each."""
        for one in reads:
            self._tasks.create_task(self._read(one), name=f"read {one.lane.partition} again")

    async def _read(self, one: ReadAgain) -> None:
        lane = one.lane
        while not lane.dropped:
            try:
                records, reached = await self._consumer.read_again(lane.partition, one.start, one.stop)
            except (RefusedError, TopicGoneError):
                await asyncio.sleep(
                    READ_AGAIN_SECONDS
                )  # of a truncated log the group's own reading says so, and begins anew
                continue
            self._telemetry.read_again(lane.partition, count=len(records))
            fetched = await self._inbox.ask(partial(self._pipeline.read_again, lane, records, reached))
            if fetched.records:
                self._telemetry.fetched(lane.partition, fetched)
            return
