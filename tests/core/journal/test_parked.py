"""What a partition has parked: small neighbours become one, and whoever stands in them is found still. No other module."""

import tracemalloc

from consumer.core.journal.parked import Glance, Parked
from consumer.core.terms import Instant, Offset

MOST = 40
SHARED = 7


def glances(first: int, count: int) -> list[Glance]:
    """Records of a campaign with a word each, and one that they share."""
    return [
        Glance(1, immediate=index == 0, words=(first + index, SHARED), expires_at=Instant(1_000.0 + first + index))
        for index in range(count)
    ]


def pass_that_keeps(parked: Parked, kept: list[Glance], *, at: int) -> None:
    over = parked.ranges[at]
    stays = parked.begin_pass(over)
    if kept:
        stays.add(kept, first_ms=over.first_ms)
    parked.end_pass(stays)


def three_ranges(*, count: int) -> Parked:
    parked = Parked(MOST)
    for start in (100, 200, 300):
        parked.add(glances(start, count), start, start=Offset(start), stop=Offset(start + count))
        parked._seal(parked.ranges[-1])  # noqa: SLF001 - a pass would do it, and join them at once
    return parked


def test_small_neighbours_become_one_and_are_found_by_every_word() -> None:
    parked = three_ranges(count=4)
    parked.ranges[2].wanted.add(302)
    pass_that_keeps(parked, glances(200, 2), at=1)
    (one,) = parked.ranges
    assert (one.start, one.stop, one.count, parked.count) == (100, 304, 10, 10)
    assert (one.campaigns, one.urgent, one.expires_at, one.first_ms) == ({1: 10}, {1: 3}, 1_100.0, 100)
    assert one.wanted == {302}
    assert all(parked.ahead_of((word,)) == [one] for word in (100, 103, 200, 201, 300, 303, SHARED))
    assert not parked.ahead_of((202,))
    pass_that_keeps(parked, glances(100, 1), at=0)
    assert parked.ahead_of((SHARED,)) == parked.ranges
    assert not parked.ahead_of((300,))


def test_a_few_parked_records_take_little_and_are_found_when_they_are_many() -> None:
    parked = Parked(6_250)
    tracemalloc.start()
    for start in range(0, 64_000, 64):
        parked.add(glances(start, 64), first_ms=start, start=Offset(start), stop=Offset(start + 64))
        if start == 0:
            pass_that_keeps(parked, glances(0, 60), at=0)
            assert tracemalloc.get_traced_memory()[0] < 40_000, "hundreds of partitions may have as much"
    tracemalloc.stop()
    pass_that_keeps(parked, glances(56_250, 200), at=len(parked.ranges) - 1)
    assert all(parked.ahead_of((word,)) for word in (0, 59, 64, 6_400, 31_000, 56_300))
    assert not parked.ahead_of((60,))


def test_large_neighbours_stay_two() -> None:
    parked = three_ranges(count=9)
    pass_that_keeps(parked, glances(200, 2), at=1)
    assert [one.count for one in parked.ranges] == [9, 2, 9]


def test_one_that_takes_more_in_is_left_alone() -> None:
    parked = three_ranges(count=2)
    parked.add(glances(400, 1), 400, start=Offset(400), stop=Offset(401))
    last = parked.ranges[-1]
    pass_that_keeps(parked, glances(300, 1), at=2)
    assert [one.count for one in parked.ranges] == [2, 3, 1]
    assert parked.ranges[-1] is last


def test_a_filter_that_has_held_too_many_words_forgets_those_that_are_gone() -> None:
    parked = Parked(MOST)
    parked.add(glances(0, 2), 0, start=Offset(0), stop=Offset(2))
    pass_that_keeps(parked, glances(0, 2), at=0)
    for start in range(100, 100_000, 100):  # each comes, is joined with the first, and goes
        parked.add(glances(start, 3), start, start=Offset(start), stop=Offset(start + 3))
        pass_that_keeps(parked, glances(start, 1), at=-1)
        pass_that_keeps(parked, glances(0, 2), at=0)
    (group,) = parked._groups  # noqa: SLF001 - too many bits only cost time
    assert sum(map(int.bit_count, group.filter)) < 500
    assert parked.ahead_of((0,)) == parked.ranges
