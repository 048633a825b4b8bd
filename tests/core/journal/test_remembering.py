"""Event IDs across owners: what is remembered is what a plain dictionary remembers.

In whatever order they settle, expire, are packed, merged and taken over.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from consumer.core.journal.entries import Checkpoint, Entry, Intent, Outcome, Settled, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.memory.deduplication import BYTES_AN_ID, GENERATIONS, Deduplication, Recalled
from consumer.core.memory.pieces import Piece
from consumer.core.memory.segments import MemorySummary, Segment, first_words, merged, packed
from consumer.core.outcome import Status, Verdict
from consumer.core.policy import MemorySizes, Policies
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.journal.replaying import Values, reading
from tests.core.makers import EPOCH, P0, make_claim

TTL = 60.0
PRINTS = st.binary(min_size=16, max_size=16)


def fingerprint(number: int) -> bytes:
    return (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") + number.to_bytes(8, "big")


@given(st.lists(st.dictionaries(PRINTS, st.integers(0, 2**56).map(Offset), min_size=1, max_size=30), min_size=1))
def test_packed_and_merged_ids_are_found_at_their_offsets_and_no_others_are(
    batches: list[dict[bytes, Offset]],
) -> None:
    segments = [packed(ids, since=Instant(1.0 + step), until=Instant(2.0 + step)) for step, ids in enumerate(batches)]
    whole = merged(segments)
    assert (whole.since, whole.until) == (1.0, 1.0 + len(batches))
    expected: dict[bytes, Offset] = {}
    for ids in reversed(batches):
        expected |= ids
    assert dict(whole.items()) == expected
    assert len(whole) == len(expected)
    words = first_words(whole.fingerprints)
    assert list(words) == sorted(words)
    for prints, offset in expected.items():
        word = int.from_bytes(prints[:4], "big")
        assert whole.find(words, word, prints) == offset
        other = prints[:15] + bytes([prints[15] ^ 1])
        assert whole.find(words, word, other) == expected.get(other)


@given(st.dictionaries(PRINTS, st.integers(0, 2**56).map(Offset), min_size=1, max_size=30))
def test_a_segment_reads_back_as_it_was_written(ids: dict[bytes, Offset]) -> None:
    entry = packed(ids, since=Instant(1.5), until=Instant(2.5))
    placed = decode(JournalOffset(7), encode(entry, JournalOffset(7)))
    assert placed.counts
    assert placed.entry == entry


def test_segments_on_their_way_into_one_are_named_until_that_one_is_proven() -> None:
    """Else who takes over between the two would remember nothing of what stands in them."""
    memory = Deduplication(ttl_seconds=TTL, max_entries=1_000, sizes=MemorySizes(tail_entries=1, small_segments=1))
    memory.begin(P0, Recalled(upto=JournalOffset(0)))
    memory.settled(P0, [fingerprint(1)], [Offset(1)], Instant(EPOCH))
    first = memory.to_write(P0, JournalOffset(1))
    assert first is not None
    memory.written(P0, first, JournalOffset(1))
    memory.settled(P0, [fingerprint(2)], [Offset(2)], Instant(EPOCH + 1))
    assert memory.to_write(P0, JournalOffset(3)) is None
    half_packed = memory.memory(P0)
    assert memory.pack_some()
    both = memory.to_write(P0, JournalOffset(3))
    assert both is not None
    assert len(both.ids) == 2
    for meanwhile in (half_packed, memory.memory(P0)):
        assert meanwhile is not None
        assert ([ref.stands for ref in meanwhile.segments], meanwhile.upto) == ([1], 1)
    memory.written(P0, both, JournalOffset(3))
    after = memory.memory(P0)
    assert after is not None
    assert ([ref.stands for ref in after.segments], after.upto) == ([3], 3)


@dataclass
class Owner:
    """One owner's memory, with the journal that it shares with those before and after it."""

    memory: Deduplication
    journal: list[bytes] = field(default_factory=list)

    @property
    def end(self) -> JournalOffset:
        return JournalOffset(len(self.journal))

    def say(self, entry: Entry) -> JournalOffset:
        self.journal.append(encode(entry, self.end))
        return JournalOffset(self.end - 1)

    def values(self) -> Values:
        return [(JournalOffset(offset), value) for offset, value in enumerate(self.journal)]


class Remembering(RuleBasedStateMachine):
    """Settles, waits, writes segments and checkpoints, and hands over, at any point of it."""

    @initialize(
        segment_ids=st.integers(1, 9),
        run_ids=st.integers(1, 5),
        tail=st.sampled_from([1, 4, 30]),
        small=st.integers(1, 4),
        snapshots=st.booleans(),
    )
    def begin(self, segment_ids: int, run_ids: int, tail: int, small: int, snapshots: bool) -> None:  # noqa: FBT001  # drawn
        self.now = 0.0
        self.settled_at: dict[int, float] = {}
        self.knows_segments = snapshots
        sizes = MemorySizes(segment_ids=segment_ids, run_ids=run_ids, tail_entries=tail, small_segments=small)
        self.policies = Policies(deduplication_ttl_seconds=TTL, memory_sizes=sizes)
        self.room_bytes = 10_000
        self.owner = Owner(self._new())
        self._take_over()

    def _new(self) -> Deduplication:
        return Deduplication(ttl_seconds=TTL, max_entries=100_000, sizes=self.policies.memory_sizes)

    @property
    def wall(self) -> Instant:
        return Instant(EPOCH + self.now)

    @rule(count=st.integers(1, 12), is_new=st.booleans())
    def settle(self, count: int, is_new: bool) -> None:  # noqa: FBT001  # drawn
        first = len(self.settled_at) if is_new or not self.settled_at else 0
        numbers = [number for number in range(first, first + count) if number not in self.settled_at]
        self.settled_at |= dict.fromkeys(numbers, self.now)
        offsets = tuple(Offset(1_000 + number) for number in numbers)
        prints = [fingerprint(number) for number in numbers]
        settled = Settled(
            verdict=Verdict(status=Status.ACCEPTED, completed_at=self.wall),
            offsets=offsets,
            received=tuple(self.wall for _ in offsets),
            fingerprints=b"".join(prints),
        )
        stands = self.owner.say(Outcome(send_id=None, settled=(settled,)))
        self.owner.memory.settled(P0, prints, offsets, self.wall, stands=stands)

    @rule(count=st.integers(1, 9))
    def try_in_vain(self, count: int) -> None:
        for _ in range(count):
            intent = Intent(send_id=SendId("s"), attempt=1, campaign_id=1, offsets=(), intended_at=self.wall)
            self.owner.say(intent)

    @rule(seconds=st.sampled_from([0.1, 3.0, 14.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(times=st.integers(1, 3))
    def pack(self, times: int) -> None:
        for _ in range(times):
            self.owner.memory.pack_some()

    @rule(others=st.integers(0, 3))
    def write(self, others: int) -> None:
        """A segment is appended and proven; other entries ride on the append behind it."""
        self._write(others)

    def _write(self, others: int) -> Piece | None:
        piece = self.owner.memory.to_write(P0, self.owner.end, room_bytes=self.room_bytes)
        if piece is not None:
            assert len(piece.ids) * BYTES_AN_ID <= max(BYTES_AN_ID, self.room_bytes)
            stands = self.owner.say(piece.ids)
            self.owner.memory.written(P0, piece, stands)
            if others:
                self.try_in_vain(others)
        return piece

    @rule()
    def write_everything(self) -> None:
        steps = (self._write(0) is not None or self.owner.memory.pack_some() for _ in range(400))
        assert not all(steps), "it never has enough"
        memory = self.owner.memory.memory(P0)
        assert memory is not None
        assert self.owner.end - memory.upto < self.policies.memory_sizes.tail_entries

    @rule()
    def snapshot(self) -> None:
        self.owner.memory.expire(self.wall)
        self._snapshot(self.owner.memory.memory(P0))

    def _snapshot(self, memory: MemorySummary | None) -> None:
        checkpoint = Checkpoint(
            group="g",
            watermark=Offset(0),
            settled=(),
            open_attempts=(),
            tried=(),
            unpublished=None,
            mark=None,
            memory=memory if self.knows_segments else None,
        )
        self.owner.say(checkpoint)

    @rule(landed=st.booleans(), repeats=st.integers(0, 2))
    def die_while_writing(self, landed: bool, repeats: int) -> None:  # noqa: FBT001  # drawn
        """A segment is out and its writer is gone: nobody has heard whether it landed."""
        for _ in range(repeats):
            self._write(0)
            self.owner.memory.pack_some()
        piece = self.owner.memory.to_write(P0, self.owner.end)
        if piece is not None:
            self._snapshot(self.owner.memory.memory(P0))
            if landed:
                self.owner.say(piece.ids)
        self._take_over()

    @rule(room_ids=st.integers(1, 9))
    def take_less(self, room_ids: int) -> None:
        """Somebody makes the topic's limit smaller, or larger: what is on its way does not land, and is made anew."""
        if self.owner.memory.to_write(P0, self.owner.end) is not None:
            self.owner.memory.write_anew(P0)
        self.room_bytes = room_ids * BYTES_AN_ID

    @rule()
    def hand_over(self) -> None:
        self._take_over()

    @rule()
    def upgrade(self) -> None:
        """The next owner is of a version that knows segments."""
        self.knows_segments = True
        self._take_over()

    def _take_over(self) -> None:
        owner = self.owner = Owner(self._new(), self.owner.journal)
        horizon = Instant(self.wall - TTL)
        values = owner.values()
        replay = reading(values, policies=self.policies, horizon=horizon)
        for ids, covers_to in replay.take_packed():
            owner.memory.recall(P0, ids, covers_to=covers_to)
        refs = () if replay.memory is None else replay.memory.segments
        for ref in reversed(refs):
            if ref.until >= horizon:
                entry = decode(ref.stands, owner.journal[ref.stands]).entry
                assert isinstance(entry, Segment)
                owner.memory.recall(P0, entry, stands=ref.stands)
        owner.memory.begin(P0, replay.taken_over(Offset(0)).recalled)
        owner.say(make_claim())
        self._snapshot(owner.memory.memory(P0))

    @invariant()
    def it_remembers_what_a_dictionary_would(self) -> None:
        if not hasattr(self, "settled_at"):
            return
        asked = [fingerprint(number) for number in self.settled_at]
        found = self.owner.memory.known(P0, asked, self.wall)
        for number, since in self.settled_at.items():
            first = found.get(fingerprint(number))
            if self.now - since <= TTL - 0.001:
                assert first == 1_000 + number
            elif self.now - since > TTL * (1 + 1 / GENERATIONS) + 0.001:
                assert first is None


TestRemembering: Any = Remembering.TestCase
TestRemembering.settings = settings(deadline=None, stateful_step_count=40)
