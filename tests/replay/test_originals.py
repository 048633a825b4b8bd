"""What is read for a plan: all of its records, and nothing that stands far from them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.originals import near_runs
from consumer.replay.ranges import NEAR

GAPS = st.lists(st.integers(1, 10) | st.sampled_from([NEAR - 1, NEAR, NEAR + 1, 10 * NEAR]), max_size=30)


@given(st.integers(0, 10), GAPS)
def test_runs_hold_every_offset_and_none_that_is_far_from_all(first: int, gaps: list[int]) -> None:
    offsets = [first]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    runs = list(near_runs(iter(offsets)))
    assert all(any(start <= offset < stop for start, stop in runs) for offset in offsets)
    assert {start for start, _ in runs} | {stop - 1 for _, stop in runs} <= set(offsets)
    assert all(later - stop >= NEAR for (_, stop), (later, _) in pairwise(runs))
    assert len(runs) == 1 + sum(gap > NEAR for gap in gaps)
    assert list(near_runs([])) == []
