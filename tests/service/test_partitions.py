"""Partitions that come, go and are lost: what is claimed when. No broker, no clock."""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from consumer.core.pipeline import Pipeline
from consumer.core.policy import Policies
from consumer.core.terms import Partition
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.inbox import Inbox
from consumer.service.partitions import Partitions
from consumer.service.ports import EventsConsumer
from consumer.service.takeover import Takeover
from tests.core.makers import P0, P1, Names, at, make_claim


@dataclass
class Group:
    """The group as its client sees it, and a service's partitions in it."""

    given: frozenset[Partition] = frozenset({P0, P1})

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(Policies(), group="g", random_source=Names().random_source())
        self.inbox = Inbox()
        clock = SimpleNamespace(now=lambda: at(0))
        self.partitions = Partitions(
            pipeline=self.pipeline,
            consumer=cast("EventsConsumer", SimpleNamespace(assignment=lambda: self.given)),
            inbox=self.inbox,
            tasks=asyncio.TaskGroup(),
            takeover=cast("Takeover", None),  # nothing gets so far here
            clock=clock,
            jitter=lambda: 0.0,
            identity=lambda _now: make_claim("me"),
            facts=Telemetry(clock=clock, version="0"),
        )

    def gives(self) -> None:
        self.partitions.on_assigned(sorted(self.given))
        self.applies()

    def applies(self) -> None:
        for fact in self.inbox.take():
            fact(at(0))


async def test_a_lost_partition_is_not_claimed_again_while_the_group_takes_all_back() -> None:
    """Its client has it until the hand-over is done; a lane made meanwhile would outlive the position it reads from."""
    group = Group()
    group.gives()
    group.pipeline.drop(P0)  # lost to another claim
    assert group.partitions.hand_back() == [P1]
    group.partitions.claim(P0)
    group.applies()
    assert set(group.pipeline.lanes) == {P1}

    group.partitions.forget([P1])
    group.gives()
    assert set(group.pipeline.lanes) == {P0, P1}


async def test_a_lost_partition_that_is_still_ours_is_claimed_again() -> None:
    group = Group()
    group.gives()
    lost = group.pipeline.lanes[P0]
    group.pipeline.drop(P0)
    group.partitions.claim(P0)
    group.applies()
    assert group.pipeline.lanes[P0] is not lost
