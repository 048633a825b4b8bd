"""Polls the control topic, and passes operators' orders to the pipeline. Decides nothing.

Each poll reads up to the topic's end, so the pipeline then knows every order that exists. Without a successful poll, that
knowledge becomes stale, and no request starts. This also holds for a process that was frozen.
"""

import asyncio
from functools import partial

from consumer.core.pipeline import Pipeline
from consumer.core.platform.control import UnreadableOrder
from consumer.core.platform.holds import Changed
from consumer.core.terms import Now, Ticks
from consumer.service.facts import Facts
from consumer.service.inbox import Inbox
from consumer.service.ports import Clock, ControlLog, ControlRead, RefusedError, TopicGoneError

LOOK_EVERY_SECONDS = 0.5
REFUSED_AGAIN_SECONDS = 1.0

SHORTER = "the control topic is shorter than what was read of it: hold again what has to be held, then release --all"


class Control:
    """Polls the control topic for one process."""

    def __init__(self, log: ControlLog, *, pipeline: Pipeline, inbox: Inbox, clock: Clock, facts: Facts) -> None:
        self._log = log
        self._pipeline = pipeline
        self._inbox = inbox
        self._clock = clock
        self._facts = facts
        self._position = 0
        self.trouble: str | None = None
        """Why the topic cannot be read until a person acts; None if it can."""

    async def follow(self) -> None:
        """Poll until cancelled."""
        while True:
            asked_at = self._clock.now().steady
            try:
                read = await self._log.read(self._position)
            except (RefusedError, TopicGoneError) as error:
                if self.trouble is None:
                    self._facts.control_refused(why=str(error))
                self.trouble = str(error)
                await asyncio.sleep(REFUSED_AGAIN_SECONDS)
                continue
            self.trouble = None
            if read.end < self._position:
                self._position = 0
                await self._inbox.ask(self._cannot_go_on)
                self._facts.operator_said(UnreadableOrder(campaign_id=None, why=SHORTER))
                continue
            self._position = read.end
            is_first = not self._pipeline.access.holds.was_heard
            self._report(await self._inbox.ask(partial(self._apply, read, asked_at)), is_first=is_first)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _apply(self, read: ControlRead, asked_at: Ticks, now: Now) -> Changed:
        return self._pipeline.stops.heard(read.records, asked_at, now)

    def _cannot_go_on(self, now: Now) -> None:
        self._pipeline.access.holds.cannot_go_on(SHORTER, now)

    def _report(self, changed: Changed, *, is_first: bool) -> None:
        """Report each change; after the first poll, only the holds that are in force."""
        said = self._pipeline.access.holds.holds() if is_first else changed.said
        for one in said:
            self._facts.operator_said(one)
