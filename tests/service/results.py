"""Every result of a topic as it comes, held to what the contract says of all of them. Joins no group."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.core.event import Headers
from consumer.demo.arithmetic import RecordPlace, SeenResult
from consumer.demo.results import seen_result

Result = dict[str, Any]
"""A result as its reader decodes it."""

POLL_MILLISECONDS = 200
TWICE = 2


class Results:
    """Use as `async with Results(...) as results`. What is read again must be the same, byte for byte."""

    def __init__(self, bootstrap_servers: str, topic: str, *, partitions: int) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._value_of: dict[str, bytes] = {}
        self.at: dict[RecordPlace, Result] = {}
        """The result of each record that has one by now."""
        self.seen: list[SeenResult] = []
        """All of them, repeats included, as the arithmetic takes them."""
        self._times: Counter[RecordPlace] = Counter()
        self.keys: dict[RecordPlace, bytes | None] = {}
        self.headers: dict[RecordPlace, Headers] = {}
        self.written_to: dict[RecordPlace, int] = {}

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    @property
    def published_again(self) -> int:
        """How many results stand in the topic a second time."""
        return len(self.seen) - len(self.at)

    @property
    def text(self) -> bytes:
        """All that was read, to be searched."""
        return b"\n".join(self._value_of.values())

    async def until(self, places: Iterable[RecordPlace], *, within_seconds: float = 60.0) -> list[Result]:
        """The results of these records, once all of them have one. TimeoutError says which have none in time."""
        wanted = list(places)
        try:
            async with asyncio.timeout(within_seconds):
                while not self.at.keys() >= set(wanted):
                    await self._read()
        except TimeoutError:
            missing = [str(place) for place in wanted if place not in self.at]
            raise TimeoutError(f"{len(missing)} records without a result, the first are {missing[:5]}") from None
        return [self.at[place] for place in wanted]

    async def until_count(self, count: int, *, within_seconds: float = 60.0) -> None:
        """Return once so many records have results. TimeoutError says how many have in time."""
        try:
            async with asyncio.timeout(within_seconds):
                while len(self.at) < count:
                    await self._read()
        except TimeoutError:
            raise TimeoutError(f"{len(self.at)} of {count} records have results") from None

    async def until_again(self, places: Iterable[RecordPlace], *, within_seconds: float = 60.0) -> None:
        """Return once the result of each of these records stands in the topic twice. TimeoutError says whose does not."""
        once = set(places)
        try:
            async with asyncio.timeout(within_seconds):
                while once := {place for place in once if self._times[place] < TWICE}:
                    await self._read()
        except TimeoutError:
            raise TimeoutError(f"{len(once)} results were not published again, one is of {min(once)}") from None

    async def catch_up(self) -> None:
        """Read all that stands in the topic now."""
        ends = await self._consumer.end_offsets(self._partitions)
        while any([await self._consumer.position(partition) < end for partition, end in ends.items()]):
            await self._read()

    async def _read(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
            for record in records:
                self._take(record.partition, record.key, record.value, tuple(record.headers))

    def _take(self, partition: int, key: bytes | None, value: bytes, headers: Headers) -> None:
        result: Result = orjson.loads(value)
        seen = seen_result(value)
        first = self._value_of.setdefault(seen.result_id, value)
        assert first == value, "a result that is published again has the same content"
        assert self.headers.setdefault(seen.place, headers) == headers, "and the same headers"
        known = self.at.setdefault(seen.place, result)
        assert known["resultId"] == seen.result_id, f"the record at {seen.place} has two results"
        self.keys[seen.place] = key
        self.written_to[seen.place] = partition
        self.seen.append(seen)
        self._times[seen.place] += 1
