"""Which offsets of which partitions a plan looks at, and where these logs began and ended. Looks at no event.

The bounds are noted in one order, what is committed first: so nothing is taken for unsettled that only settled meanwhile.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consumer.core.event import Record
from consumer.lookup.points import NOWHERE, LogPoint
from consumer.replay.criteria import Criteria


class Logs(Protocol):
    """What a plan asks of the brokers. Nothing here writes."""

    async def cluster_id(self) -> str:
        """Return what the brokers call their cluster."""
        ...

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

    async def each(
        self, topic: str, partition: int, start: int, stop: int, take: Callable[[Sequence[Record]], Awaitable[None]]
    ) -> None:
        """Hand the records of a range over in the same way, while more are fetched: several times as quick."""
        ...


class ReadingProgress(Protocol):
    """Hears how far reading has come."""

    def stage(self, what: str, total: int) -> None:
        """Reading of so many offsets begins."""
        ...

    def advance(self, offsets: int) -> None:
        """So many of them are read."""
        ...


class NothingToPlanError(Exception):
    """What was asked for does not exist; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanQuestion:
    """What is to be planned. No `partitions`: all. No `since`: from the start of the log; no `until`: to its end."""

    journals: Mapping[str, str]
    """By events topic, each topic's journal."""
    results: str
    dead_letters: str
    partitions: frozenset[int] = frozenset()
    since: LogPoint = NOWHERE
    until: LogPoint = NOWHERE
    criteria: Criteria
    only_skipped: bool = False
    """Only what a forward move of the group has passed over."""
    only_dead_letters: bool = False
    """Only what stands in the dead-letter topic, too."""
    reason_contains: str = ""
    extend_expiry_seconds: float | None = None
    exclusions: Sequence[str] = ()
    """What names the excluded, as it was written; it goes nowhere from here."""


@dataclass(slots=True, kw_only=True)
class Range:
    """One partition's share of the question."""

    topic: str
    partition: int
    journal: str
    committed: int | None
    log_start: int
    log_end: int
    start: int
    stop: int
    lost: int
    """Offsets that were asked for by number and that retention has removed."""
    runs: Sequence[tuple[int, int]]
    """What is read of it: first, and past the last."""
    only: frozenset[int] | None = None
    """The offsets that are asked for, where not all are."""

    @property
    def size(self) -> int:
        """How many offsets are read."""
        return sum(stop - start for start, stop in self.runs)


async def ranges_of(question: PlanQuestion, logs: Logs) -> tuple[list[Range], dict[str, tuple[int, ...]]]:
    """Return the partitions' shares, and where each partition of each events topic ends.

    Raises:
        NothingToPlanError: a partition that is asked for does not exist.
    """
    ranges: list[Range] = []
    ends: dict[str, tuple[int, ...]] = {}
    for topic, journal in question.journals.items():
        count = await logs.partitions(topic)
        if question.partitions and max(question.partitions) >= count:
            raise NothingToPlanError(f"topic {topic!r} has {count} partitions, no {max(question.partitions)}")
        bounds: list[tuple[int, int]] = []
        for number in range(count):
            is_wanted = not question.partitions or number in question.partitions
            committed = await logs.committed(topic, number) if is_wanted else None
            bounds.append(await logs.bounds(topic, number))
            if is_wanted:
                ranges.append(await _range(question, logs, topic, journal, number, committed, bounds[-1]))
        ends[topic] = tuple(end for _, end in bounds)
    return ranges, ends


async def _range(
    question: PlanQuestion,
    logs: Logs,
    topic: str,
    journal: str,
    number: int,
    committed: int | None,
    bounds: tuple[int, int],
) -> Range:
    log_start, log_end = bounds
    since = await question.since.offset_in(logs, topic, number, default=log_start, none=log_end)
    until = await question.until.offset_in(logs, topic, number, default=log_end, none=log_end)
    start = min(max(since, log_start), log_end)
    stop = max(start, min(until, log_end))
    return Range(
        topic=topic,
        partition=number,
        journal=journal,
        committed=committed,
        log_start=log_start,
        log_end=log_end,
        start=start,
        stop=stop,
        lost=max(0, min(log_start, until) - since),
        runs=[(start, stop)] if stop > start else [],
    )


NEAR: Final = 2_000
"""Offsets that lie so near one another are read in one go."""


def runs_of(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield few ranges that hold all of these offsets."""
    first = last = -1
    for offset in sorted(offsets):
        if first >= 0 and offset - last > NEAR:
            yield first, last + 1
            first = offset
        elif first < 0:
            first = offset
        last = offset
    if first >= 0:
        yield first, last + 1


def within(runs: Iterable[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """Return what of these ranges lies between two offsets, in order, none of it twice."""
    found: list[tuple[int, int]] = []
    for first, end in sorted((max(first, start), min(end, stop)) for first, end in runs):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif first < end:
            found.append((first, end))
    return found
