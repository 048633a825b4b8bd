"""What is remembered of one partition's event IDs: the youngest in a dictionary, the others in pieces. Reads no clock.

Pieces that are to stand in the journal as one segment are merged some IDs at a time, for a whole segment at once keeps
the event loop for some 30 ms. Until the whole takes their place they are where their IDs are found, and what is named.
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from consumer.core.memory.segments import Segment, SegmentRef, cut, divided, first_words, joined, merged
from consumer.core.policy import MemorySizes
from consumer.core.terms import Instant, JournalOffset, Offset

LONG_AGO, NEVER = Instant(0.0), Instant(float("inf"))


@dataclass(slots=True, eq=False, kw_only=True)
class Piece:
    """A segment in memory."""

    ids: Segment
    words: "array[int]"
    """What its fingerprints begin with."""
    colours: int
    """Those of the filter in which they are painted, as bits."""
    stands: JournalOffset | None = None
    """Where it stands in the journal; None where it is to be written, or on its way."""
    covers_to: JournalOffset | None = None
    """The outcomes below are in this piece or in earlier ones; None where that is said by a later one."""
    replaces: tuple[SegmentRef, ...] = ()
    """What it was merged from: named by checkpoints until it is proven itself."""

    def named(self) -> tuple[SegmentRef, ...]:
        """Return how a checkpoint names it."""
        if self.stands is None:
            return self.replaces
        return (SegmentRef(stands=self.stands, count=len(self.ids), since=self.ids.since, until=self.ids.until),)


class Merging:
    """Pieces on their way into one, oldest first, in the order of what their fingerprints begin with."""

    def __init__(self, group: Sequence[Piece]) -> None:
        self.group = group
        self._starts = [0] * len(group)
        """By piece, how many of its IDs are merged."""
        self._parts: list[Segment] = []

    def step(self, most: int) -> Piece | None:
        """Merge some IDs more, `most` or hardly more where many begin alike; return the whole once all are in it."""
        starts, self._starts = self._starts, self._stops(most)
        spans = zip(self.group, starts, self._starts, strict=True)
        self._parts.append(merged([cut(piece.ids, start, stop) for piece, start, stop in spans if start < stop]))
        if any(start < len(piece.ids) for piece, start in zip(self.group, self._starts, strict=True)):
            return None
        return self._whole()

    def _stops(self, most: int) -> list[int]:
        """Return how far the next step goes in each piece: in all to the same word, in none beyond its share of `most`."""
        rest = [(piece.words, start) for piece, start in zip(self.group, self._starts, strict=True)]
        left = sum(len(words) - start for words, start in rest)
        lasts = [(words, start - 1 + max(1, most * (len(words) - start) // left)) for words, start in rest]
        bound = min((words[last] for words, last in lasts if last + 1 < len(words)), default=None)
        return [len(words) if bound is None else bisect_right(words, bound, start) for words, start in rest]

    def _whole(self) -> Piece:
        ids, colours = joined(self._parts), 0
        for piece in self.group:
            colours |= piece.colours
        return Piece(
            ids=ids,
            words=first_words(ids.fingerprints),
            colours=colours,  # its IDs are painted already
            covers_to=max((piece.covers_to for piece in self.group if piece.covers_to is not None), default=None),
            replaces=tuple(ref for piece in self.group for ref in piece.named()),
        )


@dataclass(slots=True, eq=False)
class PartitionMemory:
    """What is remembered of one partition."""

    pieces: list[Piece] = field(default_factory=list)
    """Oldest first."""
    fresh: dict[bytes, Offset] = field(default_factory=dict)
    since: Instant = NEVER
    """When the first of the fresh ones was settled."""
    until: Instant = LONG_AGO
    fresh_to: JournalOffset | None = None
    """The outcomes below are in the fresh ones or in pieces; None where nothing has settled yet."""
    upto: JournalOffset | None = None
    """Outcomes below stand in written pieces; None until the partition is taken over."""
    unwritten: int = 0
    """IDs in pieces that do not stand in the journal yet."""
    merging: Merging | None = None
    merged: Piece | None = None
    """What was merged last, where it is to be written next."""
    writing: Piece | None = None
    forgotten: Instant | None = None
    """Of what was settled at or before this, something was forgotten before its time."""

    def count(self) -> None:
        """The pieces are others than before."""
        self.unwritten = sum([len(piece.ids) for piece in self.pieces if piece.stands is None])

    def drop(self, piece: Piece) -> None:
        """Forget a piece, and what was begun with it."""
        self.pieces.remove(piece)
        self.count()
        if self.merging is not None and piece in self.merging.group:
            self.merging = None
        if self.merged is piece:
            self.merged = None

    def drop_fresh(self) -> None:
        """Forget what stands in no piece."""
        self.fresh, self.since, self.until = {}, NEVER, LONG_AGO

    def merge_some(self, most: int) -> int:
        """Merge some IDs more of what is on its way into one piece; return how many of them stood twice, at its end."""
        merging = self.merging
        if merging is None or (whole := merging.step(most)) is None:
            return 0
        group = merging.group
        at = self.pieces.index(group[0])
        self.pieces[at : at + len(group)] = [whole]
        self.merging, self.merged = None, whole
        self.count()
        return sum(len(piece.ids) for piece in group) - len(whole.ids)

    def divide(self, most: int) -> None:
        """Divide what a smaller append has to carry than it was packed for."""
        for piece in [piece for piece in self.pieces if piece.stands is None and len(piece.ids) > most]:
            parts = [
                Piece(ids=ids, words=first_words(ids.fingerprints), colours=piece.colours)
                for ids in divided(piece.ids, most)
            ]
            parts[-1].covers_to, parts[-1].replaces = piece.covers_to, piece.replaces
            at = self.pieces.index(piece)
            self.pieces[at : at + 1] = parts
        self.merged = None

    def group(self, most: int, *, span_seconds: float, sizes: MemorySizes) -> list[Piece]:
        """Return the oldest piece that is not written, and those to be written in one with it, oldest first.

        Before it, the small ones that stand right before it, where they are many; behind it, what is not written
        either, as far as one segment and `span_seconds` reach.
        """
        pieces = self.pieces
        first = next((index for index, piece in enumerate(pieces) if piece.stands is None), len(pieces))
        group = pieces[first : first + 1]
        for piece in pieces[first + 1 :]:
            if piece.stands is not None or not _fits([*group, piece], most, span_seconds):
                break
            group.append(piece)
        small: list[Piece] = []
        for piece in reversed(pieces[:first]):
            if not _fits([piece, *small, *group], most, span_seconds):
                break
            small.insert(0, piece)
        many = len(small) >= sizes.small_segments
        return [*small, *group] if group and small and many else group


def _fits(group: list[Piece], most: int, span_seconds: float) -> bool:
    span = max(piece.ids.until for piece in group) - min(piece.ids.since for piece in group)
    return sum(len(piece.ids) for piece in group) <= most and span <= span_seconds
