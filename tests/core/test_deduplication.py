"""Deduplication: which event IDs are known, for how long, and how many at most."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.deduplication import GENERATIONS, Deduplication
from consumer.core.terms import Instant, Offset, Partition
from tests.core.makers import EPOCH, P0, P1


def fingerprint(number: int) -> bytes:
    return number.to_bytes(16, "big")


def instant(seconds: float) -> Instant:
    return Instant(EPOCH + seconds)


def settle(deduplication: Deduplication, partition: Partition, entries: dict[bytes, Offset], at: Instant) -> None:
    deduplication.settled(partition, entries, entries.values(), at)


def known(deduplication: Deduplication, number: int, seconds: float, partition: Partition = P0) -> Offset | None:
    tables = deduplication.lookup_tables(partition, instant(seconds))
    found = [table[fingerprint(number)] for table in tables if fingerprint(number) in table]
    assert deduplication.first(partition, fingerprint(number)) == (found[0] if found else None)
    return found[0] if found else None


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3)), min_size=1, max_size=60))
def test_an_id_is_known_for_its_time_to_live_and_soon_after_no_more(steps: list[tuple[float, int]]) -> None:
    deduplication = Deduplication(ttl_seconds=60.0, max_entries=10_000)
    settled_at: dict[int, float] = {}
    time = 0.0
    for wait, count in steps:
        time += wait
        numbers = [len(settled_at) + index for index in range(count)]
        settled_at |= dict.fromkeys(numbers, time)
        settle(deduplication, P0, {fingerprint(number): Offset(number) for number in numbers}, instant(time))
        for number, since in settled_at.items():
            if time - since <= 60.0:
                assert known(deduplication, number, time) == number
            elif time - since > 60.0 * (1 + 1 / GENERATIONS) + 0.001:
                assert known(deduplication, number, time) is None


def test_an_id_is_forgotten_by_time_although_nothing_else_settles() -> None:
    deduplication = Deduplication(ttl_seconds=60.0, max_entries=10_000)
    settle(deduplication, P0, {fingerprint(1): Offset(1)}, instant(0))
    assert known(deduplication, 1, 59.0) == 1
    assert known(deduplication, 1, 80.0) is None
    assert deduplication.entries == 0


@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.sampled_from([0.0, 0.1, 20.0])), max_size=60),
)
def test_entries_stay_within_the_bound_and_the_youngest_are_kept(
    bound: int, steps: list[tuple[int, int, float]]
) -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=bound)
    time, number = 0.0, 0
    for partition, count, wait in steps:
        time += wait
        numbers = range(number, number + count)
        number += count
        name = Partition("contact-events", partition)
        settle(deduplication, name, {fingerprint(each): Offset(each) for each in numbers}, instant(time))
        assert deduplication.entries <= bound
        tables = [deduplication.lookup_tables(Partition("contact-events", each), instant(time)) for each in range(6)]
        assert sum(len(table) for each in tables for table in each) == deduplication.entries
        if 0 < count <= bound // 10:
            assert known(deduplication, numbers[-1], time, name) == numbers[-1]


def test_the_youngest_of_a_quiet_partition_outlive_older_ones_of_a_busy_one() -> None:
    """Its generation has been open for long: as old as any, though what was put into it last is not."""
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=10)
    settle(deduplication, P0, {fingerprint(1): Offset(1)}, instant(0))
    settle(deduplication, P1, {fingerprint(each): Offset(each) for each in range(2, 11)}, instant(1))
    settle(deduplication, P0, {fingerprint(11): Offset(11)}, instant(2))
    assert known(deduplication, 11, 2, P0) == 11
    assert known(deduplication, 2, 2, P1) is None


def test_a_lookup_asks_a_handful_of_tables_however_many_partitions_there_are() -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=1_000)
    for each in range(100):
        settle(deduplication, Partition("contact-events", each), {fingerprint(each): Offset(0)}, instant(0))
    for number in range(1_000, 5_000):
        settle(deduplication, P0, {fingerprint(number): Offset(number)}, instant(number / 10_000))
    assert len(deduplication.lookup_tables(P0, instant(1))) <= 2 * GENERATIONS


def test_settling_nothing_that_has_an_id_leaves_no_trace() -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=4)
    for second in range(100):
        settle(deduplication, P0, {}, instant(second * 1000))
    assert deduplication.lookup_tables(P0, instant(1)) == []


def test_partitions_do_not_know_one_anothers_ids_and_are_forgotten_apart() -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=100)
    settle(deduplication, P0, {fingerprint(1): Offset(10)}, instant(0))
    settle(deduplication, P1, {fingerprint(1): Offset(20)}, instant(0))
    assert known(deduplication, 1, 0, P0) == 10
    assert known(deduplication, 1, 0, P1) == 20
    deduplication.forget(P0)
    assert known(deduplication, 1, 0, P0) is None
    assert known(deduplication, 1, 0, P1) == 20
    assert deduplication.entries == 1


def test_the_effective_window_says_how_far_back_repeats_are_recognised() -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=8)
    assert deduplication.window_seconds(instant(0)) == 3600.0
    for number in range(40):
        settle(deduplication, P0, {fingerprint(number): Offset(number)}, instant(number))
    window = deduplication.window_seconds(instant(39))
    assert 4 <= window <= 8
    assert known(deduplication, 39 - int(window) + 1, 39) is not None
