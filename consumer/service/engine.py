"""The task that owns the pipeline: applies facts, asks what to do next, starts it. No other task changes the pipeline.

Each command runs as a task of the service's one TaskGroup and ends in a fact. An exception in any of them ends the service.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from consumer.core.journal.entries import Stray
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import Gap
from consumer.core.pipeline import Pipeline
from consumer.core.platform.answer import Exchange, Withholding
from consumer.core.platform.post import body
from consumer.core.policy import WireNames
from consumer.core.sending.send import Send
from consumer.core.terms import JournalOffset, Now, Ticks
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.facts import During, Facts
from consumer.service.inbox import Inbox
from consumer.service.ports import (
    AppendRefusedError,
    AppendTooLargeError,
    Clock,
    JournalLog,
    Platform,
    TopicGoneError,
    UnsureAppendError,
)
from consumer.service.publisher import ResultsPublisher
from consumer.service.recent_sends import RecentSends
from consumer.service.rereading import Rereading
from consumer.service.unreadable import LaneDroppedError, until_readable

CLAIM_AGAIN_SECONDS = 0.5
"""How long to wait after a failed append before the partition is claimed again."""

REFUSED_AGAIN_SECONDS = 5.0
"""The same where the brokers refused the append: a person has to change the topic or the permissions first."""

MAX_WAIT_SECONDS = 1.0
"""The engine takes a turn at least this often; `/healthz` fails where it does not."""


FACTS_SECONDS = 0.01
"""Facts are applied for so long before the loop's other tasks have their turn, and one fact more: a batch that was fetched
takes 5 ms. Without a bound a crowd of them, each on time, kept everything else waiting for 30 ms and more."""


@dataclass(slots=True)
class _Condition:
    holds: Callable[[], bool]
    future: asyncio.Future[None]


class Engine:
    """Applies facts to the pipeline and carries its commands out, turn by turn."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        inbox: Inbox,
        tasks: asyncio.TaskGroup,
        journal: JournalLog,
        platform: Platform,
        publisher: ResultsPublisher,
        clock: Clock,
        names: WireNames,
        facts: Facts,
        look_after: Callable[[Lane], None],
        rereading: Rereading,
    ) -> None:
        self._pipeline = pipeline
        self._inbox = inbox
        self._tasks = tasks
        self._journal = journal
        self._platform = platform
        self._publisher = publisher
        self._clock = clock
        self._names = names
        self._facts = facts
        self._telemetry = EngineTelemetry(facts, pipeline)
        self._look_after = look_after
        self._rereading = rereading
        self._conditions: list[_Condition] = []
        self.posts: set[asyncio.Task[None]] = set()
        """Requests in flight: a shutdown cancels them when its time is over."""
        self.results_by_status = self._telemetry.results_by_status
        self.recent_sends = RecentSends()
        self.turned_at = clock.now().steady

    @property
    def publishing_since(self) -> Ticks | None:
        """Since when results wait for their acknowledgement; None while none is published."""
        return self._publisher.waiting_since

    async def run(self) -> None:
        """Take turns until cancelled."""
        wait: float | None = 0.0
        while True:
            await self._inbox.wait(wait)
            now = self._clock.now()
            self._apply_facts(now)
            wait = self._turn(now)
            self._answer_conditions()

    def _apply_facts(self, now: Now) -> None:
        """Apply what has come, in its order; what does not fit into `FACTS_SECONDS` waits for the next turn."""
        facts, until = self._inbox.take(), now.steady + FACTS_SECONDS
        while facts:
            facts.popleft()(now)
            if facts and self._clock.now().steady >= until:
                self._inbox.put_back(facts)
                return

    def _turn(self, now: Now) -> float:
        commands = self._pipeline.turn(now)
        for lane, values in commands.appends:
            self._start(self._append(lane, values), "append")
        for lane, gap in commands.gaps:
            self._start(self._read_gap(lane, gap), "gap")
        self._rereading.start(commands.reads)
        for send in commands.posts:
            post = self._tasks.create_task(self._post(send), name="post")
            self.posts.add(post)
            post.add_done_callback(self.posts.discard)
        self._report(self._telemetry.turned, commands, now)
        self._report(self.recent_sends.settled, commands.publications)
        for number in self._publisher.add(commands.publications):
            self._start(self._publisher.flush(number), "publish")
        if commands.dropped:
            self._pipeline.published(self._publisher.forget(commands.dropped))
        for lane in list(self._pipeline.lanes.values()):
            self._look_after(lane)
        self.turned_at = now.steady
        if commands.wake_at is None:
            return MAX_WAIT_SECONDS
        return min(max(commands.wake_at - now.steady, 0.0005), MAX_WAIT_SECONDS)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.create_task(work, name=name)

    async def until(self, holds: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until `holds()` is true after a turn; return whether it came true within `seconds`."""
        if holds():
            return True
        condition = _Condition(holds, asyncio.get_running_loop().create_future())
        self._conditions.append(condition)
        try:
            async with asyncio.timeout(seconds):
                await condition.future
        except TimeoutError:
            return holds()
        finally:
            self._conditions.remove(condition)
        return True

    def _answer_conditions(self) -> None:
        for condition in self._conditions:
            if not condition.future.done() and condition.holds():
                condition.future.set_result(None)

    # ---------------------------------------------------------------- commands

    async def _append(self, lane: Lane, values: Sequence[bytes]) -> None:
        began_at = self._clock.now().steady
        try:
            base = await self._until_it_fits(lane, values)
        except (UnsureAppendError, TopicGoneError) as error:
            lane.trouble = str(error)
            self._facts.journal_unsure(lane.partition, why=lane.trouble)
            is_refused = isinstance(error, AppendRefusedError | TopicGoneError)
            if is_refused:
                self._refused(lane, lane.trouble)
            await asyncio.sleep(REFUSED_AGAIN_SECONDS if is_refused else CLAIM_AGAIN_SECONDS)
            self._inbox.tell(lambda _now: self._pipeline.append_failed(lane))
            return
        if base is None:
            return
        lane.trouble = None
        if lane.journal_refused is not None:
            lane.journal_refused = None
            self._facts.writes_taken(lane.partition)
        seconds = self._clock.now().steady - began_at
        self._facts.journal_appended(lane.partition, entries=len(values), seconds=seconds)
        self._inbox.tell(partial(self._pipeline.appended, lane, base))

    async def _until_it_fits(self, lane: Lane, values: Sequence[bytes]) -> JournalOffset | None:
        """Append; return the offset, None where the pipeline splits it into smaller appends or the lane was dropped.

        A single entry that is too large is tried again until a person has changed the topic.

        Raises:
            UnsureAppendError, TopicGoneError: as the journal says.
        """
        while True:
            try:
                return await self._journal.append(lane.partition, values)
            except AppendTooLargeError as error:
                why = str(error)
            if not await self._inbox.ask(lambda _now: self._pipeline.append_too_large(lane)):
                return None
            self._refused(lane, why)
            await asyncio.sleep(REFUSED_AGAIN_SECONDS)
            if lane.dropped:
                return None

    def _refused(self, lane: Lane, why: str) -> None:
        if lane.journal_refused is None and not lane.dropped:
            self._facts.writes_refused(lane.partition, why=why)
        lane.journal_refused = why

    async def _read_gap(self, lane: Lane, gap: Gap) -> None:
        try:
            entries = await until_readable(
                lane, lambda: self._journal.read(lane.partition, gap.start, gap.stop), self._facts
            )
        except LaneDroppedError:
            return
        placed = [decode(entry.offset, entry.value) for entry in entries]
        strays = [one.offset for one in placed if isinstance(one.entry, Stray)]
        if strays:
            self._facts.journal_strays(lane.partition, offsets=strays)
        void = sum(not one.counts for one in placed) - len(strays)
        if void:
            self._facts.journal_void(lane.partition, entries=void)
        self._inbox.tell(partial(self._pipeline.gap_read, lane, placed))

    async def _post(self, send: Send) -> None:
        waiting: list[Send] = [send]

        def last_look() -> Withholding | None:
            now = self._clock.now()
            withholding = self._pipeline.last_look(waiting[0], now)
            if withholding is None:
                self._report(self._telemetry.posted, waiting[0], now)
                self._report(self.recent_sends.posted, waiting[0], now.wall)
            return withholding

        contacts = [event.contact for event in send.members]
        expiry = send.earliest_expiry
        exchange = await self._platform.post(
            body(send.group, contacts, self._names),
            last_look=last_look,
            expires_in_seconds=None if expiry is None else expiry - self._clock.now().wall,
        )
        waiting.clear()  # the client's reference cycles keep `last_look` alive until garbage collection: free the members
        self._inbox.tell(partial(self._answered, send, exchange))

    def _answered(self, send: Send, exchange: Exchange, now: Now) -> None:
        members = list(send.members)
        decision = self._pipeline.answered(send, exchange, now)
        for error in self._pipeline.misread():
            self._facts.unexpected_error(during=During.ANSWER, error=error)
        self._report(self._telemetry.answered, send, members, exchange, decision, now)
        self._report(self.recent_sends.answered, send, exchange, decision, len(members))

    def _report(self, report: Callable[..., None], *what: object) -> None:
        """Report to logs and metrics. An error in that must not keep an outcome from the journal: it would be sent again."""
        try:
            report(*what)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._facts.unexpected_error(during=During.TELLING, error=error)
