"""Topics in memory, as far as a plan asks for them, with a note of what was read. Writes nothing by itself."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from consumer.core.event import Record
from consumer.core.journal.entries import Entry, Outcome, Settled, Skipped, encode
from consumer.core.outcome import Status, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset
from consumer.service.ports import TopicGoneError
from tests.replay.model import NOW, Stood

EVENTS, JOURNAL, RESULTS, DEAD_LETTERS = "events", "journal", "results", "dead-letters"
AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rec:
    """A record of any topic."""

    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class Log:
    """A partition: what retention has left of it."""

    records: list[Rec] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def append(self, seconds_ago: float = 60.0, **content: Any) -> int:
        self.records.append(Rec(offset=self.end, timestamp=round((NOW - seconds_ago) * 1000), **content))
        self.end += 1
        return self.end - 1

    def trim(self, start: int) -> None:
        """Let retention remove what stands below."""
        self.start = start
        self.records = [record for record in self.records if record.offset >= start]


@dataclass(slots=True)
class MemoryLogs:
    """Topics by name, each a list of partitions."""

    topics: dict[str, list[Log]]
    commits: dict[tuple[str, int], int] = field(default_factory=dict)
    read_from: dict[tuple[str, int], int] = field(default_factory=dict)
    """Where reading of each partition began first."""

    # ---------------------------------------------------------------- what stands there

    def event(
        self, number: int, *, partition: int = 0, topic: str = EVENTS, seconds_ago: float = 60.0, **fields: Any
    ) -> tuple[str, int, int]:
        """Publish an event; where it stands."""
        one = Stood(partition=partition, offset=0, event=number, person=number, **fields)
        offset = self.topics[topic][partition].append(seconds_ago, key=b"k", value=one.value, headers=one.headers)
        return topic, partition, offset

    def result(self, place: tuple[str, int, int], status: str, *, event: int, seconds_ago: float = 50.0) -> None:
        """Publish the result of a record."""
        topic, partition, offset = place
        source = {"topic": topic, "partition": partition, "offset": offset}
        value = orjson.dumps({"status": status, "eventId": f"e-{event}", "resendId": None, "source": source})
        logs = self.topics[RESULTS]
        logs[partition % len(logs)].append(seconds_ago, value=value)

    def entry(self, entry: Entry, *, partition: int = 0, at: int | None = None, seconds_ago: float = 50.0) -> None:
        """Write a journal entry; one that says it stands elsewhere does not count."""
        log = self.topics[JOURNAL][partition]
        log.append(seconds_ago, value=encode(entry, JournalOffset(log.end if at is None else at)))

    def outcome(
        self, offset: int, status: str, *, partition: int = 0, at: int | None = None, seconds_ago: float = 50.0
    ) -> None:
        """Let the journal tell what became of a record."""
        verdict = Verdict(status=Status(status), completed_at=Instant(NOW - seconds_ago))
        settled = Settled(
            verdict=verdict, offsets=(Offset(offset),), received=(Instant(NOW - seconds_ago),), fingerprints=b""
        )
        self.entry(Outcome(send_id=None, settled=(settled,)), partition=partition, at=at, seconds_ago=seconds_ago)

    def skip(self, start: int, stop: int, *, at: int | None = None) -> None:
        """Let the journal tell of a forward move."""
        self.entry(Skipped(start=Offset(start), stop=Offset(stop), skipped_at=Instant(NOW)), at=at)

    # ---------------------------------------------------------------- what a plan asks

    async def cluster_id(self) -> str:
        return "cluster"

    async def partitions(self, topic: str) -> int:
        return len(self._of(topic))

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        log = self._of(topic)[partition]
        return log.start, log.end

    async def open_end(self, topic: str, partition: int) -> int:
        return self._of(topic)[partition].end

    async def committed(self, topic: str, partition: int) -> int | None:
        return self.commits.get((topic, partition))

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        found = (record.offset for record in self._of(topic)[partition].records if record.timestamp >= timestamp_ms)
        return next(found, None)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        records = self._of(topic)[partition].records
        self.read_from.setdefault((topic, partition), start)
        wanted = [record for record in records if start <= record.offset < stop]
        for first in range(0, len(wanted), AT_ONCE):
            yield wanted[first : first + AT_ONCE]

    async def each(
        self, topic: str, partition: int, start: int, stop: int, take: Callable[[Sequence[Record]], Awaitable[None]]
    ) -> None:
        async for records in self.read(topic, partition, start, stop):
            await take(records)

    def _of(self, topic: str) -> list[Log]:
        if topic not in self.topics:
            raise TopicGoneError(f"topic {topic!r} does not exist")
        return self.topics[topic]


def logs_of(*, partitions: int = 1, results_partitions: int = 1, more: Sequence[str] = ()) -> MemoryLogs:
    """Empty topics; `more` are further events topics."""
    sizes = {EVENTS: partitions, JOURNAL: partitions, RESULTS: results_partitions, DEAD_LETTERS: 1}
    sizes |= dict.fromkeys(more, partitions)
    return MemoryLogs({topic: [Log() for _ in range(size)] for topic, size in sizes.items()})
