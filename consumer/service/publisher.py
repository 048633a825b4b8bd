"""Publishes results and dead letters, one publication at a time for each results partition. Decides nothing.

What becomes ready meanwhile joins the next publication: a slow topic makes batches larger, not more of them.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from consumer.core.event import Event, Invalid, result_key
from consumer.core.journal.lane import Lane, Settlement
from consumer.core.results.cut import smaller_letter, smaller_result, source_of
from consumer.core.results.dead_letter import dead_letter
from consumer.core.results.result import result_value, results
from consumer.core.terms import AT_ONCE, Ticks
from consumer.service.facts import Facts
from consumer.service.ports import (
    Clock,
    Message,
    MessageTooLargeError,
    NotTakenError,
    PlainMessage,
    ResultsProducer,
    TopicGoneError,
)

MAX_RESULTS = 4_000
"""Results built at once: each is in memory twice then, and building them blocks the loop for some milliseconds."""


APART_SECONDS = 0.025
"""Between the beginnings of a queue's publications: what settles meanwhile shares the next one. A batch costs the same for one
result as for fifty, and of a stream nobody needs each result at once."""

NOT_TAKEN_SECONDS = 5.0
"""How often a refused publication is tried again: a person may have changed the topic or the permissions."""


@dataclass(slots=True)
class _Queue:
    settlements: list[Settlement] = field(default_factory=list)
    busy: bool = False
    refused: str | None = None
    """Why the brokers refuse the batch that is being published; None where they do not."""
    waiting: set[Lane] = field(default_factory=set)
    """Lanes whose `results_refused` was set."""
    began_at: Ticks = AT_ONCE
    """When the latest publication began."""
    sending_since: Ticks | None = None
    """Since when the batch that is being published is not acknowledged."""

    def refuse(self, lane: Lane) -> bool:
        """Mark a lane as waiting for a person; return whether it was not marked before."""
        lane.results_refused = self.refused
        is_new = lane not in self.waiting
        self.waiting.add(lane)
        return is_new


class ResultsPublisher:
    """Publishes settlements, with one queue for each events partition number."""

    def __init__(
        self,
        producer: ResultsProducer,
        *,
        results_topic: str,
        dead_letter_topic: str,
        published: Callable[[Sequence[Settlement]], None],
        clock: Clock,
        facts: Facts,
    ) -> None:
        self._producer = producer
        self._results_topic = results_topic
        self._dead_letter_topic = dead_letter_topic
        self._published = published
        self._clock = clock
        self._facts = facts
        self._queues: dict[int, _Queue] = {}
        self._pace = asyncio.Lock()
        """Held by a publication from its beginning to the loop's next iteration."""

    def add(self, settlements: Sequence[Settlement]) -> list[int]:
        """Queue settlements; return the partition numbers whose `flush` has to be started for them."""
        idle: list[int] = []
        for settlement in settlements:
            number = settlement.lane.partition.number
            queue = self._queues.setdefault(number, _Queue())
            queue.settlements.append(settlement)
            if queue.refused is not None and queue.refuse(settlement.lane):
                self._facts.writes_refused(settlement.lane.partition, why=queue.refused)
            if not queue.busy:
                queue.busy = True
                idle.append(number)
        return idle

    @property
    def waiting_since(self) -> Ticks | None:
        """Since when the batch that waits longest for its acknowledgement does; None while nothing is published."""
        sinces = [queue.sending_since for queue in self._queues.values() if queue.sending_since is not None]
        return min(sinces, default=None)

    def forget(self, lanes: Collection[Lane]) -> list[Settlement]:
        """Drop queued settlements of dropped lanes, and return them: the next owner publishes their results.

        A publication that has begun goes on.
        """
        forgotten: list[Settlement] = []
        for number in {lane.partition.number for lane in lanes}:
            queue = self._queues.get(number)
            if queue is None:
                continue
            forgotten += [settlement for settlement in queue.settlements if settlement.lane in lanes]
            queue.settlements[:] = [settlement for settlement in queue.settlements if settlement.lane not in lanes]
            queue.waiting.difference_update(lanes)
        return forgotten

    async def flush(self, number: int) -> None:
        """Publish until this partition number's queue is empty."""
        queue = self._queues[number]
        try:
            while queue.settlements:
                await self._gather(queue)
                await self._alone()
                if not (batch := _take(queue.settlements)):
                    break  # their lanes were dropped meanwhile
                await self._publish(queue, number, batch)
                self._published(batch)
        finally:
            queue.busy = False

    async def _gather(self, queue: _Queue) -> None:
        """Wait for what else settles where a publication began a moment ago; a lone result never waits."""
        seconds = queue.began_at + APART_SECONDS - self._clock.now().steady
        if seconds > 0:
            await asyncio.sleep(seconds)
        queue.began_at = self._clock.now().steady

    async def _alone(self) -> None:
        """Wait until no other publication has begun in this iteration of the loop: together they block it for long.

        They come together for as long as they are as busy as one another: what settles is published 25 ms later.
        """
        await self._pace.acquire()
        asyncio.get_running_loop().call_soon(self._pace.release)

    async def _publish(self, queue: _Queue, number: int, settlements: Sequence[Settlement]) -> None:
        messages: list[PlainMessage] = []
        dead_letters: list[PlainMessage] = []
        for settlement in settlements:
            items, settlement.items = settlement.items, []
            for verdict, records in items:
                if type(records[0]) is Event:  # records with one verdict are all of one type
                    events = cast("list[Event]", records)
                    traces = [event.trace for event in events]
                    messages += zip([event.key for event in events], results(events, verdict), traces, strict=True)
                    continue
                for record in cast("list[Invalid]", records):
                    dead_letters.append(_dead_letter(record))
                    messages.append((result_key(record.key), result_value(record, verdict), record.trace))
        lanes = {settlement.lane for settlement in settlements}
        if dead_letters:
            await self._send(queue, _Batch(self._dead_letter_topic, number, dead_letters, smaller_letter, lanes))
        await self._send(queue, _Batch(self._results_topic, number, messages, smaller_result, lanes))

    async def _send(self, queue: _Queue, batch: "_Batch") -> None:
        """Return once all is acknowledged (what is too large for the topic is cut), or all lanes of it were dropped."""
        began_at = queue.sending_since = self._clock.now().steady
        done = 0
        while not batch.is_orphaned:
            try:
                await self._producer.publish(
                    batch.topic, batch.number, batch.messages[done:] if done else batch.messages
                )
                break
            except MessageTooLargeError as error:
                done += error.published
                less = batch.smaller(batch.messages[done])
                if less is not None:
                    batch.messages[done] = less
                    partition, offset = source_of(less)
                    self._facts.message_cut(batch.topic, partition, offset=offset)
                    continue
                why = str(error)
            except NotTakenError as error:
                done += error.published
                why = str(error)
            except TopicGoneError as error:
                why = str(error)
            await self._wait_for_a_person(queue, batch, why)
        queue.sending_since = None
        self._taken(queue)
        seconds = self._clock.now().steady - began_at
        self._facts.results_published(topic=batch.topic, count=len(batch.messages), seconds=seconds)

    async def _wait_for_a_person(self, queue: _Queue, batch: "_Batch", why: str) -> None:
        queue.refused = why
        for lane in batch.lanes:
            if not lane.dropped and queue.refuse(lane):
                self._facts.writes_refused(lane.partition, why=why)
        await asyncio.sleep(NOT_TAKEN_SECONDS)

    def _taken(self, queue: _Queue) -> None:
        if queue.refused is None:
            return
        queue.refused = None
        while queue.waiting:
            lane = queue.waiting.pop()
            lane.results_refused = None
            if not lane.dropped:
                self._facts.writes_taken(lane.partition)


@dataclass(slots=True)
class _Batch:
    """Messages for one partition of one topic, and the lanes that they belong to."""

    topic: str
    number: int
    messages: list[PlainMessage]
    smaller: Callable[[PlainMessage], PlainMessage | None]
    lanes: set[Lane]

    @property
    def is_orphaned(self) -> bool:
        """Whether all its lanes were dropped: their next owners publish it."""
        return all(lane.dropped for lane in self.lanes)


def _dead_letter(record: Invalid) -> Message:
    letter = dead_letter(record)
    return Message(letter.key, letter.value, letter.headers)


def _take(settlements: list[Settlement]) -> list[Settlement]:
    """Remove and return the first settlements, with about `MAX_RESULTS` results."""
    count = taken = 0
    for settlement in settlements:
        count += len(settlement.offsets)
        taken += 1
        if count >= MAX_RESULTS:
            break
    batch = settlements[:taken]
    del settlements[:taken]
    return batch
