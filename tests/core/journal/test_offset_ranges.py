"""Offsets as ranges, against a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.offset_ranges import OffsetRanges

SPAN = 40
SPANS = st.tuples(st.integers(0, SPAN), st.integers(0, SPAN))


@given(st.lists(st.tuples(st.booleans(), SPANS), max_size=20), SPANS)
def test_ranges_are_the_set_that_they_stand_for(
    steps: list[tuple[bool, tuple[int, int]]], span: tuple[int, int]
) -> None:
    ranges, plain = OffsetRanges(), set[int]()
    for is_added, (start, stop) in steps:
        if is_added:
            ranges.add(start, stop)
            plain |= {*range(start, stop)}
        else:
            ranges.cut(start, stop)
            plain -= {*range(start, stop)}
    assert [offset for offset in range(SPAN) if offset in ranges] == sorted(plain)
    flat = ranges.flat()
    assert flat == sorted(set(flat)), "ascending, disjoint, not touching, none empty"
    assert (ranges.count(), len(ranges), bool(ranges)) == (len(plain), len(flat) // 2, bool(plain))
    assert ranges.first == min(plain, default=None)
    assert ranges == OffsetRanges(flat)
    assert _all(ranges.between(*span)) == sorted(plain & {*range(*span)})
    assert _all(OffsetRanges([end for pair in ranges.missing(*span) for end in pair])) == sorted(
        {*range(*span)} - plain
    )


def _all(ranges: OffsetRanges) -> list[int]:
    return [offset for start, stop in ranges for offset in range(start, stop)]
