"""An urgent topic that is late is told after seconds, whatever else there is; where there is none, nobody speaks of it."""

from dataclasses import replace

import pytest

from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Partition
from consumer.service.lateness import late_seconds, urgent_late_seconds
from consumer.service.sending import waiting_events
from consumer.service.verdict import ServiceVerdict, Standing, VerdictCause, verdict_of
from tests.core.makers import P0, at
from tests.core.runner import OK, Runner

URGENT = Partition("codes", 1)
WINDOW_SECONDS = 3_600.0
"""Immediate events do not wait for it."""
SLOW = Policies(default=CampaignPolicy(window_seconds=WINDOW_SECONDS), urgent_topics=frozenset({URGENT.topic}))


def runner_before_a_hanging_platform() -> Runner:
    runner = Runner(policies=SLOW, partitions=(P0, URGENT))
    runner.feed(runner.event(campaignId=9, priority="immediate"))
    runner.run()
    runner.platform = lambda _request: (OK, 1_000.0)
    return runner


def verdict_after(runner: Runner, seconds: float, *, unread_ms: int | None = None) -> ServiceVerdict:
    end = runner.time + seconds
    runner.run(until=end)
    runner.time = end
    runner.hear()
    pipeline, now = runner.pipeline, at(end)
    late = late_seconds(pipeline, runner.policies, now, unread=lambda _lane: unread_ms)
    urgent_late = urgent_late_seconds(pipeline, runner.policies, now, unread=lambda _lane: unread_ms)
    standing = Standing(waiting=waiting_events(pipeline), late_seconds=late, urgent_late_seconds=urgent_late)
    return verdict_of(standing, (), now)


def causes(verdict: ServiceVerdict) -> set[VerdictCause]:
    return {trouble.cause for trouble in verdict.troubles}


@pytest.mark.parametrize("where", ["in hand", "unread"])
def test_an_event_of_an_urgent_topic_is_late_after_five_seconds(where: str) -> None:
    runner = runner_before_a_hanging_platform()
    unread_ms = None
    if where == "in hand":
        runner.feed(runner.event(campaignId=2), partition=URGENT)
    else:
        unread_ms = int(at(runner.time).wall * 1000)
    assert causes(verdict_after(runner, 4.0, unread_ms=unread_ms)) == set()
    late = verdict_after(runner, 2.0, unread_ms=unread_ms)
    assert (causes(late), late.grade) == ({VerdictCause.URGENT_BEHIND}, "warn")
    assert "urgent topics 6 s behind since" in late.sentence
    very_late = verdict_after(runner, 25.0, unread_ms=unread_ms)
    assert VerdictCause.URGENT_BEHIND in causes(very_late)
    assert very_late.grade == "bad"


def test_events_of_other_topics_are_not_judged_by_the_urgent_ones_measure() -> None:
    runner = runner_before_a_hanging_platform()
    runner.feed(runner.event(campaignId=2, priority="immediate"))
    assert causes(verdict_after(runner, 20.0)) == set()


def test_an_event_of_an_urgent_topic_that_may_wait_for_its_window_is_not_late_meanwhile() -> None:
    runner = runner_before_a_hanging_platform()
    runner.feed(runner.event(campaignId=2, priority="normal"), partition=URGENT)
    assert causes(verdict_after(runner, 600.0)) == set()


def test_where_there_is_no_urgent_topic_nothing_is_said_of_any() -> None:
    runner = Runner(policies=replace(SLOW, urgent_topics=frozenset()))
    assert urgent_late_seconds(runner.pipeline, runner.policies, at(0.0), unread=lambda _lane: 0) is None
