"""Merging pieces step by step: the whole is what merging them at once would have made of them."""

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.memory.pieces import Merging, Piece
from consumer.core.memory.segments import first_words, merged, packed
from consumer.core.terms import Instant, JournalOffset, Offset

PRINTS = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 40).map(lambda number: number.to_bytes(16, "big")),  # all begin alike
    st.integers(0, 200).map(lambda number: xxhash.xxh3_128_digest(number.to_bytes(2, "big"))),
)
BATCHES = st.lists(
    st.dictionaries(PRINTS, st.integers(0, 2**56).map(Offset), min_size=1, max_size=40), min_size=2, max_size=6
)


def pieces_of(batches: list[dict[bytes, Offset]]) -> list[Piece]:
    """Pieces, oldest first, each settled a second after the one before."""
    made: list[Piece] = []
    for second, ids in enumerate(batches):
        segment = packed(ids, since=Instant(1.0 + second), until=Instant(1.5 + second))
        made.append(Piece(ids=segment, words=first_words(segment.fingerprints), colours=1 << second))
    return made


@given(BATCHES, st.integers(1, 20))
def test_a_whole_made_step_by_step_is_the_one_made_at_once(batches: list[dict[bytes, Offset]], most: int) -> None:
    group = pieces_of(batches)
    merging = Merging(group)
    steps = 1
    while (whole := merging.step(most)) is None:
        steps += 1
    assert whole.ids == merged([piece.ids for piece in group])
    assert whole.words == first_words(whole.ids.fingerprints)
    assert whole.colours == 2 ** len(group) - 1, "it is looked for wherever one of them was painted"
    assert steps <= sum(map(len, batches)), "each step comes further"


def test_a_whole_covers_what_its_last_piece_that_covers_anything_does() -> None:
    group = pieces_of([{bytes([number] * 16): Offset(number)} for number in range(3)])
    group[0].covers_to, group[1].covers_to = JournalOffset(7), JournalOffset(9)
    whole = Merging(group).step(10)
    assert whole is not None
    assert whole.covers_to == 9
