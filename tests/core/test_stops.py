"""Holds and cancellations on what is in hand: unread, in a window, queued, waiting for a retry, set aside, out."""

from collections.abc import Callable
from typing import Any

import pytest

from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answer, Answered, Lost
from consumer.core.platform.control import Release
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.standstill import WaitingPlace, explain_standstill
from tests.core.makers import P0, P1, at
from tests.core.operators import Operator
from tests.core.runner import OK, Request, Runner

QUICK = Policies(default=CampaignPolicy(window_seconds=0.0))
WINDOWED = Policies(default=CampaignPolicy(window_seconds=30.0))
THROTTLED = Answered(status=429, retry_after_seconds=60.0, body=None)
CANCELLED = (Status.CANCELLED, Reason.OPERATOR)
HELD = (Status.REJECTED, Reason.HELD)


def outcome(runner: Runner, offset: int, partition: int = 0) -> tuple[Status, Reason | None] | None:
    verdict = runner.results.get((partition, offset))
    return None if verdict is None else (verdict.status, verdict.reason)


# ---------------------------------------------------------------- holds


@pytest.mark.parametrize("whose", [1, None])
def test_a_held_campaign_starts_nothing_until_it_is_released(whose: int | None) -> None:
    runner = Runner(policies=QUICK)
    operator = Operator(runner)
    operator.hold(whose)
    runner.feed(runner.event())
    runner.run(until=500)
    assert runner.requests == []
    assert explain_standstill(runner.pipeline, runner.pipeline.lanes[P0], at(runner.time)).place is WaitingPlace.HELD
    operator.release(whose)
    runner.run(until=501)
    assert [request.at for request in runner.requests] == [500.0]
    assert outcome(runner, 0) == (Status.ACCEPTED, None)


def test_other_campaigns_go_on_and_a_hold_of_everything_outlives_the_release_of_one() -> None:
    runner = Runner(policies=QUICK)
    operator = Operator(runner)
    operator.hold(1)
    runner.feed(runner.event(), runner.event(campaignId=2))
    runner.run(until=5)
    assert [request.campaign for request in runner.requests] == [2]
    operator.hold(None)
    operator.release(1)
    runner.feed(runner.event(campaignId=2, phone="+34600000009"))
    runner.run(until=9)
    assert len(runner.requests) == 1
    operator.release(None)
    runner.run(until=10)
    assert {request.campaign for request in runner.requests[1:]} == {1, 2}


@pytest.mark.parametrize("stage", ["window", "queue", "retry", "proving"])
def test_what_waits_anywhere_does_not_start_once_its_campaign_is_held(stage: str) -> None:
    answers = iter([(THROTTLED, 0.05)] if stage == "retry" else [])

    def platform(_request: Request) -> tuple[Answer, float]:
        return next(answers, (OK, 0.05))

    policies = {"window": WINDOWED, "queue": Policies(default=CampaignPolicy(window_seconds=0.0), max_concurrency=1)}
    runner = Runner(policies=policies.get(stage, QUICK), platform=platform)
    operator = Operator(runner)
    runner.feed(runner.event())
    if stage == "proving":
        runner.sick.add(P0)
    if stage == "queue":
        runner.pipeline.delivery.starting = False
    runner.run(until=1)
    before = len(runner.requests)
    operator.hold(1)
    runner.pipeline.delivery.starting = True
    runner.heal(P0)
    runner.run(until=300)
    assert len(runner.requests) == before
    operator.release(1)
    runner.run(until=400)
    assert len(runner.requests) == before + 1
    if stage == "proving":
        assert runner.withheld == ["STOPPED"]


def test_what_is_out_ends_as_it_ends() -> None:
    runner = Runner(policies=QUICK, platform=lambda _request: (OK, 5.0))
    runner.feed(runner.event())
    runner.run(until=1)
    operator = Operator(runner)
    operator.hold(1, reject=True)
    operator.cancel(campaign=1)
    runner.run(until=10)
    assert outcome(runner, 0) == (Status.ACCEPTED, None)


def test_nobody_is_asked_before_the_control_topic_is_read_nor_when_it_was_not_read_lately() -> None:
    runner = Runner(policies=QUICK, hears=False)
    runner.feed(runner.event())
    runner.run(until=30)
    assert runner.requests == []
    runner.hears = True
    runner.run(until=31)
    assert len(runner.requests) == 1
    runner.hears = False
    runner.time = 60.0
    runner.feed(runner.event(phone="+34600000009"))
    runner.run(until=90)
    assert len(runner.requests) == 1


@pytest.mark.parametrize("whose", [1, None])
def test_deadlines_go_on_and_are_kept_within_a_second(whose: int | None) -> None:
    runner = Runner(policies=QUICK)
    Operator(runner).hold(whose)
    runner.feed(runner.event(expires_in=5), runner.event(expires_in=9))  # the second waits behind its own person
    runner.run(until=6)
    assert outcome(runner, 0) == (Status.EXPIRED, Reason.DEADLINE)
    assert outcome(runner, 1) is None
    runner.run(until=10)
    assert outcome(runner, 1) == (Status.EXPIRED, Reason.DEADLINE)


@pytest.mark.parametrize("whose", [1, None])
@pytest.mark.parametrize("restarted", [False, True])
def test_time_on_hold_counts_against_neither_budget(whose: int | None, restarted: bool) -> None:  # noqa: FBT001
    answers = iter([(Answered(status=503, retry_after_seconds=None, body=None), 0.05)])
    policies = Policies(default=CampaignPolicy(window_seconds=0.0, max_age_seconds=60.0, backoff_base_seconds=30.0))
    runner = Runner(policies=policies, platform=lambda _request: next(answers, (OK, 0.05)))
    operator = Operator(runner)
    runner.feed(runner.event())
    runner.run(until=10)
    since = at(10).wall
    operator.hold(whose)
    runner.run(until=4_000)
    if restarted:
        document = runner.event()
        values = runner.journal
        runner = Runner(policies=policies, partitions=())
        runner.time, runner.journal = 4_000.0, values
        runner.take(P0)
        operator = Operator(runner)
        runner.feed(document | {"eventId": "e1", "occurredAt": document["occurredAt"]}, first=0)
        release = Release(campaign_id=whose, reason=None, operator="a", at=at(4_000).wall, held_since=since)
        operator.say(release)
    else:
        operator.release(whose)
    runner.run(until=4_100)
    assert outcome(runner, 0) == (Status.ACCEPTED, None)


@pytest.mark.parametrize("campaigns", [(1,), (1, 2)])
def test_held_events_take_half_of_the_buffer_and_no_more(campaigns: tuple[int, ...]) -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=0.0), buffer_max_events=20, read_ahead=False)
    runner = Runner(policies=policies, partitions=(P0, P1))
    operator = Operator(runner)
    for campaign in campaigns:
        operator.hold(campaign)
    per_campaign = 10 // len(campaigns)
    for campaign in campaigns:
        runner.feed(*[runner.event(campaignId=campaign, phone=f"+3460000{n:04}") for n in range(per_campaign)])
    runner.run(until=1)
    assert runner.readable() == {P1}, "the other partition is read on"
    runner.feed(runner.event(campaignId=7), partition=P1)
    runner.run(until=2)
    assert outcome(runner, 0, partition=1) == (Status.ACCEPTED, None)
    operator.release(1)
    assert runner.readable() == {P0, P1}


def test_what_is_in_hand_when_a_hold_comes_counts_and_what_settles_counts_no_more() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=30.0), buffer_max_events=4)
    runner = Runner(policies=policies)
    runner.feed(runner.event(expires_in=5), runner.event(phone="+34600000009"), runner.event(eventId="e1"))
    Operator(runner).hold(1)
    stops, lane = runner.pipeline.stops, runner.pipeline.lanes[P0]
    assert stops.held_back(lane)[0] == 3, "a repeat waits, too"
    assert runner.readable() == set()
    runner.run(until=6)
    assert stops.held_back(lane)[0] == 1
    assert runner.readable() == {P0}


# ---------------------------------------------------------------- what does not wait


def in_a_window(runner: Runner) -> None:
    runner.run(until=1)


def in_the_queue(runner: Runner) -> None:
    runner.pipeline.delivery.starting = False
    runner.run(until=40)


def set_aside(runner: Runner) -> None:
    runner.sick.add(P0)
    runner.run(until=40)
    assert not runner.pipeline.delivery.any_out


STAGES: dict[str, Callable[[Runner], None]] = {
    "window": in_a_window,
    "queue": in_the_queue,
    "set aside": set_aside,
}


@pytest.mark.parametrize("bring", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("order", ["reject", "reject all", "cancel campaign", "cancel event"])
def test_what_has_not_started_settles_at_once_wherever_it_waits(bring: Callable[[Runner], None], order: str) -> None:
    runner = Runner(policies=WINDOWED)
    operator = Operator(runner)
    runner.feed(runner.event(), runner.event(), runner.event(phone="+34600000009"))  # the second waits behind the first
    bring(runner)
    if order == "reject":
        operator.hold(1, reject=True)
    elif order == "reject all":
        operator.hold(None, reject=True)
    elif order == "cancel campaign":
        operator.cancel(campaign=1)
    else:
        operator.cancel(event="e1")
        operator.cancel(event="e2")
        operator.cancel(event="e3")
    runner.turn()
    runner.heal(P0)
    runner.run(until=runner.time + 0.5)
    assert [outcome(runner, offset) for offset in range(3)] == [HELD if "reject" in order else CANCELLED] * 3
    assert runner.requests == []


@pytest.mark.parametrize("order", ["reject", "cancel"])
def test_what_is_read_later_settles_at_the_door_as_far_as_the_order_goes(order: str) -> None:
    runner = Runner(policies=WINDOWED)
    operator = Operator(runner)
    if order == "reject":
        operator.hold(1, reject=True)
    else:
        operator.cancel(campaign=1)
    runner.feed(runner.event())
    runner.run(until=1)
    assert outcome(runner, 0) == (HELD if order == "reject" else CANCELLED)
    runner.time = 2.0
    runner.feed(runner.event(phone="+34600000009"))
    runner.run(until=100)
    assert outcome(runner, 1) == (HELD if order == "reject" else (Status.ACCEPTED, None)), "published after the order"


def test_what_waits_behind_its_own_person_settles_while_the_one_before_is_out() -> None:
    runner = Runner(policies=QUICK, platform=lambda _request: (OK, 50.0))
    runner.feed(runner.event(), runner.event())
    runner.run(until=1)
    Operator(runner).cancel(campaign=1)
    runner.run(until=2)
    assert (outcome(runner, 0), outcome(runner, 1)) == (None, CANCELLED)
    runner.run(until=60)
    assert outcome(runner, 0) == (Status.ACCEPTED, None)


@pytest.mark.parametrize(
    "answer, expected",
    [
        (THROTTLED, CANCELLED),
        (Lost(detail="reset"), (Status.IN_DOUBT, Reason.ANSWER_LOST)),
        (Answered(status=502, retry_after_seconds=None, body=None), (Status.IN_DOUBT, Reason.SERVER_ERROR)),
    ],
    ids=["surely not delivered", "answer lost", "server error"],
)
@pytest.mark.parametrize("order", ["event", "campaign"])
def test_doubt_dominates_where_an_event_is_cancelled_between_two_attempts(
    answer: Answer, expected: tuple[Status, Reason], order: str
) -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=0.0, backoff_base_seconds=30.0))
    runner = Runner(policies=policies, platform=lambda _request: (answer, 0.05))
    runner.feed(runner.event(), runner.event(campaignId=2, phone="+34600000009"))
    runner.run(until=1)
    assert {request.campaign for request in runner.requests} >= {1}
    requests = len(runner.requests)
    operator = Operator(runner)
    operator.cancel(event="e1") if order == "event" else operator.cancel(campaign=1)
    runner.run(until=1.5)
    assert outcome(runner, 0) == expected
    assert runner.results[0, 0].attempts == 1
    assert outcome(runner, 1) is None, "nobody else is touched"
    assert len(runner.requests) == requests


def test_an_event_that_is_cancelled_while_its_intent_is_proven_does_not_start_and_the_others_do() -> None:
    runner = Runner(policies=QUICK)
    runner.feed(runner.event(), runner.event(phone="+34600000009"))
    runner.sick.add(P0)
    runner.run(until=0.5)
    Operator(runner).cancel(event="e1")
    runner.heal(P0)
    runner.run(until=1)
    assert runner.withheld == ["STOPPED"]
    assert outcome(runner, 0) == CANCELLED
    assert outcome(runner, 1) == (Status.ACCEPTED, None)


def test_the_next_event_of_a_person_goes_out_when_the_one_before_is_cancelled() -> None:
    runner = Runner(policies=WINDOWED)
    runner.feed(runner.event(), runner.event())
    Operator(runner).cancel(event="e1")
    runner.run(until=100)
    assert (outcome(runner, 0), outcome(runner, 1)) == (CANCELLED, (Status.ACCEPTED, None))


def test_a_repeat_of_a_cancelled_event_is_a_duplicate_and_a_later_resend_of_it_goes_out() -> None:
    runner = Runner(policies=QUICK)
    runner.pipeline.delivery.starting = False
    runner.feed(runner.event(eventId="x"))
    runner.run(until=1)
    Operator(runner).cancel(event="x")
    runner.run(until=2)
    runner.pipeline.delivery.starting = True
    runner.feed(runner.event(eventId="x"))
    runner.run(until=3)
    assert outcome(runner, 0) == CANCELLED
    assert outcome(runner, 1) is not None
    assert runner.requests == []


def test_a_released_rejection_rejects_nobody_that_was_not_looked_at_yet() -> None:
    runner = Runner(policies=WINDOWED)
    runner.feed(runner.event())
    operator = Operator(runner)
    operator.hold(1, reject=True)
    operator.release(1)
    runner.run(until=100)
    assert outcome(runner, 0) == (Status.ACCEPTED, None)


def test_thousands_settle_a_few_hundred_a_turn() -> None:
    runner = Runner(policies=WINDOWED)
    events: list[dict[str, Any]] = [runner.event(phone=f"+3460000{n:04}") for n in range(1_500)]
    runner.feed(*events)
    Operator(runner).cancel(campaign=1)
    runner.turn()
    assert runner.pipeline.stops.any_called, "a turn has its bound"
    runner.run(until=1)
    assert {outcome(runner, offset) for offset in range(1_500)} == {CANCELLED}
