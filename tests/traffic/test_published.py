"""What was published is known by its places, however many batches there were."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.traffic.lines import Line
from consumer.traffic.published import EACH_AT_MOST, PublishedPlaces


def batch(size: int) -> list[Line]:
    return [Line(number, None, b'{"eventId": "e-%d"}' % number, ()) for number in range(size)]


def test_batches_that_follow_one_another_are_one_range_and_few_ranges_are_shown() -> None:
    places = PublishedPlaces("events")
    for offset in (100, 120, 140, 200):
        places.add(3, offset, batch(20))
    for number in range(7):
        places.add(0, 10 * number, batch(2))
    assert list(places.lines()) == [
        "events:0  offsets 0-1, 10-11, 20-21, 30-31, 40-41 and 2 more ranges",
        "events:3  offsets 100-159, 200-219",
    ]
    assert (places.count, places.partitions) == (94, 2)


def test_each_of_a_few_records_is_named() -> None:
    places = PublishedPlaces("events")
    places.add(1, 7, [Line(1, b"k", b"no event", ()), Line(2, b"k", None, ())])
    places.add(0, 9, batch(EACH_AT_MOST - 2))
    lines = list(places.lines())
    assert (lines[0], len(lines)) == ("events:0:9  e-0", EACH_AT_MOST)
    assert lines[-2:] == ["events:1:7  no event ID", "events:1:8  no event ID"]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(1, 3))))
def test_exactly_the_records_that_were_published_are_known(batches: list[tuple[int, int, int]]) -> None:
    places, ends, known = PublishedPlaces("events"), [0, 0], set[tuple[int, int]]()
    for partition, others, size in batches:
        start = ends[partition] + others
        places.add(partition, start, batch(size))
        known |= {(partition, start + number) for number in range(size)}
        ends[partition] = start + size
    assert {
        (partition, offset)
        for partition in (0, 1)
        for offset in range(ends[partition] + 2)
        if places.has(partition, offset)
    } == known
    assert list(places.each()) == sorted(known)
