"""What a partition has parked: small neighbours become one, and whoever stands in them is found still. No other module."""

import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.parked import Parked
from consumer.core.journal.parked_range import FromHand, Glance
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


def test_a_range_that_has_no_place_in_its_neighbours_group_hides_nobody() -> None:
    parked = Parked(6)
    for start in range(0, 150, 10):
        parked.add(glances(start, 6), start, start=Offset(start), stop=Offset(start + 6))
        parked._seal(parked.ranges[-1])  # noqa: SLF001 - as the next one does
    parked.add_again([FromHand(Offset(57), 57, *glances(57, 1))])
    assert [group.ranges[0].start for group in parked._groups] == [57, 0, 130]  # noqa: SLF001 - they are full
    assert parked.ahead_of((0,), before=parked.ranges[2]) == parked.ranges[:1]
    assert [one.start for one in parked.ahead_of((57,))] == [57]


@dataclass
class Partition:
    """What of a partition is parked, and what is in hand, beside what knows of the parked by ranges."""

    parked: Parked = field(default_factory=lambda: Parked(6))
    known: dict[int, Glance] = field(default_factory=dict)
    in_hand: set[int] = field(default_factory=set)
    position: int = 0

    def glance(self, offset: int) -> Glance:
        return Glance(offset % 3, immediate=offset % 5 == 0, words=(offset, 1_000 + offset % 4), expires_at=None)

    def come(self, count: int, *, parks: bool) -> None:
        start, self.position = self.position, self.position + count
        if not parks:
            self.in_hand.update(range(start, self.position))
            return
        found = [self.glance(offset) for offset in range(start, self.position)]
        self.known.update(zip(range(start, self.position), found, strict=True))
        self.parked.add(found, start, start=Offset(start), stop=Offset(self.position))

    def go_back(self, offsets: set[int]) -> None:
        self.in_hand -= offsets
        self.known.update({offset: self.glance(offset) for offset in offsets})
        self.parked.add_again([FromHand(Offset(offset), offset, self.glance(offset)) for offset in sorted(offsets)])

    def holds(self) -> None:
        """Everything parked is in one range, is counted, and is found by each of its words."""
        ranges = self.parked.ranges
        assert all(one.stop <= after.start for one, after in pairwise(ranges))
        assert self.parked.count == len(self.known)
        assert self.parked.campaigns == Counter(glance.campaign_id for glance in self.known.values())
        for one in ranges:
            mine = [glance for offset, glance in self.known.items() if one.start <= offset < one.stop]
            assert one.count == len(mine)
            assert one.campaigns == Counter(glance.campaign_id for glance in mine)
            assert one.urgent == Counter(glance.campaign_id for glance in mine if glance.immediate)
        for offset, glance in self.known.items():
            (place,) = [one for one in ranges if one.start <= offset < one.stop]
            assert all(place in self.parked.ahead_of((word,)) for word in glance.words)
            assert place not in self.parked.ahead_of(glance.words, before=place)


@given(st.data())
def test_what_was_in_hand_is_found_where_it_stands_whatever_is_parked_around_it(data: st.DataObject) -> None:
    partition = Partition()
    for _ in range(data.draw(st.integers(1, 20))):
        parked = partition.parked
        match data.draw(st.sampled_from(("parked", "taken", "back", "pass"))):
            case "back" if partition.in_hand:
                partition.go_back(data.draw(st.sets(st.sampled_from(sorted(partition.in_hand)), min_size=1)))
            case "pass" if parked.ranges:
                a_pass(data, partition)
            case kind:
                partition.come(data.draw(st.integers(1, 9)), parks=kind == "parked")
        partition.holds()


def a_pass(data: st.DataObject, partition: Partition) -> None:
    """Read a range again, in pieces; between those, something that was in hand is parked again."""
    parked = partition.parked
    over = data.draw(st.sampled_from(parked.ranges))
    stays = parked.begin_pass(over)
    while parked.passed_to < over.stop:
        if partition.in_hand:
            partition.go_back(data.draw(st.sets(st.sampled_from(sorted(partition.in_hand)))))
        reached = Offset(min(over.stop, parked.passed_to + data.draw(st.integers(1, 4))))
        for offset in [offset for offset in sorted(partition.known) if parked.passed_to <= offset < reached]:
            if data.draw(st.integers(0, 1)):
                del partition.known[offset]
                partition.in_hand.add(offset)
            else:
                stays.add([partition.glance(offset)], offset)
        parked.passed_to = reached
    parked.end_pass(stays)
