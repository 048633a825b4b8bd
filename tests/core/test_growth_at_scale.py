"""What one event, one answer and one turn cost beside very much that waits: at most 1.2 times what they cost beside little.

Counted in steps of the interpreter, as in `test_growth.py`. Each case is played with a hundredth of its size, and with all of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from consumer.core.platform.answer import Answer, Answered
from consumer.core.platform.control import CampaignHold
from consumer.core.policy import CampaignPolicy, Policies, SameContact
from tests.core.makers import NEVER_OPEN, P0, at
from tests.core.operators import Operator
from tests.core.runner import OK, Request, Runner
from tests.core.test_growth import phone, silent, steps

AT_MOST = 1.2
FEW = 20
"""So many events are what an act is about."""
BATCH = 500

LONE = CampaignPolicy(window_seconds=0.0, max_contacts=1, max_age_seconds=86_400.0)
ROOMY = Policies(
    default=LONE, breaker=NEVER_OPEN, buffer_max_events=1_000_000, buffer_max_bytes=1 << 40, max_ahead=1_000_000
)
"""Policies under which everything is read."""

Act = Callable[[], Any]
Case = Callable[[int], Act]


def started(policies: Policies = ROOMY) -> Runner:
    """A process that has had its first 2xx, before a platform that answers nothing more."""
    runner = Runner(policies=policies)
    runner.feed(runner.event(phone="+34699999999", priority="immediate"))
    runner.run(until=1.0)
    runner.platform = silent
    return runner


def feed(runner: Runner, events: Iterator[dict[str, Any]]) -> None:
    """Let events arrive in batches."""
    batch: list[dict[str, Any]] = []
    for event in events:
        batch.append(event)
        if len(batch) == BATCH:
            runner.feed(*batch)
            batch = []
    if batch:
        runner.feed(*batch)


def of_a_crowd(runner: Runner, many: int, **changes: Any) -> Iterator[dict[str, Any]]:
    """Events of one campaign, each for a person of its own."""
    return (runner.event(phone=phone(index), **changes) for index in range(many))


def of_campaigns(runner: Runner, many: int) -> Iterator[dict[str, Any]]:
    """An event of each of many campaigns."""
    return (runner.event(phone=phone(index), campaignId=10 + index) for index in range(many))


def of_one_person(runner: Runner, many: int, **changes: Any) -> Iterator[dict[str, Any]]:
    """Events of one campaign for one person."""
    return (runner.event(**changes) for _ in range(many))


def some_more(runner: Runner, **changes: Any) -> Act:
    """A few events of another campaign arrive, one by one, with a turn for each and a look at what may be read."""
    events = [runner.event(phone=phone(900_000 + index), campaignId=2, **changes) for index in range(FEW)]

    def act() -> None:
        for event in events:
            runner.feed(event)
            runner.turn()
            runner.readable()
        runner.turn()

    return act


def one_by_one(runner: Runner, **changes: Any) -> Act:
    """A few more events for the same person arrive, with a turn for each."""
    events = list(of_one_person(runner, FEW, **changes))

    def act() -> None:
        for event in events:
            runner.feed(event)
            runner.turn()
            runner.turn()

    return act


# ------------------------------------------------------------------------------------------------------- what is held


def held_events(many: int) -> Act:
    runner = started()
    Operator(runner).hold(1)
    feed(runner, of_a_crowd(runner, many))
    runner.run(until=3.0)
    return some_more(runner)


def held_campaigns(many: int) -> Act:
    runner = started()
    now = at(runner.time).wall
    holds = [
        CampaignHold(campaign_id=10 + index, reject=False, reason="r", operator="anna", since=now, held_since=now)
        for index in range(many)
    ]
    Operator(runner).say(*holds)
    feed(runner, of_campaigns(runner, many))
    runner.run(until=3.0)
    return some_more(runner)


# ------------------------------------------------------------------------------------------------------- campaigns


def paused_campaigns(many: int) -> Act:
    runner = started()
    for index in range(many):
        runner.pipeline.access.asked_to_wait(10 + index, 3_600.0, at(runner.time))
    feed(runner, of_campaigns(runner, many))
    runner.run(until=3.0)
    runner.platform = lambda _request: (OK, 0.01)
    return some_more(runner)


def one_more_paused(many: int) -> Act:
    """Another campaign is asked to wait, and the pause of another one is over."""
    runner = started()
    for index in range(many):
        runner.pipeline.access.asked_to_wait(10 + index, 10.0 if index < FEW else 3_600.0, at(runner.time))
    feed(runner, of_campaigns(runner, many))
    runner.run(until=3.0)
    runner.platform = lambda _request: (Answered(status=429, retry_after_seconds=3_600.0, body=b"{}"), 0.01)
    feed(runner, iter([runner.event(phone=phone(900_000 + index), campaignId=2 + index % 5) for index in range(FEW)]))
    return lambda: runner.run(until=20.0)


def waiting_campaigns(many: int) -> Act:
    """All slots are taken, one answer comes after the other, and another campaign has its turn each time."""
    runner = started()
    runner.platform = lambda _request: (OK, 2.0 + 0.001 * (runner.posted % 100))
    feed(runner, of_campaigns(runner, many))
    runner.run(until=2.9)
    assert len(runner.answers) == 28
    return lambda: runner.run(until=3.02)


# ------------------------------------------------------------------------------------------------------- one person


def one_person(many: int) -> Act:
    runner = started()
    feed(runner, of_one_person(runner, many))
    runner.run(until=3.0)
    return one_by_one(runner)


def one_person_in_a_hurry(many: int) -> Act:
    runner = started()
    feed(runner, of_one_person(runner, many, priority="immediate"))
    runner.run(until=3.0)
    return one_by_one(runner, priority="immediate")


def one_person_served(many: int) -> Act:
    """One event after the other goes out."""
    runner = started()
    runner.platform = lambda _request: (OK, 0.5)
    feed(runner, of_one_person(runner, many))
    runner.run(until=3.0)
    return lambda: runner.run(until=13.0)


def one_person_out_of_time(many: int) -> Act:
    runner = started()
    feed(runner, of_one_person(runner, many, expires_in=10_000.0))
    feed(runner, of_one_person(runner, FEW, expires_in=50.0))
    runner.run(until=45.0)
    return lambda: runner.run(until=60.0)


def latest_of_one_person(many: int) -> Act:
    runner = started(replace(ROOMY, default=replace(LONE, same_contact=SameContact.KEEP_LATEST)))
    feed(runner, of_one_person(runner, many))
    runner.run(until=3.0)
    return one_by_one(runner)


def first_of_one_person(many: int) -> Act:
    """The first one's outcome is on its way into a journal that does not answer."""
    runner = started(replace(ROOMY, default=replace(LONE, same_contact=SameContact.KEEP_FIRST)))
    runner.platform = lambda _request: (OK, 2.0)
    feed(runner, of_one_person(runner, many))
    runner.run(until=2.0)
    runner.sick.add(P0)
    runner.run(until=3.1)
    assert not runner.answers
    return one_by_one(runner)


# ------------------------------------------------------------------------------------------------------- queued sends


def deadlines_that_come(many: int) -> Act:
    runner = started()
    feed(runner, of_a_crowd(runner, many, expires_in=10_000.0))
    feed(runner, (runner.event(phone=phone(900_000 + index), expires_in=50.0) for index in range(FEW)))
    runner.run(until=45.0)
    return lambda: runner.run(until=60.0)


def deadlines_that_are_told(many: int) -> Act:
    runner = started()
    feed(runner, (runner.event(phone=phone(index), expires_in=1_000.0 + index) for index in range(many)))
    runner.run(until=3.0)
    return some_more(runner, expires_in=500.0)


def sends_in_back_off(many: int) -> Act:
    """A few of those that wait for their next attempt have it."""
    policy = replace(LONE, backoff_base_seconds=1_000.0, backoff_max_seconds=1_000.0, max_concurrency=many)
    runner = started(replace(ROOMY, default=policy, max_concurrency=many, reserved_concurrency=0))

    def first(_request: Request) -> tuple[Answer, float]:
        return Answered(status=408, retry_after_seconds=None, body=b"{}"), 0.01 if runner.posted < FEW else 10.0

    runner.platform = first
    feed(runner, of_a_crowd(runner, many))
    runner.run(until=500.0)
    runner.platform = silent
    return lambda: runner.run(until=1_005.0)


CASES: dict[str, tuple[Case, int]] = {
    "held events": (held_events, 100_000),
    "held campaigns": (held_campaigns, 10_000),
    "campaigns that the platform has asked to wait": (paused_campaigns, 10_000),
    "campaigns asked to wait, when pauses begin and end": (one_more_paused, 10_000),
    "campaigns that wait for a slot": (waiting_campaigns, 10_000),
    "events of one person": (one_person, 50_000),
    "immediate events of one person": (one_person_in_a_hurry, 10_000),
    "events of one person who is served": (one_person_served, 10_000),
    "events of one person, some out of time": (one_person_out_of_time, 10_000),
    "events of one person, of whom the latest stays": (latest_of_one_person, 10_000),
    "events of one person, of whom the first stays": (first_of_one_person, 10_000),
    "sends with deadlines that come": (deadlines_that_come, 10_000),
    "sends with deadlines, and more of them": (deadlines_that_are_told, 10_000),
    "sends in their back-off": (sends_in_back_off, 4_000),
}


@pytest.mark.parametrize("case, many", CASES.values(), ids=CASES)
def test_beside_a_hundred_times_as_much_it_costs_the_same(case: Case, many: int) -> None:
    few = steps(case(many // 100))
    assert few > 1_000
    assert steps(case(many)) <= AT_MOST * few
