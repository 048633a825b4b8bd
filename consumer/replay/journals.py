"""What a plan reads in journals: outcomes whose results are gone, and the ranges that a forward move has passed over."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from consumer.core.event import Record
from consumer.core.journal.entries import Outcome, Skipped
from consumer.core.journal.entry_decode import decode
from consumer.core.terms import JournalOffset

_KIND_WITHIN: Final = 64
"""Bytes at the start of an entry that name its kind."""


class SettledRecords(NamedTuple):
    """Records of one partition with one status."""

    offsets: Sequence[int]
    status: str


def outcomes_of(records: Iterable[Record]) -> Iterator[SettledRecords]:
    """Yield what these entries say became of records; entries that do not count say nothing."""
    for record in records:
        value = record.value or b""
        if b'"outcome"' not in value[:_KIND_WITHIN]:
            continue
        placed = decode(JournalOffset(record.offset), value)
        if placed.counts and isinstance(placed.entry, Outcome):
            for settled in placed.entry.settled:
                yield SettledRecords(settled.offsets, settled.verdict.status.value)


def skips_of(records: Iterable[Record]) -> Iterator[tuple[int, int]]:
    """Yield the ranges that, as these entries say, were passed over: first, and past the last."""
    for record in records:
        value = record.value or b""
        if b'"skipped"' not in value[:_KIND_WITHIN]:
            continue
        placed = decode(JournalOffset(record.offset), value)
        if placed.counts and isinstance(placed.entry, Skipped):
            yield placed.entry.start, placed.entry.stop
