"""Many offsets as few ranges: ascending, disjoint, not touching; first and past-the-end. Values only."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from consumer.core.terms import Offset


class OffsetRanges:
    """A set of offsets that costs memory by its ranges."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, flat: Sequence[int] = ()) -> None:
        """Take ranges as a checkpoint tells them: first and past-the-end, in turn, ascending."""
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in zip(flat[::2], flat[1::2], strict=True):
            self.add(start, stop)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __len__(self) -> int:
        """Return how many ranges there are."""
        return len(self._starts)

    def __contains__(self, offset: object) -> bool:
        assert isinstance(offset, int)
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._stops[at]

    def __iter__(self) -> Iterator[tuple[Offset, Offset]]:
        return ((Offset(start), Offset(stop)) for start, stop in zip(self._starts, self._stops, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OffsetRanges) and (self._starts, self._stops) == (other._starts, other._stops)

    __hash__ = None  # type: ignore[assignment] # it changes

    def __repr__(self) -> str:
        return f"OffsetRanges({self.flat()})"

    @property
    def first(self) -> Offset | None:
        """The lowest offset, None where there is none."""
        return Offset(self._starts[0]) if self._starts else None

    @property
    def stop(self) -> Offset | None:
        """One past the highest offset, None where there is none."""
        return Offset(self._stops[-1]) if self._stops else None

    def count(self) -> int:
        """Return how many offsets there are."""
        return sum(self._stops) - sum(self._starts)

    def flat(self) -> list[Offset]:
        """Return first and past-the-end of each range, in turn."""
        return [Offset(offset) for offset in chain.from_iterable(zip(self._starts, self._stops, strict=True))]

    def add(self, start: int, stop: int) -> None:
        """Add the offsets from `start` up to but without `stop`."""
        if stop <= start:
            return
        starts, stops = self._starts, self._stops
        if not starts or start > stops[-1]:  # mostly they come in order
            starts.append(start)
            stops.append(stop)
            return
        first, last = bisect_left(stops, start), bisect_right(starts, stop)
        if first < last:
            start, stop = min(start, starts[first]), max(stop, stops[last - 1])
        starts[first:last], stops[first:last] = [start], [stop]

    def cut(self, start: int, stop: int) -> None:
        """Take out the offsets from `start` up to but without `stop`."""
        starts, stops = self._starts, self._stops
        first, last = bisect_right(stops, start), bisect_left(starts, stop)
        if first >= last or stop <= start:
            return
        left = [(starts[first], start)] if starts[first] < start else []
        right = [(stop, stops[last - 1])] if stops[last - 1] > stop else []
        starts[first:last] = [one for one, _ in left + right]
        stops[first:last] = [one for _, one in left + right]

    def between(self, start: int, stop: int) -> "OffsetRanges":
        """Return what there is from `start` up to but without `stop`."""
        found = OffsetRanges()
        first, last = bisect_right(self._stops, start), bisect_left(self._starts, stop)
        for one, end in zip(self._starts[first:last], self._stops[first:last], strict=True):
            found.add(max(one, start), min(end, stop))
        return found

    def missing(self, start: int, stop: int) -> Iterator[tuple[Offset, Offset]]:
        """Yield the ranges from `start` up to but without `stop` that are not here."""
        at = start
        for one, end in self.between(start, stop):
            if at < one:
                yield Offset(at), one
            at = end
        if at < stop:
            yield Offset(at), Offset(stop)


def ranges(offsets: Iterable[Offset]) -> Iterator[Offset]:
    """Yield the ranges that sorted `offsets` make up: first and past-the-end, in turn."""
    end: int | None = None
    for offset in offsets:
        if offset != end:
            if end is not None:
                yield Offset(end)
            yield offset
        end = offset + 1
    if end is not None:
        yield Offset(end)
