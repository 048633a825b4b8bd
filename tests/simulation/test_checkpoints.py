"""Checkpoints of many partitions are not made in one turn: each is some work, and they all come at once otherwise."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest

from consumer.core.journal.lane import Lane
from consumer.core.pipeline import Pipeline
from consumer.core.terms import Now, Partition
from consumer.service.service import CHECKPOINT_EVERY_SECONDS
from tests.simulation.faults import NONE
from tests.simulation.play import played
from tests.simulation.scenario import scenario_of

LONG_WORLD = 10


def test_each_partition_has_its_checkpoint_in_time_and_not_together_with_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted: list[tuple[float, list[Partition]]] = []
    want = Pipeline.want_checkpoints

    def watched(self: Pipeline, now: Now, *, of: Iterable[Lane] | None = None) -> None:
        lanes = None if of is None else list(of)
        if lanes is not None:
            wanted.append((now.steady, [lane.partition for lane in lanes]))
        want(self, now, of=lanes)

    monkeypatch.setattr(Pipeline, "want_checkpoints", watched)
    played(replace(scenario_of(LONG_WORLD), chances=NONE, blows=(), processes=1))
    partitions = wanted[0][1]
    assert len(partitions) > 1, "at first they are not known yet"
    assert len(wanted) > 4
    for (before_at, before), (at, lanes) in pairwise(wanted[1:]):
        assert len(before) == len(lanes) == 1
        assert before != lanes
        assert at - before_at == pytest.approx(CHECKPOINT_EVERY_SECONDS / len(partitions), abs=0.01)
