"""Says of records where they stand, for log lines: partitions and ranges of offsets, of bounded length. Writes no line."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from consumer.core.event import Decoded
from consumer.core.terms import Offset

MAX_RANGES: Final = 50  # some 20 bytes each; a send of 500 contacts among 20 campaigns may have 500 of them


def places(records: Iterable[Decoded]) -> dict[str, object]:
    """Return the field `offsets`: ranges by partition; past `MAX_RANGES` ranges, how many records are left out."""
    by_partition: dict[str, list[Offset]] = {}
    for record in records:
        by_partition.setdefault(str(record.partition), []).append(record.offset)
    named: dict[str, str] = {}
    room, left_out = MAX_RANGES, 0
    for partition, offsets in by_partition.items():
        found = list(_ranges(offsets))
        if room:
            named[partition] = _spelled(found[:room])
        left_out += sum(last - first + 1 for first, last in found[room:])
        room = max(0, room - len(found))
    return {"offsets": named, **({"offsets_left_out": left_out} if left_out else {})}


def offset_ranges(offsets: Iterable[Offset]) -> str:
    """Return the offsets of one partition as `1842-1850,1853`; past `MAX_RANGES` ranges, `…` stands for the others."""
    found = list(_ranges(offsets))
    return _spelled(found[:MAX_RANGES]) + (",…" if len(found) > MAX_RANGES else "")


def _spelled(found: Sequence[tuple[int, int]]) -> str:
    return ",".join([str(first) if first == last else f"{first}-{last}" for first, last in found])


def _ranges(offsets: Iterable[Offset]) -> Iterator[tuple[int, int]]:
    first = last = None
    for offset in sorted(set(offsets)):
        if first is None or last is None or offset != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = offset
        last = offset
    if first is not None and last is not None:
        yield first, last
