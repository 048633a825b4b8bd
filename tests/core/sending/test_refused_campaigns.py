"""One campaign that key or role may not send: its events get their outcome in time, whatever others do, and theirs too."""

from collections.abc import Callable

import pytest

from consumer.core.outcome import Reason, Status
from consumer.core.platform.access import PROBES_PER_SECOND
from consumer.core.platform.answer import Answer, Answered
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.deadlines import EVENTS_AT_ONCE
from tests.core.makers import P0, at
from tests.core.runner import OK, Request, Runner, accepting

AGE = 600.0
POLICIES = Policies(default=CampaignPolicy(window_seconds=0.0, max_contacts=1, max_age_seconds=AGE))
FAILED = (Status.FAILED, Reason.RETRY_AGE)


def refusing(*campaigns: int, status: int = 403) -> Callable[[Request], tuple[Answer, float]]:
    refused = Answered(status=status, retry_after_seconds=None, body=b'{"message":"not yours"}')
    return lambda request: (refused if request.campaign in campaigns else OK, 0.05)


def started(policies: Policies = POLICIES) -> Runner:
    runner = Runner(policies=policies)
    runner.feed(runner.event(phone="+34699999999", campaignId=9))
    runner.run()
    return runner


def goes_on(runner: Runner, seconds: float) -> None:
    """Let another campaign's events come, and get through, all the time."""
    end = runner.time + seconds
    while runner.time < end:
        runner.feed(runner.event(campaignId=9, phone=f"+3469{runner.serial:07}"))
        at_ = min(end, runner.time + 10.0)
        runner.run(until=at_)
        runner.time = max(runner.time, at_)


def settled(runner: Runner, campaign: int) -> list[tuple[Status, Reason | None]]:
    places = [place for place, record in runner.records.items() if _campaign(record) == campaign]
    return [(runner.results[place].status, runner.results[place].reason) for place in places if place in runner.results]


def _campaign(record: object) -> int:
    return record.group.campaign_id  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("status", [401, 402, 403, 407, 302])
def test_its_events_fail_when_they_were_refused_for_too_long_and_so_do_those_that_come_later(status: int) -> None:
    runner = started()
    runner.platform = refusing(1, status=status)
    runner.feed(*[runner.event(phone=f"+346{number:08}") for number in range(20)])
    goes_on(runner, AGE - 20.0)
    assert settled(runner, 1) == []
    goes_on(runner, 60.0)
    assert settled(runner, 1) == [FAILED] * 20
    runner.feed(*[runner.event(phone=f"+347{number:08}") for number in range(5)])
    goes_on(runner, 60.0)
    assert settled(runner, 1) == [FAILED] * 25
    assert set(settled(runner, 9)) == {(Status.ACCEPTED, None)}
    lane = runner.pipeline.lanes[P0]
    assert lane.watermark.value == lane.watermark.position, "the partition goes on"


def test_all_of_them_fail_without_waiting_for_another_probe_however_many_they_are() -> None:
    runner = started()
    runner.platform = refusing(1)
    runner.feed(*[runner.event(phone=f"+346{number:08}") for number in range(3 * EVENTS_AT_ONCE)])
    goes_on(runner, AGE - 20.0)
    while not settled(runner, 1):
        goes_on(runner, 1.0)
    goes_on(runner, 2.0)
    assert settled(runner, 1) == [FAILED] * (3 * EVENTS_AT_ONCE)


def test_so_do_all_of_one_person_who_wait_for_each_other() -> None:
    runner = started()
    runner.platform = refusing(1)
    many = 3 * EVENTS_AT_ONCE
    runner.feed(*[runner.event() for _ in range(many)])
    goes_on(runner, AGE - 20.0)
    while not settled(runner, 1):
        goes_on(runner, 1.0)
    goes_on(runner, 2.0)
    assert settled(runner, 1) == [FAILED] * many
    runner.platform = accepting
    goes_on(runner, 60.0)
    runner.feed(runner.event(), runner.event())
    runner.run()
    assert settled(runner, 1)[many:] == [(Status.ACCEPTED, None)] * 2, "whoever comes behind them has a turn"


def test_one_that_is_let_in_after_all_goes_on_with_what_comes_then() -> None:
    runner = started()
    runner.platform = refusing(1)
    runner.feed(runner.event())
    goes_on(runner, AGE + 60.0)
    assert settled(runner, 1) == [FAILED]
    goes_on(runner, 60.0)
    runner.platform = accepting
    runner.feed(*[runner.event(phone=f"+347{number:08}") for number in range(30)])
    runner.run()
    assert settled(runner, 1)[1:] == [(Status.ACCEPTED, None)] * 30, "nobody fails before it is asked again"


def test_an_outage_of_everybody_makes_no_campaign_hopeless() -> None:
    """Two hours of a wrong key, and then one campaign's 2xx: what was refused meanwhile is only then on trial."""
    runner = started()
    runner.platform = refusing(1, 2, 9)
    runner.feed(*[runner.event(campaignId=campaign) for campaign in (1, 2, 9)])
    runner.run(until=runner.time + 7_200.0)
    runner.platform = refusing(2)
    runner.run(until=runner.time + 60.0)
    assert settled(runner, 1) == settled(runner, 9)[1:] == [(Status.ACCEPTED, None)]
    assert settled(runner, 2) == []
    goes_on(runner, AGE - 120.0)
    assert settled(runner, 2) == []
    goes_on(runner, 180.0)
    assert settled(runner, 2) == [FAILED]


def test_the_first_refusal_is_remembered_by_the_next_owner() -> None:
    runner = started()
    runner.platform = refusing(1)
    runner.feed(runner.event())
    goes_on(runner, AGE - 60.0)
    runner.checkpoint()
    later = Runner(policies=POLICIES, partitions=(), time=runner.time, platform=runner.platform)
    later.journal = dict(runner.journal)
    later.serial = runner.serial
    later.take(P0, process="next")
    later.feed(later.event(phone="+34600000007"))
    goes_on(later, 30.0)
    assert settled(later, 1) == []
    goes_on(later, 60.0)
    assert settled(later, 1) == [FAILED]


def test_behind_a_hundred_refused_campaigns_a_good_one_is_tried_within_half_a_minute() -> None:
    runner = Runner(policies=POLICIES, platform=refusing(*range(1, 101)))
    runner.feed(*[runner.event(campaignId=campaign) for campaign in range(1, 101)])
    runner.run(until=600.0)
    assert settled(runner, 1) == []
    began_at = runner.time
    runner.feed(runner.event(campaignId=101))
    runner.run(until=began_at + 30.0)
    assert settled(runner, 101) == [(Status.ACCEPTED, None)]


def test_a_hundred_campaigns_that_were_never_tried_are_tried_within_half_a_minute_and_urgent_ones_first() -> None:
    runner = Runner(policies=POLICIES, platform=refusing(*range(1, 101)))
    runner.feed(*[runner.event(campaignId=campaign) for campaign in range(1, 102)])
    runner.feed(runner.event(campaignId=50, priority="immediate", phone="+34600000007"))
    runner.run(until=30.0)
    assert settled(runner, 101) == [(Status.ACCEPTED, None)]
    assert runner.requests[0].campaign == 50


def test_many_refused_campaigns_are_probed_no_oftener_than_a_few() -> None:
    many = 2_000
    runner = started()
    runner.platform = refusing(*range(10, 10 + many))
    runner.feed(*[runner.event(campaignId=10 + number) for number in range(many)])
    goes_on(runner, 300.0)
    assert len(runner.pipeline.access.refused) == many
    before = len(runner.requests)
    goes_on(runner, 200.0)
    assert len(runner.requests) - before <= 200.0 * 2 * PROBES_PER_SECOND + 30


def test_a_campaign_is_named_as_refused_for_as_long_as_it_is() -> None:
    runner = started()
    runner.platform = refusing(1)
    runner.feed(runner.event())
    goes_on(runner, 100.0)
    access = runner.pipeline.access
    seconds = access.refused_seconds(1, at(runner.time))
    assert seconds is not None
    assert 90.0 < seconds <= 100.0
    runner.platform = accepting
    runner.run()
    assert access.refused_seconds(1, at(runner.time)) is None
