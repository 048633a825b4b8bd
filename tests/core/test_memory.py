"""What is held is charged: whatever events wait in, the buffer's bytes are no less than what they take."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from consumer.core.platform.answer import Answer
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Partition
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import P0, at
from tests.core.runner import OK, Request, Runner

EVENTS = 3_000
BATCH = 500

AT_MOST = 1.25
"""Bytes held by each byte that is charged; the records' own bytes apart, which go when they are decoded. Above 1 are
the first thousands of campaigns alone: the decoder knows so many by heart, whatever is held of them."""

Shape = Callable[[Runner, int], dict[str, Any]]

SHAPES: dict[str, Shape] = {
    "one campaign": lambda runner, index: runner.event(phone=phone(index)),
    "a campaign each": lambda runner, index: runner.event(phone=phone(index), campaignId=index + 1),
    "a group of options each": lambda runner, index: runner.event(
        phone=phone(index), send={"originData": {"number": index}}
    ),
    "one person": lambda runner, _index: runner.event(),
    "two events of each person": lambda runner, index: runner.event(phone=phone(index // 2)),
    "an urgent campaign each": lambda runner, index: runner.event(
        phone=phone(index), campaignId=index + 1, priority="immediate"
    ),
}


def phone(index: int) -> str:
    return f"+346{index:08}"


def traced(offset: int) -> list[tuple[str, bytes]]:
    """Every third record belongs to a trace; its headers' bytes are its own."""
    return (
        []
        if offset % 3
        else [("traceparent", b"00-%032x-%016x-01" % (offset + 1, offset + 1)), ("tracestate", b"a=%d" % offset)]
    )


def silent(_request: Request) -> tuple[Answer, float]:
    """A platform that takes its time: what is out stays out."""
    return OK, 1e9


def measured(shape: Shape, policy: CampaignPolicy, partitions: list[Partition]) -> float:
    """Return bytes held by byte charged, when so many events are in hand."""
    runner = Runner(policies=Policies(default=policy, keeps_traces=True), platform=silent, partitions=partitions)
    runner.pipeline.access.accepted(1, at(0))
    lane = runner.pipeline.lanes[P0]
    values = [orjson.dumps(shape(runner, index)) for index in range(EVENTS)]
    records = [WildRecord(value=value, offset=offset, headers=traced(offset)) for offset, value in enumerate(values)]
    tracemalloc.start()
    try:
        for start in range(0, EVENTS, BATCH):
            runner.pipeline.fetched(lane, records[start : start + BATCH], at(1.0))
            runner.pipeline.turn(at(1.0))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert runner.pipeline.buffer.held_events == EVENTS
    return held_bytes / runner.pipeline.buffer.held_bytes


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(
    "policy",
    [
        CampaignPolicy(window_seconds=60.0),
        CampaignPolicy(window_seconds=0.0),
        CampaignPolicy(window_seconds=0.0, max_contacts=1),
    ],
    ids=["in open windows", "in queued sends", "in sends of one"],
)
def test_events_take_no_more_than_they_are_charged_with(shape: Shape, policy: CampaignPolicy) -> None:
    assert 0.25 < measured(shape, policy, [P0]) <= AT_MOST


def test_what_is_charged_is_let_go_with_the_last_event() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=1.0)))
    runner.feed(*[runner.event(phone=phone(index), campaignId=index + 1) for index in range(50)])
    assert runner.pipeline.buffer.held_bytes > 50 * 900
    runner.run()
    assert runner.pipeline.buffer.held_bytes == 0
