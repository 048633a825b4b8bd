"""One event ID sent twice: what deduplication promises to notice, and what lies beyond its bounds. Reads no topic."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Final, NamedTuple

from consumer.audit.book import NOTHING, STATUSES, AuditBook
from consumer.audit.findings import Findings, ViolationKind

SENT: Final = (STATUSES.index("accepted"), STATUSES.index("in_doubt"))
ENTERING: Final = frozenset(range(1, len(STATUSES))) - {STATUSES.index("duplicate"), STATUSES.index("invalid")}
"""Outcomes whose event IDs are remembered."""
MINUTE_MS: Final = 60_000
CLOCKS_MS: Final = 5_000
"""By how much the clocks of two hosts may differ."""


class RepeatedEvent(NamedTuple):
    """An event that went out although an earlier one with its ID had gone out, or may have."""

    offset: int
    first: int
    from_ms: int
    to_ms: int


def repeats_in(book: AuditBook, ttl_ms: int) -> Iterator[RepeatedEvent]:
    """Yield the events that deduplication should have noticed by their instants, unmarked ones alone."""
    sent = [
        index
        for index, status in enumerate(book.status)
        if status in SENT and book.identity[index] != NOTHING and not book.reopened[index]
    ]
    sent.sort(key=book.identity.__getitem__)
    for _, group in groupby(sent, key=book.identity.__getitem__):
        alike = sorted(group, key=book.completed_ms.__getitem__)
        for first, second in pairwise(alike):
            is_unmarked = book.status[second] == SENT[0] and not book.marked[second]
            if is_unmarked and book.received_ms[second] + CLOCKS_MS < book.completed_ms[first] + ttl_ms:
                yield RepeatedEvent(
                    book.start + second, book.start + first, book.completed_ms[first], book.completed_ms[second]
                )


class RememberedIds:
    """How many event IDs all partitions together gave a process to remember, minute by minute.

    A process holds a bounded number of IDs; past it, it forgets those first that came within the same quarter of the
    time to live as its oldest one. Which partitions it had is not known afterwards: it is taken to have had them all.
    """

    def __init__(self, *, ttl_ms: int, max_entries: int) -> None:
        self._ttl_ms = ttl_ms
        self._least = max_entries * 3 // 4
        self._by_minute: Counter[int] = Counter()
        self._repeats: list[tuple[Findings, RepeatedEvent]] = []

    def add(self, findings: Findings, book: AuditBook) -> None:
        """Take a partition into account."""
        self._by_minute.update(
            completed_ms // MINUTE_MS
            for status, completed_ms in zip(book.status, book.completed_ms, strict=True)
            if status in ENTERING
        )
        self._repeats += [(findings, repeat) for repeat in repeats_in(book, self._ttl_ms)]

    def judge(self) -> None:
        """All partitions are known: say which repeats should have been noticed."""
        for findings, repeat in self._repeats:
            minutes = range((repeat.from_ms - self._ttl_ms // 4) // MINUTE_MS, repeat.to_ms // MINUTE_MS + 1)
            if sum(self._by_minute[minute] for minute in minutes) < self._least:
                findings.violated(ViolationKind.SAME_EVENT_TWICE, repeat.offset, f"first at offset {repeat.first}")
            else:
                findings.accepted_again += 1
