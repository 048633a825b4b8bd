"""Sending while the platform suffers, on made-up time: who pays for it, and who does not."""

import tracemalloc
from dataclasses import replace

import pytest

from consumer.core.outcome import Status
from consumer.core.platform.answer import Answer, Answered, Lost
from consumer.core.policy import CampaignPolicy, Policies, RatePolicy
from consumer.core.terms import Partition
from tests.core.makers import P0, P1, URGENT, at
from tests.core.runner import OK, Request, Runner
from tests.core.test_growth import steps

LONE = CampaignPolicy(window_seconds=0.0, max_contacts=1, max_age_seconds=86_400.0)
TOO_MANY = Answered(status=429, retry_after_seconds=None, body=b"{}")
OTP = 1_000
HANG = Lost(detail="no answer within 10 s"), 10.0


def phone(number: int) -> str:
    return f"+346{number:08}"


def contacted(policies: Policies, *, partitions: tuple[Partition, ...] = (P0,)) -> Runner:
    """A process that has had its first 2xx."""
    runner = Runner(policies=policies, partitions=partitions)
    runner.feed(runner.event(phone="+34699999999", campaignId=OTP))
    runner.run(until=1.0)
    runner.requests.clear()
    return runner


def test_a_platform_that_stalls_for_two_minutes_lets_nothing_go_out_late_and_every_deadline_settles_in_time() -> None:
    runner = contacted(Policies(default=LONE))

    def platform(request: Request) -> tuple[Answer, float]:
        return HANG if request.at < 121.0 else (OK, 0.05)

    runner.platform = platform
    for second in range(1, 150):
        runner.run(until=float(second))
        runner.feed(*[runner.event(phone=phone(10 * second + each), expires_in=60.0) for each in range(10)])
    runner.run()
    assert len(runner.results) == len(runner.records)
    for request in runner.requests:
        for place in request.offsets:
            assert request.at < runner.records[place].received_at - at(0).wall + 60.0
    verdicts = {place: verdict for place, verdict in runner.results.items() if verdict.status is Status.EXPIRED}
    assert verdicts
    for place, verdict in verdicts.items():
        assert 0.0 <= verdict.completed_at - (runner.records[place].received_at + 60.0) <= 1.0


def throughput(*, bad: int, answer: tuple[Answer, float] = HANG) -> int:
    """How many requests of fifteen campaigns go out within 20 s, beside so many whose requests hang or are throttled.

    All slots are taken all the time. Those have been bad for a minute by then.
    """
    runner = contacted(Policies(default=LONE))
    runner.platform = lambda request: answer if request.campaign <= bad else (OK, 0.5)
    for campaign in [*range(1, bad + 1), *range(6, 21)]:
        runner.feed(*[runner.event(campaignId=campaign, phone=phone(each)) for each in range(375)])
    runner.run(until=61.0)
    runner.requests.clear()
    runner.run(until=81.0)
    return sum(request.campaign > bad for request in runner.requests)


def test_one_campaign_whose_requests_hang_costs_the_others_hardly_anything() -> None:
    assert throughput(bad=1) >= 0.95 * throughput(bad=0)


@pytest.mark.parametrize("bad", [1, 2, 5])
def test_campaigns_that_are_throttled_cost_the_others_hardly_anything(bad: int) -> None:
    assert throughput(bad=bad, answer=(TOO_MANY, 0.02)) >= 0.95 * 20.0 * 28 / 0.5


def test_immediate_events_that_hang_by_hundreds_take_no_slot_from_an_urgent_topics() -> None:
    campaigns = {OTP: replace(LONE, max_contacts=10)}
    policies = Policies(default=LONE, campaigns=campaigns, urgent_topics=frozenset({URGENT.topic}))
    runner = contacted(policies, partitions=(P0, URGENT))
    runner.platform = lambda request: (OK, 10.0 if request.campaign < OTP else 0.05)
    runner.feed(
        *[runner.event(campaignId=each % 50 + 1, phone=phone(each), priority="immediate") for each in range(500)]
    )
    runner.run(until=runner.time + 1.0)
    runner.feed(runner.event(campaignId=OTP, phone=phone(2_000), priority="immediate"))
    for number in range(20):
        since = runner.time
        runner.feed(runner.event(campaignId=OTP, phone=phone(1_000 + number)), partition=URGENT)
        runner.run(until=since + 0.3)
        (request,) = [request for request in runner.requests if request.campaign == OTP and request.at >= since]
        assert request.at - since < 0.1


@pytest.mark.parametrize("rate", [5.0, 50.0])
def test_a_rate_is_used_up_and_never_exceeded(rate: float) -> None:
    runner = contacted(Policies(default=LONE, rate=RatePolicy(requests_per_second=rate)))
    runner.feed(*[runner.event(phone=phone(each)) for each in range(int(rate * 40))])
    begun_at = runner.time
    runner.run(until=begun_at + 30.0)
    times = [request.at for request in runner.requests]
    assert len(times) >= 0.9 * rate * 30
    for first in range(len(times)):
        within = sum(times[first] <= each < times[first] + 1.0 for each in times[first:])
        assert within <= rate + max(1.0, rate / 10)


@pytest.mark.parametrize("takes, campaigns", [(2, 3), (5, 4), (10, 2), (12, 20)])
def test_requests_of_several_campaigns_settle_on_what_the_platform_takes_at_once(takes: int, campaigns: int) -> None:
    runner = contacted(Policies(default=LONE))
    taken: list[float] = []
    """When each that was taken ends."""
    refused: list[float] = []

    def platform(request: Request) -> tuple[Answer, float]:
        if sum(ends_at > request.at for ends_at in taken[-takes:]) >= takes:
            refused.append(request.at)
            return TOO_MANY, 0.002
        taken.append(request.at + 0.1)
        return OK, 0.1

    runner.platform = platform
    count = takes * 10 * 75
    runner.feed(*[runner.event(campaignId=each % campaigns + 1, phone=phone(each)) for each in range(count)])
    begun_at = runner.time
    runner.run(until=begun_at + 30.0)
    settled = len(taken), len(refused)
    runner.run(until=begun_at + 70.0)
    assert len(taken) - settled[0] >= 0.9 * takes / 0.1 * 40.0
    assert len(refused) - settled[1] <= 0.01 * (len(taken) + len(refused) - sum(settled))


def test_a_limit_that_was_lowered_rises_again_though_slots_are_reserved_and_nothing_is_urgent() -> None:
    runner = contacted(Policies(default=LONE))
    runner.platform = lambda request: (TOO_MANY, 0.01) if request.at < 4.0 else (OK, 0.5)
    runner.feed(*[runner.event(campaignId=each % 20 + 1, phone=phone(each)) for each in range(4_000)])
    runner.run(until=4.0)
    assert runner.pipeline.access.limits.concurrency.current < 8
    assert runner.pipeline.queue.squeezed_since is not None
    runner.run(until=60.0)
    assert runner.pipeline.access.limits.concurrency.current == 32
    assert runner.pipeline.queue.in_flight == 28, "four are kept for urgent ones"
    assert runner.pipeline.queue.squeezed_since is None


def test_two_instances_share_a_rate_by_their_partitions_and_one_alone_takes_what_it_owns() -> None:
    policies = Policies(default=LONE, rate=RatePolicy(requests_per_second=20.0))
    both = [contacted(policies), contacted(policies)]
    for runner in both:
        runner.pipeline.access.limits.share(1, 2, at(runner.time))
        runner.feed(*[runner.event(phone=phone(each)) for each in range(600)])
        runner.run(until=runner.time + 10.0)
    assert sum(len(runner.requests) for runner in both) == pytest.approx(200, abs=8)
    survivor = both[0]
    before = len(survivor.requests)
    survivor.run(until=survivor.time + 5.0)
    assert len(survivor.requests) - before == pytest.approx(50, abs=3), "nobody takes an unowned partition's share"
    before = len(survivor.requests)
    survivor.pipeline.access.limits.share(2, 2, at(survivor.time))
    survivor.run(until=survivor.time + 10.0)
    assert len(survivor.requests) - before == pytest.approx(200, abs=6)


def test_an_hour_of_429_leaves_memory_and_work_flat() -> None:
    runner = contacted(Policies(default=LONE))
    runner.platform = lambda _request: (TOO_MANY, 0.02)
    runner.feed(*[runner.event(campaignId=each % 20 + 1, phone=phone(each)) for each in range(40)])
    runner.run(until=600.0)
    tracemalloc.start()
    work: list[int] = []
    held: list[int] = []
    for minute in (20, 40, 60):
        runner.run(until=minute * 60.0)
        turns, until = runner.turns, runner.time + 30.0
        took = steps(lambda until=until: runner.run(until=until))  # type: ignore[misc]
        work.append(took)
        assert runner.turns > turns
        runner.requests.clear()
        runner.withheld.clear()
        for log in runner.journal.values():
            log[:] = [b""] * len(log)  # what the journal keeps is the broker's
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert work[2] <= 1.2 * work[1]
    assert held[2] - held[1] <= 300_000


def test_an_urgent_event_of_another_partition_waits_for_nobodys_backlog() -> None:
    runner = contacted(Policies(default=LONE), partitions=(P0, P1))
    runner.platform = lambda request: (TOO_MANY, 0.02) if request.campaign == 1 else (OK, 0.05)
    runner.feed(*[runner.event(phone=phone(each)) for each in range(2_000)])
    runner.run(until=20.0)
    runner.requests.clear()
    runner.feed(runner.event(campaignId=2, phone=phone(9), priority="immediate"), partition=P1)
    begun_at = runner.time
    runner.run(until=begun_at + 1.0)
    urgent = [request for request in runner.requests if request.campaign == 2]
    assert [request.at - begun_at < 0.1 for request in urgent] == [True]
