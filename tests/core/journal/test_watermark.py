"""The watermark: what may be committed, against the plainest model of it."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.offset_ranges import OffsetRanges
from consumer.core.journal.watermark import Watermark
from consumer.core.terms import Offset


@dataclass
class Model:
    """Every offset that was read, every one that is parked, and every one that is done."""

    start: int
    read: set[int] = field(default_factory=set)
    parked: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    position: int = 0

    @property
    def value(self) -> int:
        return min((self.read - self.done) | self.parked, default=self.position)


def offsets(wanted: set[int]) -> list[Offset]:
    return [Offset(offset) for offset in sorted(wanted)]


def come(data: st.DataObject, model: Model, watermark: Watermark) -> None:
    """A batch comes, with the holes that compaction and transactions leave; some of it is parked."""
    at = model.position
    for gap, is_parked in data.draw(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=6)):
        offset = at + gap - 1
        if is_parked:
            watermark.park(Offset(offset), Offset(offset + 1))
            model.parked.add(offset)
        else:
            watermark.read([Offset(offset)])
            model.read.add(offset)
        at = model.position = offset + 1


def come_again(data: st.DataObject, model: Model, watermark: Watermark) -> None:
    """A part of what is parked is read again: some of it is taken, some is gone, the rest stays parked."""
    start = data.draw(st.sampled_from(sorted(model.parked)))
    stop = start + data.draw(st.integers(1, 10))
    seen = {offset for offset in model.parked if start <= offset < stop}
    taken = data.draw(st.sets(st.sampled_from(sorted(seen))))
    gone = data.draw(st.sets(st.sampled_from(sorted(seen)))) - taken
    stay = seen - taken - gone
    watermark.read_again(Offset(start), Offset(stop), offsets(taken), _runs(seen, stay))
    model.parked -= taken | gone
    model.read |= taken


def _runs(seen: set[int], stay: set[int]) -> OffsetRanges:
    """What stays, as runs of those who were seen: they know nothing of what stands between them and was not."""
    runs, since = OffsetRanges(), None
    for offset in sorted(seen):
        since = (offset if since is None else since) if offset in stay else None
        if since is not None:
            runs.add(since, offset + 1)
    return runs


@given(st.data())
def test_nothing_is_committed_past_a_record_that_is_not_done_and_everything_else_is(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 100))
    model, watermark = Model(start, position=start), Watermark(Offset(start))
    for _ in range(data.draw(st.integers(1, 25))):
        undone = sorted(model.read - model.done)
        if data.draw(st.integers(0, 3)) == 0:  # the end of a transaction
            model.position += data.draw(st.integers(0, 3))
            watermark.passed(Offset(model.position))
        step = data.draw(st.integers(0, 3))
        if undone and step == 0:
            finished = data.draw(st.sets(st.sampled_from(undone)))
            model.done |= finished
            watermark.done(offsets(finished))
        elif undone and step == 3:
            back = data.draw(st.sets(st.sampled_from(undone)))
            watermark.park_again(offsets(back))
            model.read -= back
            model.parked |= back
        elif model.parked and step == 1:
            come_again(data, model, watermark)
        else:
            come(data, model, watermark)
        assert watermark.position == model.position
        assert watermark.value == model.value
        assert watermark.unread == min(model.parked, default=model.position)
        waited_for = (model.read - model.done) | model.parked
        done = watermark.done_above()
        assert {offset for offset in model.done if offset >= model.value} <= {*_all(done)}
        assert not waited_for & {*_all(done)}
        assert all(model.value < first < end <= model.position for first, end in done)
        assert watermark.ahead <= len(model.read) + len(model.parked)


def _all(done: OffsetRanges) -> list[int]:
    return [offset for first, end in done for offset in range(first, end)]


def test_a_hole_behind_the_last_record_is_not_waited_for() -> None:
    watermark = Watermark(Offset(5))
    watermark.read([Offset(9)])
    assert watermark.value == 9
    watermark.done([Offset(9)])
    assert watermark.value == 10


def test_what_nobody_may_read_behind_the_last_record_is_passed_once_that_is_done() -> None:
    watermark = Watermark(Offset(5))
    watermark.read([Offset(5)])
    watermark.passed(Offset(7))
    assert (watermark.value, watermark.position) == (5, 7)
    watermark.done([Offset(5)])
    assert watermark.value == 7
    watermark.passed(Offset(6))
    assert watermark.value == 7, "it never goes back"


def test_a_batch_that_goes_back_is_a_broken_invariant() -> None:
    watermark = Watermark(Offset(5))
    watermark.read([Offset(5), Offset(6)])
    with pytest.raises(AssertionError):
        watermark.read([Offset(6)])


def test_ten_million_records_that_are_done_above_a_parked_one_cost_as_much_as_a_few() -> None:
    watermark = Watermark(Offset(0))
    watermark.park(Offset(0), Offset(1))
    for first in range(1, 10_000_001, 1_000_000):
        batch = [Offset(first), Offset(first + 999_999)]
        watermark.read(batch)
        watermark.done(batch)
    assert watermark.value == 0
    assert watermark.ahead == 1
    assert watermark.done_above().flat() == [1, 10_000_001]
