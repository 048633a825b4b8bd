"""The watermark: what may be committed, against the plainest model of it."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.watermark import Watermark
from consumer.core.terms import Offset


@dataclass
class Model:
    """Every offset that was read, and every one that is done."""

    start: int
    read: list[int] = field(default_factory=list)
    passed: int = 0
    """Behind the last record read, up to here, stands nothing that may be read."""
    done: set[int] = field(default_factory=set)

    @property
    def position(self) -> int:
        return max(self.read[-1] + 1 if self.read else self.start, self.passed)

    @property
    def value(self) -> int:
        return min((offset for offset in self.read if offset not in self.done), default=self.position)


@given(st.data())
def test_nothing_is_committed_past_a_record_that_is_not_done_and_everything_else_is(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 100))
    model, watermark = Model(start), Watermark(Offset(start))
    for _ in range(data.draw(st.integers(1, 25))):
        undone = sorted(set(model.read) - model.done)
        if data.draw(st.integers(0, 3)) == 0:  # the end of a transaction
            model.passed = model.position + data.draw(st.integers(0, 3))
            watermark.passed(Offset(model.passed))
        if undone and data.draw(st.integers(0, 1)) == 1:
            finished = data.draw(st.sets(st.sampled_from(undone)))
            model.done |= finished
            watermark.done([Offset(offset) for offset in finished])
        else:  # compaction and transactions leave holes
            steps = data.draw(st.lists(st.integers(1, 4), max_size=5))
            batch: list[int] = []
            for gap in steps:
                batch.append((batch[-1] if batch else model.position - 1) + gap)
            model.read += batch
            watermark.read([Offset(offset) for offset in batch])
        assert watermark.position == model.position
        assert watermark.value == model.value
        assert watermark.ahead == model.position - model.value
        assert watermark.done_above() == sorted(offset for offset in model.done if offset > model.value)


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
    assert (watermark.value, watermark.position, watermark.ahead) == (5, 7, 2)
    watermark.done([Offset(5)])
    assert watermark.value == 7
    watermark.passed(Offset(6))
    assert watermark.value == 7, "it never goes back"


def test_a_batch_that_goes_back_is_a_broken_invariant() -> None:
    watermark = Watermark(Offset(5))
    watermark.read([Offset(5), Offset(6)])
    with pytest.raises(AssertionError):
        watermark.read([Offset(6)])
