"""Which offsets a plan reads: what is asked for, as far as it stands there, in few pieces and none of it twice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.ranges import NEAR, runs_of, within

OFFSETS = st.integers(min_value=0, max_value=20)
RANGES = st.lists(st.tuples(OFFSETS, OFFSETS), max_size=6)


def offsets_in(ranges: list[tuple[int, int]]) -> list[int]:
    return [offset for first, end in ranges for offset in range(first, end)]


@given(RANGES, OFFSETS, OFFSETS)
def test_what_lies_within_is_what_any_range_holds_in_order_and_once(
    ranges: list[tuple[int, int]], start: int, stop: int
) -> None:
    found = offsets_in(within(ranges, start, stop))

    assert found == sorted(set(offsets_in(ranges)) & set(range(start, stop)))


@given(st.sets(st.integers(min_value=0, max_value=20 * NEAR), max_size=20))
def test_runs_hold_every_offset_and_no_long_way_without_one(offsets: set[int]) -> None:
    runs = list(runs_of(offsets))

    assert all(any(first <= offset < end for first, end in runs) for offset in offsets)
    assert sum(end - first for first, end in runs) <= NEAR * len(offsets) + len(runs)
    assert all(end <= first for (_, end), (first, _) in pairwise(runs))
