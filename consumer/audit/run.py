"""Reads the logs of one partition after another and has them judged. Decides nothing, connects to nothing itself."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumer.audit.findings import Findings
from consumer.audit.holds import AuditedHolds
from consumer.audit.partition import Bounds, Case, PartitionJudge
from consumer.audit.reading import AuditedRecord, NotAResultError, Result, result_of
from consumer.audit.repeated_events import RememberedIds
from consumer.audit.results_without_record import ResultsWithoutRecord

TRIES = 3


class AuditedLogs(Protocol):
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

    def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[AuditedRecord]]:
        """Yield the records of a range in their order, a bounded number at a time."""
        ...


class NotThereError(ValueError):
    """What was asked for does not exist; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPoint:
    """A point in a partition: an offset, or the first record of an instant (milliseconds since 1970) or later."""

    offset: int | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuestion:
    """What is to be proven. No `partitions`: all. No `since`: from the start of the log; no `until`: to its end."""

    group: str
    journals: dict[str, str]
    """By events topic, each topic's journal."""
    results: str
    dead_letters: str
    control: str | None = None
    """Where operators hold campaigns; None where there is no such topic."""
    partitions: frozenset[int] = frozenset()
    since: AuditPoint = AuditPoint()
    until: AuditPoint = AuditPoint()
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


class TooShortRetentionError(Exception):
    """Retention removes records faster than they are read; the message is one line."""


async def audit(question: AuditQuestion, logs: AuditedLogs, *, on_partition: Callable[[Findings], None]) -> Audit:
    """Judge every partition that is asked about; `on_partition` hears of each that has been read.

    Raises:
        NotThereError: a partition that is asked for does not exist.
        TooShortRetentionError: retention goes on removing what is being read.
    """
    run = _Run(question, logs, await logs.partitions(question.results), await logs.partitions(question.dead_letters))
    await run.read_holds()
    events = {topic: await logs.partitions(topic) for topic in question.journals}
    without_record = ResultsWithoutRecord(topic=question.results, count=run.results_partitions, events=events)
    memory = RememberedIds(ttl_ms=question.ttl_ms, max_entries=question.max_entries)
    found: list[Findings] = []
    for topic, count in events.items():
        wanted = question.partitions or frozenset(range(count))
        if max(wanted) >= count:
            raise NotThereError(f"topic {topic!r} has {count} partitions, no {max(wanted)}")
        for number in sorted(wanted):
            judge = await run.partition(topic, number, without_record)
            memory.add(judge.findings, judge.book)
            found.append(judge.findings)
            on_partition(judge.findings)
    if not question.partitions:
        for standing in without_record.unread:
            await run.unclaimed(standing, without_record)
    memory.judge()
    without_record.report(found)
    return Audit(group=question.group, partitions=found)


class _Run:
    def __init__(
        self, question: AuditQuestion, logs: AuditedLogs, results_partitions: int, letters_partitions: int
    ) -> None:
        self._question = question
        self._logs = logs
        self.results_partitions = results_partitions
        self._letters_partitions = letters_partitions
        self._holds = AuditedHolds()

    async def read_holds(self) -> None:
        """Read when campaigns were held: before the journals, so that nobody is accused of a hold to come."""
        topic = self._question.control
        if topic is not None:
            log = await self._bounds(topic, 0)
            async for records in self._logs.read(topic, 0, log.start, log.end):
                self._holds.take(records)

    async def partition(self, topic: str, number: int, without_record: ResultsWithoutRecord) -> PartitionJudge:
        """Judge one partition; anew, if retention has removed something from under the reading."""
        for _ in range(TRIES):
            case = await self._case(topic, number)
            judge = await self._judge(case, without_record)
            if not await self._has_moved(case):
                return judge
        raise TooShortRetentionError(
            f"{topic}:{number}: retention removes records while they are read, {TRIES} times in a row: "
            "ask for a later --from"
        )

    async def unclaimed(self, standing: int, without_record: ResultsWithoutRecord) -> None:
        """Look at a results partition that nobody's results belong to."""
        results = await self._bounds(self._question.results, standing)
        without_record.begin(standing)
        async for records in self._logs.read(self._question.results, standing, results.start, results.end):
            for record in records:
                result = _result(record, standing, without_record)
                if result is not None:
                    without_record.look_at(standing, record, result)

    async def _case(self, topic: str, number: int) -> Case:
        """Take note of all bounds, in this order: what is committed has its result, that its outcome, that its record.

        So a service that works on meanwhile is not accused of anything.
        """
        question = self._question
        journal = question.journals[topic]
        committed = await self._logs.committed(topic, number)
        dead_letters_log = await self._bounds(question.dead_letters, number % self._letters_partitions)
        results_log = await self._bounds(question.results, number % self.results_partitions)
        journal_log = await self._bounds(journal, number)
        events_log = await self._bounds(topic, number)
        since = await self._offset(question.since, topic, number, default=events_log.start, none=events_log.end)
        until = await self._offset(question.until, topic, number, default=events_log.end, none=events_log.end)
        start = max(since, events_log.start)
        return Case(
            topic=topic,
            partition=number,
            group=question.group,
            journal=journal,
            committed=committed,
            start=start,
            stop=max(start, min(until, events_log.end)),
            events_log=events_log,
            journal_log=journal_log,
            results_log=results_log,
            dead_letters_log=dead_letters_log,
        )

    async def _judge(self, case: Case, without_record: ResultsWithoutRecord) -> PartitionJudge:
        judge, read = PartitionJudge(case, self._holds), self._logs.read
        async for records in read(case.topic, case.partition, case.start, case.stop):
            judge.events(records)
        log = case.journal_log
        async for records in read(case.journal, case.partition, log.start, log.end):
            judge.journal(records)
        judge.journal_ended()
        oldest_result_ms = await self._results(case, judge, without_record)
        oldest_dead_letter_ms, log = None, case.dead_letters_log
        standing = case.partition % self._letters_partitions
        async for records in read(self._question.dead_letters, standing, log.start, log.end):
            oldest_dead_letter_ms = oldest_dead_letter_ms or records[0].timestamp
            judge.dead_letters(records)
        judge.finish(
            oldest_result_ms=oldest_result_ms,
            oldest_dead_letter_ms=oldest_dead_letter_ms,
            is_complete=self._question.is_complete,
        )
        return judge

    async def _results(self, case: Case, judge: PartitionJudge, without_record: ResultsWithoutRecord) -> int | None:
        """Hand a partition its results; return the timestamp of the oldest result that is still there."""
        oldest_ms, log, standing = None, case.results_log, case.partition % self.results_partitions
        is_first = without_record.begin(standing)
        async for records in self._logs.read(self._question.results, standing, log.start, log.end):
            oldest_ms = oldest_ms or records[0].timestamp
            for record in records:
                result = _result(record, standing, without_record if is_first else None)
                if result is None:
                    continue
                if (result.topic, result.partition) == (case.topic, case.partition):
                    judge.result(result, record)
                elif is_first:
                    without_record.look_at(standing, record, result)
        return oldest_ms

    async def _has_moved(self, case: Case) -> bool:
        """Whether a log begins later than when it was to be read."""
        question, number = self._question, case.partition
        logs = (
            (question.dead_letters, number % self._letters_partitions, case.dead_letters_log.start),
            (question.results, number % self.results_partitions, case.results_log.start),
            (case.journal, number, case.journal_log.start),
            (case.topic, number, case.start),
        )
        return any([(await self._bounds(topic, partition)).start > start for topic, partition, start in logs])

    async def _bounds(self, topic: str, partition: int) -> Bounds:
        start, end = await self._logs.bounds(topic, partition)
        return Bounds(start=start, end=end)

    async def _offset(self, at: AuditPoint, topic: str, partition: int, *, default: int, none: int) -> int:
        if at.offset is not None:
            return at.offset
        if at.timestamp_ms is None:
            return default
        found = await self._logs.offset_at(topic, partition, at.timestamp_ms)
        return none if found is None else found


def _result(record: AuditedRecord, standing: int, without_record: ResultsWithoutRecord | None) -> Result | None:
    try:
        return result_of(record.value)
    except NotAResultError as error:
        if without_record is not None:
            without_record.unreadable(standing, record, str(error))
        return None
