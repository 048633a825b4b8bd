"""Deduplication: which event IDs are known, for how long, and how many at most."""

from array import array

import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.core.memory.deduplication import BYTES_AN_ID, GENERATIONS, Deduplication, Recalled
from consumer.core.memory.segments import Segment, packed
from consumer.core.policy import MemorySizes
from consumer.core.terms import Instant, JournalOffset, Offset, Partition
from tests.core.makers import EPOCH, P0, P1


def fingerprint(number: int) -> bytes:
    return number.to_bytes(16, "big")


def instant(seconds: float) -> Instant:
    return Instant(EPOCH + seconds)


def settle(deduplication: Deduplication, partition: Partition, entries: dict[bytes, Offset], at: Instant) -> None:
    deduplication.settled(partition, entries, entries.values(), at)


def known(deduplication: Deduplication, number: int, seconds: float, partition: Partition = P0) -> Offset | None:
    """What is remembered of an ID that is asked for among others."""
    wanted = fingerprint(number)
    found = deduplication.known(partition, [fingerprint(2**100), wanted, fingerprint(2**101)], instant(seconds))
    assert set(found) <= {wanted}
    return found.get(wanted)


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
@example(20, [(2, 20, 0.0), (2, 2, 0.0)])
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
        asked = [fingerprint(each) for each in range(number)]
        found = [deduplication.known(Partition("contact-events", each), asked, instant(time)) for each in range(6)]
        assert sum(map(len, found)) == deduplication.entries
        if 0 < count <= bound // 10:
            assert known(deduplication, numbers[-1], time, name) == numbers[-1]


@given(
    st.lists(
        st.tuples(st.sampled_from([P0, P1]), st.integers(0, 9), st.integers(1, 30), st.integers(0, 3)),
        min_size=40,
        max_size=60,
    ),
    st.integers(1, 6),
    st.sampled_from([96, 192]),
)
def test_what_is_remembered_is_found_however_small_the_segments_are_and_however_much_of_one_is_packed(
    steps: list[tuple[Partition, int, int, int]], run_ids: int, bound: int
) -> None:
    sizes = MemorySizes(segment_ids=12, run_ids=run_ids, tail_entries=1, small_segments=2)
    memory = Deduplication(ttl_seconds=3_600.0, max_entries=bound, sizes=sizes)
    asked: dict[Partition, list[bytes]] = {P0: [], P1: []}
    for partition in asked:
        memory.begin(partition, Recalled(upto=JournalOffset(0)))
    for end, (partition, count, room_ids, packs) in enumerate(steps, start=1):
        now = Instant(EPOCH + end)
        new = [xxhash.xxh3_128_digest(f"{end}/{number}".encode()) for number in range(count)]
        asked[partition] += new
        memory.settled(partition, new, [Offset(end)] * count, now)
        piece = memory.to_write(partition, JournalOffset(end), room_bytes=room_ids * BYTES_AN_ID)
        if piece is not None:
            memory.written(partition, piece, JournalOffset(end))
        for _ in range(packs):
            memory.pack_some()
        assert sum(len(memory.known(one, prints, now)) for one, prints in asked.items()) == memory.entries


def half_packed(*partitions: Partition) -> Deduplication:
    """Eight IDs of each, two of them settled twice, on their way into one segment."""
    sizes = MemorySizes(segment_ids=8, run_ids=2, tail_entries=1)
    memory = Deduplication(ttl_seconds=3_600.0, max_entries=1_000, sizes=sizes)
    for partition in partitions:
        memory.begin(partition, Recalled(upto=JournalOffset(0)))
        for number in range(8):
            memory.settled(partition, [random_print(number % 6)], [Offset(number)], instant(number))
        assert memory.to_write(partition, JournalOffset(8)) is None
    assert memory.pack_some()
    return memory


def test_a_partition_that_goes_away_half_packed_takes_nothing_of_the_others_along() -> None:
    memory = half_packed(P0, P1)
    memory.forget(P0)
    assert memory.entries == 8
    while memory.pack_some():
        assert len(memory.known(P1, [random_print(number) for number in range(8)], instant(8))) == 6
    piece = memory.to_write(P1, JournalOffset(8))
    assert piece is not None
    assert len(piece.ids) == memory.entries == 6
    assert memory.known(P1, [random_print(1)], instant(8)) == {random_print(1): 1}, "the first one's offset"


def test_what_is_too_old_is_forgotten_although_it_is_half_packed() -> None:
    memory = half_packed(P0)
    memory.expire(instant(7_300))
    assert memory.entries == 0
    memory.settled(P0, [random_print(9)], [Offset(9)], instant(7_301))
    while memory.pack_some():
        pass
    assert memory.entries == 1
    assert memory.known(P0, [random_print(number) for number in range(10)], instant(7_302)) == {random_print(9): 9}


def test_outcomes_are_read_no_more_from_the_last_on_whose_ids_are_written() -> None:
    sizes = MemorySizes(segment_ids=4, run_ids=2)
    memory = Deduplication(ttl_seconds=3_600.0, max_entries=1_000, sizes=sizes)
    memory.begin(P0, Recalled(upto=JournalOffset(0)))
    for stands in (5, 9, 12):
        new = [random_print(stands), random_print(stands + 1)]
        memory.settled(P0, new, [Offset(0), Offset(1)], instant(0), stands=JournalOffset(stands))
    assert memory.to_write(P0, JournalOffset(20)) is None
    while memory.pack_some():
        pass
    piece = memory.to_write(P0, JournalOffset(21))
    assert piece is not None
    memory.written(P0, piece, JournalOffset(21))
    summary = memory.memory(P0)
    assert summary is not None
    assert summary.upto == 10


def test_no_turn_packs_more_than_a_few_ids_however_many_there_are_in_a_segment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole segment at once kept the event loop for 30 ms, and those of several partitions come together."""
    sorted_ids: list[int] = []

    def watched(ids: dict[bytes, Offset], *, since: Instant, until: Instant) -> Segment:
        sorted_ids.append(len(ids))
        return packed(ids, since=since, until=until)

    for module in ("deduplication", "segments"):
        monkeypatch.setattr(f"consumer.core.memory.{module}.packed", watched)
    sizes = MemorySizes(segment_ids=3_000, run_ids=200)
    memory = Deduplication(ttl_seconds=3_600.0, max_entries=100_000, sizes=sizes)
    tail = {random_print(number): Offset(number) for number in range(2_000)}
    recalled = Recalled(upto=JournalOffset(0), ids=tail, since=instant(0), until=instant(1))
    memory.begin(P0, recalled)
    assert memory.pack_some(), "what a take-over brings is packed before it ages"
    packs, written = 0, 0
    for end in range(2_000, 20_000, 50):
        batch = range(end, end + 50)
        sorted_ids.clear()
        memory.settled(P0, [random_print(each) for each in batch], [Offset(each) for each in batch], instant(end / 100))
        packs += memory.pack_some()
        assert memory.entries == end + 50
        piece = memory.to_write(P0, JournalOffset(end))
        if piece is not None:
            memory.written(P0, piece, JournalOffset(end))
            written += len(piece.ids)
            assert len(piece.ids) > 2_700
        assert sum(sorted_ids) < 600, "a run, a step, and what was fresh when enough was remembered"
    assert packs > 100
    assert written > 15_000


def test_the_oldest_go_first_of_whichever_partition() -> None:
    """The youngest of a quiet partition outlive older ones of a busy one, and its older ones do not outlive those."""
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=10)
    settle(deduplication, P0, {fingerprint(1): Offset(1)}, instant(0))
    settle(deduplication, P1, {fingerprint(each): Offset(each) for each in range(2, 11)}, instant(1))
    settle(deduplication, P0, {fingerprint(11): Offset(11)}, instant(2))
    assert known(deduplication, 11, 2, P0) == 11
    assert known(deduplication, 1, 2, P0) is None
    assert known(deduplication, 2, 2, P1) == 2
    settle(deduplication, P0, {fingerprint(12): Offset(12)}, instant(3))
    assert known(deduplication, 2, 3, P1) is None
    assert known(deduplication, 11, 3, P0) == 11


def test_an_unknown_id_is_looked_for_in_hardly_any_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=20_000)
    for batch in range(200):
        numbers = [random_print(100 * batch + each) for each in range(100)]
        deduplication.settled(P0, numbers, [Offset(each) for each in range(100)], instant(batch))
    looked: list[int] = []
    find = Segment.find

    def watched(self: Segment, words: "array[int]", word: int, wanted: bytes) -> Offset | None:
        looked.append(word)
        return find(self, words, word, wanted)

    monkeypatch.setattr(Segment, "find", watched)
    asked = [random_print(each) for each in range(1_000_000, 1_001_000)]
    assert deduplication.known(P0, asked, instant(200)) == {}
    assert len(looked) < 500, "of sixteen segments, one looks into fewer than one for every second ID"
    assert len(deduplication.known(P0, [random_print(each) for each in range(20_000)], instant(200))) == 20_000


def random_print(number: int) -> bytes:
    """Sixteen bytes as evenly spread as real ones."""
    return xxhash.xxh3_128_digest(number.to_bytes(8, "big"))


def test_settling_nothing_that_has_an_id_leaves_no_trace() -> None:
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=4)
    for second in range(100):
        settle(deduplication, P0, {}, instant(second * 1000))
    assert deduplication.known(P0, [fingerprint(1)], instant(1)) == {}
    assert deduplication.entries == 0


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
    assert window == 8
    assert known(deduplication, 39 - int(window) + 1, 39) is not None
    assert known(deduplication, 39 - int(window), 39) is None


def test_an_event_of_a_quiet_partition_does_not_narrow_the_window() -> None:
    """Nothing was forgotten: that a partition remembers nothing older means that nothing older settled."""
    deduplication = Deduplication(ttl_seconds=3600.0, max_entries=8)
    for number in range(5):
        settle(deduplication, P0, {fingerprint(number): Offset(number)}, instant(number))
    settle(deduplication, P1, {fingerprint(9): Offset(1)}, instant(1000))
    assert deduplication.window_seconds(instant(1001)) == 3600.0


def test_the_window_is_whole_again_when_what_was_forgotten_would_have_been_too_old_anyway() -> None:
    deduplication = Deduplication(ttl_seconds=60.0, max_entries=2)
    for number in range(4):
        settle(deduplication, P0, {fingerprint(number): Offset(number)}, instant(number))
    assert deduplication.window_seconds(instant(4)) == 3
    assert deduplication.window_seconds(instant(61)) == 60
    deduplication.forget(P0)
    assert deduplication.window_seconds(instant(4)) == 60
