"""What waits, by campaign and by stage: for what, for how long, and until when. Time is virtual."""

from typing import Any

import pytest

from consumer.core.platform.answer import Answer, Answered
from consumer.core.policy import CampaignPolicy, Policies
from consumer.service.waiting import TOP_CAMPAIGNS, TOP_PARKED, WaitingReading, open_requests
from consumer.service.waiting_shape import WaitingCampaign
from tests.core.makers import P0, P1, at
from tests.core.operators import Operator
from tests.core.runner import OK, Platform, Request, Runner, accepting
from tests.core.test_read_ahead import BUFFER, BULK, OTHER, Reader
from tests.core.test_read_ahead import POLICIES as SMALL_BUFFER

IN_HAND = BUFFER * 19 // 20 + 1
"""A campaign's immediate events leave a twentieth of the buffer to others: the one that reaches it has come."""

ALONE: dict[str, Any] = {"window_seconds": 0.0, "max_contacts": 1, "max_concurrency": 1}


def silent(_request: Request) -> tuple[Answer, float]:
    return OK, 1e6


def answering(status: int, *, retry_after: float | None = None) -> Platform:
    return lambda _request: (Answered(status=status, retry_after_seconds=retry_after, body=b"{}"), 0.01)


def started(platform: Platform = silent, **policy: Any) -> Runner:
    """A process that has had its first 2xx, and looks at the clock at 100 s."""
    runner = Runner(policies=Policies(default=CampaignPolicy(**policy)), partitions=[P0, P1])
    runner.feed(runner.event(phone="+34699999999", priority="immediate"))
    runner.run(until=1.0)
    runner.time = 100.0
    runner.platform = platform
    return runner


def feed(runner: Runner, *campaigns: int, phone: int = 100) -> None:
    runner.feed(*[runner.event(campaignId=one, phone=f"+34600{phone + n:06}") for n, one in enumerate(campaigns)])


def waiting(runner: Runner) -> list[WaitingCampaign]:
    return WaitingReading(runner.pipeline, at(runner.time)).campaigns()


def first(runner: Runner) -> tuple[str, int, float | None, str, float | None]:
    found = waiting(runner)[0]
    return (
        found["campaign"],
        found["events"],
        found["oldest_seconds"],
        found["why"],
        found["next_try_in_seconds"],
    )


def test_an_open_window_is_told_with_its_age_and_its_end() -> None:
    runner = started(window_seconds=10.0)
    feed(runner, 7, 7)
    runner.time = 104.0
    assert first(runner) == ("7", 2, 4.0, "window", 6.0)
    (window,) = WaitingReading(runner.pipeline, at(runner.time)).windows()
    assert (window["campaign"], window["events"], window["max_contacts"]) == ("7", 2, 500)
    assert (window["age_seconds"], window["closes_in_seconds"], window["priority"]) == (4.0, 6.0, "normal")
    assert WaitingReading(runner.pipeline, at(runner.time)).oldest()["in_window"] == 4.0


def test_who_was_taken_out_of_a_window_no_longer_counts_for_its_age() -> None:
    runner = started(window_seconds=10.0)
    feed(runner, 7)
    runner.time = 104.0
    feed(runner, 7, phone=200)
    Operator(runner).cancel(event=str(runner.records[0, 1].event_id))
    runner.turn()
    (window,) = WaitingReading(runner.pipeline, at(runner.time)).windows()
    assert (window["events"], window["age_seconds"]) == (1, 0.0)


def test_a_request_is_told_from_its_slot_on() -> None:
    runner = started(**ALONE)
    feed(runner, 7)
    runner.run(until=103.0)
    assert first(runner) == ("7", 1, 3.0, "in_flight", None)
    (request,) = open_requests(runner.pipeline, at(runner.time))
    assert (request["campaign"], request["contacts"], request["attempt"]) == ("7", 1, 1)
    assert (request["stage"], request["age_seconds"]) == ("posting", 3.0)


def test_what_waits_for_a_slot_comes_after_what_has_one_only_where_it_is_younger() -> None:
    runner = started(**ALONE)
    feed(runner, 7)
    runner.run(until=101.0)
    feed(runner, 7, 7, phone=200)
    runner.run(until=105.0)
    assert first(runner) == ("7", 3, 5.0, "in_flight", None)
    oldest = WaitingReading(runner.pipeline, at(runner.time)).oldest()
    assert (oldest["in_flight"], oldest["queued"], oldest["blocked"]) == (5.0, 4.0, None)


def test_what_waits_for_a_free_slot_alone_says_so() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=0.0), max_concurrency=1))
    runner.feed(runner.event(phone="+34699999999"))
    runner.run(until=1.0)
    runner.platform = silent
    feed(runner, 8, 9)
    arrived = runner.time
    runner.run(until=1.5)
    runner.time = 3.0
    runner.feed(runner.event(campaignId=9, phone="+34600000300", send={"flash": True}))  # a send of its own
    runner.turn()
    assert runner.pipeline.queue.queued == 2
    found = sorted((one["campaign"], one["events"], one["why"], one["oldest_seconds"]) for one in waiting(runner))
    assert found == [("8", 1, "in_flight", 3.0 - arrived), ("9", 2, "slot", 3.0 - arrived)]


def test_who_joins_a_queued_send_later_than_it_came_is_told_by_its_own_age() -> None:
    """It waited behind its person meanwhile."""

    def answers(request: Request) -> tuple[Answer, float]:
        return (
            (OK, 3.0) if request.offsets == [(0, 1)] else accepting(request) if runner.time < 50.0 else silent(request)
        )

    policies = Policies(default=CampaignPolicy(window_seconds=0.0), max_concurrency=1)
    runner = Runner(policies=policies, platform=answers)
    runner.feed(runner.event(phone="+34699999999"))
    runner.run(until=1.0)
    crowd = range(1_000, 1_000 + 2 * TOP_CAMPAIGNS)
    for seconds, campaigns, phone in ((100.0, [9], 100), (101.0, [9], 100), (101.5, crowd, 200), (102.0, [9], 300)):
        runner.run(until=seconds)
        runner.time = seconds
        feed(runner, *campaigns, phone=phone)
    runner.turn()
    assert first(runner)[0] == "9"
    runner.run(until=104.0)
    assert runner.pipeline.queue.queued == len(crowd), "one of the crowd is out, and those of campaign 9 share a send"
    assert first(runner) == ("9", 2, 3.0, "slot", None)


def test_campaigns_of_which_nothing_waits_any_more_are_remembered_nowhere() -> None:
    runner = started(accepting, **ALONE)
    feed(runner, *range(2, 200))
    runner.feed(*[runner.event(campaignId=one, phone="+34600000001") for one in range(2, 20) for _ in range(2)])
    runner.run()
    runner.turn()
    for arrivals in (runner.pipeline.queue.first_arrivals, runner.pipeline.waiters.first_arrivals):
        assert arrivals.campaigns == 0


def test_an_event_behind_its_person_waits_for_the_person() -> None:
    runner = started(**ALONE)
    feed(runner, 7)
    runner.run(until=101.0)
    runner.feed(runner.event(campaignId=7, phone="+34600000100"))
    waits = runner.pipeline.waiters.waits
    assert [event.offset for event in runner.pipeline.lanes[P0].waiting() if waits(event)] == [2]
    assert first(runner)[:2] == ("7", 2)


@pytest.mark.parametrize(
    "platform, why, next_try",
    [
        (answering(408), "retry", 39.5),
        (answering(429, retry_after=60.0), "throttled", 60.0),
        (answering(503, retry_after=60.0), "access", 60.0),
        (answering(401), "access", None),
    ],
)
def test_what_the_platform_keeps_back_says_why_and_until_when(
    platform: Platform, why: str, next_try: float | None
) -> None:
    runner = started(platform, **ALONE, backoff_base_seconds=40.0, backoff_max_seconds=40.0)
    feed(runner, 7)
    runner.run(until=100.5)
    campaign, events, _, found, upcoming = first(runner)
    assert (campaign, events, found) == ("7", 1, why)
    assert upcoming is not None
    assert next_try is None or upcoming == pytest.approx(next_try, abs=0.6)


def test_a_refused_campaign_is_told_with_its_next_probe() -> None:
    runner = started(**ALONE)
    runner.platform = lambda request: answering(403)(request) if request.campaign == 7 else (OK, 0.01)
    feed(runner, 7, 8)
    runner.run(until=101.0)
    campaign, events, _, why, next_try = first(runner)
    assert (campaign, events, why) == ("7", 1, "refused")
    assert next_try is not None
    assert 0 < next_try < 60
    assert WaitingReading(runner.pipeline, at(runner.time)).oldest()["blocked"] == 1.0


def test_a_held_campaign_waits_for_an_operator() -> None:
    runner = started(**ALONE)
    Operator(runner).hold(7)
    feed(runner, 7)
    runner.run(until=160.0)
    assert first(runner) == ("7", 1, 60.0, "held", None)


def test_what_is_held_and_what_waits_for_its_turn_are_told_apart() -> None:
    runner = started(**ALONE)
    Operator(runner).hold(7)
    feed(runner, 7)
    runner.run(until=105.0)
    runner.time = 105.0
    feed(runner, 8, 8, phone=200)
    runner.run(until=109.0)
    runner.time = 109.0
    oldest = WaitingReading(runner.pipeline, at(runner.time)).oldest()
    assert (oldest["blocked"], oldest["queued"], oldest["in_flight"]) == (9.0, 4.0, 4.0)


def test_of_a_campaigns_sends_the_one_that_came_first_is_told_whenever_it_was_put_back() -> None:
    seconds = iter([5.0, 0.01])
    runner = started(
        lambda request: (answering(408)(request)[0], next(seconds)),
        **{**ALONE, "max_concurrency": 2},
        backoff_base_seconds=40.0,
        backoff_max_seconds=40.0,
    )
    feed(runner, 7)
    runner.run(until=101.0)
    feed(runner, 7, phone=200)
    runner.run(until=106.0)
    runner.time = 106.0
    put_back_last = max(send.ready_at for send in runner.pipeline.queue.in_back_off())
    campaign, events, age, why, next_try = first(runner)
    assert (campaign, events, age, why) == ("7", 2, 6.0, "retry")
    assert next_try == pytest.approx(put_back_last - 106.0, abs=0.001)


def test_what_is_set_aside_waits_for_its_journal() -> None:
    runner = started(window_seconds=0.0)
    runner.sick.add(P1)
    runner.feed(runner.event(campaignId=7), partition=P1)
    runner.run(until=105.0)
    runner.time = 105.0
    assert first(runner) == ("7", 1, 5.0, "journal", None)
    assert WaitingReading(runner.pipeline, at(runner.time)).oldest()["blocked"] == 5.0


def test_what_has_its_outcome_and_no_result_yet_is_settling() -> None:
    runner = started(lambda _request: (OK, 2.0), window_seconds=0.0)
    feed(runner, 7)
    runner.run(until=101.0)
    runner.sick.add(P0)
    runner.run(until=110.0)
    runner.time = 110.0
    assert first(runner) == ("7", 1, 10.0, "settling", None)
    runner.heal(P0)
    runner.run(until=111.0)
    assert waiting(runner) == []
    assert set(WaitingReading(runner.pipeline, at(runner.time)).oldest().values()) == {None}


def test_of_what_settles_the_oldest_is_told_whatever_its_partition() -> None:
    runner = started(lambda _request: (OK, 2.0), window_seconds=0.0)
    runner.feed(runner.event(campaignId=7, phone="+34600000100"), partition=P1)
    runner.run(until=101.0)
    runner.feed(runner.event(campaignId=7, phone="+34600000200"), partition=P0)
    runner.run(until=101.5)
    runner.sick |= {P0, P1}
    runner.run(until=110.0)
    runner.time = 110.0
    assert first(runner) == ("7", 2, 10.0, "settling", None)


def test_the_campaigns_that_have_waited_longest_come_first_and_no_more_than_so_many() -> None:
    runner = started(window_seconds=1e5)
    for campaign in range(1, 31):
        runner.time += 1.0
        feed(runner, campaign)
    found = [int(one["campaign"]) for one in waiting(runner)]
    assert found == list(range(1, TOP_CAMPAIGNS + 1))
    assert [int(one["campaign"]) for one in WaitingReading(runner.pipeline, at(runner.time)).windows()] == found


def test_nothing_waits_where_everything_is_accepted() -> None:
    runner = started(accepting, window_seconds=0.0)
    feed(runner, 7, 8)
    runner.run(until=110.0)
    assert waiting(runner) == []
    assert WaitingReading(runner.pipeline, at(runner.time)).windows() == []
    assert open_requests(runner.pipeline, at(runner.time)) == []


def test_a_campaign_is_told_with_what_is_parked_of_it_and_one_that_has_nothing_in_hand_waits_for_room() -> None:
    reader = Reader(policies=SMALL_BUFFER, platform=lambda _request: (OK, 300.0))
    reader.bulk(1_000, priority="immediate")
    reader.bulk(30, campaign=OTHER)
    reader.go_on(3.0)
    told = {one["campaign"]: one for one in waiting(reader)}
    assert [*told] == [str(BULK), str(OTHER)]
    assert told[str(BULK)]["events"] == IN_HAND
    assert told[str(BULK)]["parked"] == 1_000 - IN_HAND
    assert told[str(OTHER)] == {
        "campaign": str(OTHER),
        "events": 0,
        "parked": 30,
        "oldest_seconds": None,
        "why": "parked",
        "next_try_in_seconds": None,
    }
    Operator(reader).hold(OTHER)
    assert {one["campaign"]: one["why"] for one in waiting(reader)}[str(OTHER)] == "held"


def test_records_that_are_no_event_are_parked_without_a_campaign_and_only_the_most_parked_ones_are_named() -> None:
    reader = Reader(policies=SMALL_BUFFER, platform=lambda _request: (OK, 300.0))
    reader.bulk(1_000, priority="immediate")
    reader.publish([{"no": "event"}] * 3)
    for campaign in range(100, 101 + TOP_PARKED):
        reader.bulk(campaign - 99, campaign=campaign)
    reader.go_on(3.0)
    assert [(one["campaign"], one["parked"]) for one in waiting(reader)] == [
        (str(BULK), 1_000 - IN_HAND),
        *((str(campaign), campaign - 99) for campaign in range(100 + TOP_PARKED, 100, -1)),
    ]
