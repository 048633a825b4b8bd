"""Reads the records that a plan names, in their order, and nothing that stands far from them. Writes nothing."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

from consumer.replay.coding import PlannedRecord
from consumer.replay.ranges import NEAR, Logs
from consumer.replay.rows import Rows

STRETCH_ROWS: Final = 5_000
STRETCH_OFFSETS: Final = 50_000
"""Of what is read in one go: a bounded number of rows waits for its records."""


Original = tuple[int, PlannedRecord, Any | None]
"""A row, what the plan says of it, and the record that stands there by now: None where it is gone."""

_NO_ROW: Final = -1
_BEHIND_ALL: Final = (_NO_ROW, PlannedRecord(offset=sys.maxsize, digest=0, extended=False))


async def originals(logs: Logs, rows: Rows, *, wanted: Callable[[int], bool]) -> AsyncIterator[list[Original]]:
    """Yield the wanted rows with their records, in order, a bounded number at a time."""
    topic, partition = rows.planned.topic, rows.planned.partition
    for stretch in _stretches(rows, wanted):
        waiting = iter(stretch)
        row, planned = next(waiting)
        async for records in logs.read(topic, partition, stretch[0][1].offset, stretch[-1][1].offset + 1):
            found: list[Original] = []
            for record in records:
                offset = record.offset
                while planned.offset < offset:
                    found.append((row, planned, None))
                    row, planned = next(waiting, _BEHIND_ALL)
                if planned.offset == offset:
                    found.append((row, planned, record))
                    row, planned = next(waiting, _BEHIND_ALL)
            if found:
                yield found
        if row != _NO_ROW:
            yield [(row, planned, None), *((row, planned, None) for row, planned in waiting)]


def _stretches(rows: Rows, wanted: Callable[[int], bool]) -> Iterator[list[tuple[int, PlannedRecord]]]:
    stretch: list[tuple[int, PlannedRecord]] = []
    for row, planned in enumerate(rows.records()):
        if not wanted(row):
            continue
        if stretch and (
            planned.offset - stretch[-1][1].offset > NEAR
            or planned.offset - stretch[0][1].offset >= STRETCH_OFFSETS
            or len(stretch) >= STRETCH_ROWS
        ):
            yield stretch
            stretch = []
        stretch.append((row, planned))
    if stretch:
        yield stretch


def near_runs(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges that hold all of these offsets, which rise, and nothing that stands far from them."""
    first = last = -1
    for offset in offsets:
        if first < 0:
            first = offset
        elif offset - last > NEAR:
            yield first, last + 1
            first = offset
        last = offset
    if first >= 0:
        yield first, last + 1
