"""Publishes results and dead letters, one publication at a time for each results partition. Decides nothing.

What became ready meanwhile rides on the next publication, so that a slow topic makes batches larger, not slower.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import cast

from consumer.core.dead_letter import dead_letter
from consumer.core.event import Event, Invalid, result_key
from consumer.core.lane import Settlement
from consumer.core.result import result_value, results
from consumer.service.facts import Facts
from consumer.service.ports import Clock, Message, PlainMessage, ResultsProducer

MAX_RESULTS = 4_000
"""Results built at once: what is built is held twice, and building blocks the loop for some milliseconds."""


@dataclass(slots=True)
class _Queue:
    settlements: list[Settlement] = field(default_factory=list)
    busy: bool = False


class Publisher:
    """Queues of settlements, by the number of the partition that they came from."""

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

    def add(self, settlements: Sequence[Settlement]) -> list[int]:
        """Queue settlements; return the partition numbers whose `flush` has to be started for them."""
        idle: list[int] = []
        for settlement in settlements:
            number = settlement.lane.partition.number
            queue = self._queues.setdefault(number, _Queue())
            queue.settlements.append(settlement)
            if not queue.busy:
                queue.busy = True
                idle.append(number)
        return idle

    async def flush(self, number: int) -> None:
        """Publish until nothing waits for this partition number."""
        queue = self._queues[number]
        try:
            while queue.settlements:
                batch = _take(queue.settlements)
                await self._publish(number, batch)
                self._published(batch)
        finally:
            queue.busy = False

    async def _publish(self, number: int, settlements: Sequence[Settlement]) -> None:
        messages: list[PlainMessage] = []
        letters: list[PlainMessage] = []
        for settlement in settlements:
            items, settlement.items = settlement.items, []
            for verdict, records in items:
                if type(records[0]) is Event:  # records with one verdict are alike
                    events = cast("list[Event]", records)
                    messages += zip([event.key for event in events], results(events, verdict), repeat(()))
                    continue
                for record in cast("list[Invalid]", records):
                    letters.append(_letter(record))
                    messages.append((result_key(record.key), result_value(record, verdict), ()))
        if letters:
            await self._send(self._dead_letter_topic, number, letters)
        await self._send(self._results_topic, number, messages)

    async def _send(self, topic: str, number: int, messages: Sequence[PlainMessage]) -> None:
        began_at = self._clock.now().steady
        await self._producer.publish(topic, number, messages)
        self._facts.results_published(topic=topic, count=len(messages), seconds=self._clock.now().steady - began_at)


def _letter(record: Invalid) -> Message:
    letter = dead_letter(record)
    return Message(letter.key, letter.value, letter.headers)


def _take(settlements: list[Settlement]) -> list[Settlement]:
    """Take settlements off the front, up to the bound on results built at once."""
    count = taken = 0
    for settlement in settlements:
        count += len(settlement.offsets)
        taken += 1
        if count >= MAX_RESULTS:
            break
    batch = settlements[:taken]
    del settlements[:taken]
    return batch
