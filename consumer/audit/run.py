"""Reads the logs of one partition after another and has them judged. Decides nothing, connects to nothing itself."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumer.audit.findings import Findings
from consumer.audit.partition import Bounds, Case, PartitionJudge
from consumer.audit.reading import Record
from consumer.audit.repeats import Memory


class Logs(Protocol):
    """What an audit asks of the brokers. Nothing here writes."""

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        ...

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return a partition's first offset and its end."""
        ...

    async def committed(self, topic: str, partition: int) -> int | None:
        """Return what the group has committed, None where it has not."""
        ...

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """Return the first offset whose record is at least as young, None where none is."""
        ...

    def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the records of a range in their order, a bounded number at a time."""
        ...


class NotThereError(ValueError):
    """What was asked for does not exist; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """A point in a partition: an offset, or the first record of an instant (milliseconds since 1970) or later."""

    offset: int | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be proven. No `partitions`: all. No `since`: from the start of the log; no `until`: to its end."""

    group: str
    journals: dict[str, str]
    """By events topic, each topic's journal."""
    results: str
    dead_letters: str
    partitions: frozenset[int] = frozenset()
    since: At = At()
    until: At = At()
    is_complete: bool = False
    ttl_ms: int
    max_entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found, partition by partition."""

    group: str
    partitions: Sequence[Findings]

    @property
    def proven(self) -> bool:
        """Whether nothing was found against the promises."""
        return all(findings.proven for findings in self.partitions)


async def audit(question: Question, logs: Logs, *, on_partition: Callable[[Findings], None]) -> Audit:
    """Judge every partition that is asked about; `on_partition` hears of each that has been read.

    Raises:
        NotThereError: a partition that is asked for does not exist.
    """
    memory = Memory(ttl_ms=question.ttl_ms, max_entries=question.max_entries)
    found: list[Findings] = []
    results_partitions = await logs.partitions(question.results)
    letters_partitions = await logs.partitions(question.dead_letters)
    for topic, journal in question.journals.items():
        count = await logs.partitions(topic)
        wanted = question.partitions or frozenset(range(count))
        if max(wanted) >= count:
            raise NotThereError(f"topic {topic!r} has {count} partitions, no {max(wanted)}")
        seen: set[int] = set()
        for number in sorted(wanted):
            place = _Place(topic, number, count, journal, results_partitions, letters_partitions)
            case = await _case(question, logs, place, reports_strays=number % results_partitions not in seen)
            seen.add(number % results_partitions)
            judge = await _judge(case, question, logs, place)
            memory.add(judge.findings, judge.book)
            found.append(judge.findings)
            on_partition(judge.findings)
    memory.judge()
    return Audit(group=question.group, partitions=found)


@dataclass(frozen=True, slots=True)
class _Place:
    topic: str
    number: int
    partitions: int
    journal: str
    results_partitions: int
    letters_partitions: int

    @property
    def results_partition(self) -> int:
        return self.number % self.results_partitions

    @property
    def letters_partition(self) -> int:
        return self.number % self.letters_partitions


async def _case(question: Question, logs: Logs, place: _Place, *, reports_strays: bool) -> Case:
    """Take note of all bounds, in this order: what is committed has its result, a result its outcome, that its record.

    So a service that works on meanwhile is not accused of anything.
    """
    topic, number = place.topic, place.number
    committed = await logs.committed(topic, number)
    letters = await _bounds(logs, question.dead_letters, place.letters_partition)
    results = await _bounds(logs, question.results, place.results_partition)
    journal = await _bounds(logs, place.journal, number)
    events = await _bounds(logs, topic, number)
    start = await _offset(question.since, logs, place, default=events.start, none=events.end)
    stop = await _offset(question.until, logs, place, default=events.end, none=events.end)
    start = max(start, events.start)
    return Case(
        topic=topic,
        partition=number,
        partitions=place.partitions,
        group=question.group,
        journal=place.journal,
        results=question.results,
        results_partitions=place.results_partitions,
        committed=committed,
        start=start,
        stop=max(start, min(stop, events.end)),
        events_log=events,
        journal_log=journal,
        results_log=results,
        letters_log=letters,
        reports_strays=reports_strays,
    )


async def _bounds(logs: Logs, topic: str, partition: int) -> Bounds:
    start, end = await logs.bounds(topic, partition)
    return Bounds(start=start, end=end)


async def _offset(at: At, logs: Logs, place: _Place, *, default: int, none: int) -> int:
    if at.offset is not None:
        return at.offset
    if at.timestamp_ms is None:
        return default
    found = await logs.offset_at(place.topic, place.number, at.timestamp_ms)
    return none if found is None else found


async def _judge(case: Case, question: Question, logs: Logs, place: _Place) -> PartitionJudge:
    judge = PartitionJudge(case)
    async for records in logs.read(case.topic, case.partition, case.start, case.stop):
        judge.events(records)
    async for records in logs.read(case.journal, case.partition, case.journal_log.start, case.journal_log.end):
        judge.journal(records)
    judge.journal_ended()
    async for records in logs.read(case.results, place.results_partition, case.results_log.start, case.results_log.end):
        judge.results(records)
    letters = case.letters_log
    async for records in logs.read(question.dead_letters, place.letters_partition, letters.start, letters.end):
        judge.letters(records)
    judge.finish(is_complete=question.is_complete)
    return judge
