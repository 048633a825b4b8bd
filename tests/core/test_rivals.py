"""Several events of a campaign for one person: who stays, who gives way, and who cannot any more."""

import pytest

from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answer, Answered
from consumer.core.policy import CampaignPolicy, Policies, SameContact
from tests.core.intake.test_admit import after_a_crash
from tests.core.runner import OK, Request, Runner

LATEST = Policies(default=CampaignPolicy(window_seconds=2.0, same_contact=SameContact.KEEP_LATEST))
FIRST = Policies(default=CampaignPolicy(window_seconds=2.0, same_contact=SameContact.KEEP_FIRST))
SENT = ("accepted", None)


def told(runner: Runner) -> list[tuple[str, int | None]]:
    """Status of each record, and the offset of the one that it gave way to."""
    verdicts = [runner.results[0, offset] for offset in range(len(runner.results))]
    return [(one.status.value, one.related.offset if one.related else None) for one in verdicts]


def busy(first_answer: Answer, *, lasts: float = 5.0) -> "Runner":
    """Whose first request is answered so after a while, and all others with 2xx."""
    answers = iter([first_answer])

    def platform(_request: Request) -> tuple[Answer, float]:
        return next(answers, OK), lasts

    return Runner(policies=LATEST, platform=platform)


def test_the_latest_of_a_batch_takes_the_place_of_all_others_and_they_name_it() -> None:
    runner = Runner(policies=LATEST)
    runner.feed(runner.event(), runner.event(), runner.event(phone="+34600000002"), runner.event())
    runner.run()
    assert told(runner) == [("superseded", 3), ("superseded", 3), SENT, SENT]
    assert {runner.results[0, offset].reason for offset in (0, 1)} == {Reason.NEWER_EVENT}
    assert sum(status == "accepted" for status, _ in told(runner)) == 2


def test_a_newer_one_takes_the_place_of_one_in_a_window_and_of_one_in_the_queue() -> None:
    policy = CampaignPolicy(window_seconds=2.0, max_contacts=1, max_concurrency=1, same_contact=SameContact.KEEP_LATEST)
    runner = Runner(policies=Policies(default=policy), platform=lambda _request: (OK, 10.0))
    runner.feed(runner.event(phone="+34600000002"), runner.event())
    runner.run(until=1.0)
    assert (runner.pipeline.queue.in_flight, runner.pipeline.queue.queued) == (1, 1)
    runner.feed(runner.event())
    runner.run()
    assert told(runner) == [SENT, ("superseded", 2), SENT]
    window = Runner(policies=LATEST)
    window.feed(window.event())
    window.run(until=1.0)
    window.feed(window.event())
    window.run()
    assert told(window) == [("superseded", 1), SENT]


@pytest.mark.parametrize("policies, left", [(LATEST, 2), (FIRST, 1)])
def test_whoever_gives_way_to_what_is_out_or_waits_behind_it_is_let_go_at_once(policies: Policies, left: int) -> None:
    runner = Runner(policies=policies, platform=lambda _request: (OK, 60.0))
    runner.feed(runner.event())
    runner.run(until=10.0)
    for _ in range(50):
        runner.feed(runner.event(), runner.event())
        runner.run(until=10.0)
    (lane,) = runner.pipeline.lanes.values()
    assert len(list(lane.waiting()) or lane.persons) == left
    assert len(runner.results) == 101 - left
    runner.run()
    assert told(runner)[0] == SENT
    assert told(runner)[-1] == (SENT if left == 2 else ("superseded", 0))
    assert (lane.persons, len(runner.results)) == ({}, 101)


def test_what_is_out_stays_and_gives_way_only_when_it_comes_back_undelivered() -> None:
    delivered, returned = busy(OK), busy(Answered(status=503, retry_after_seconds=None, body=None))
    for runner in (delivered, returned):
        runner.feed(runner.event())
        runner.run(until=4.0)
        runner.feed(runner.event(), runner.event())
        runner.run()
    assert told(delivered) == [SENT, ("superseded", 2), SENT]
    assert told(returned) == [("superseded", 2), ("superseded", 2), SENT]
    assert (returned.results[0, 0].attempts, len(returned.requests)) == (1, 2)


def test_what_may_have_gone_out_is_tried_again_and_the_newer_one_follows() -> None:
    runner = busy(Answered(status=500, retry_after_seconds=None, body=None))
    runner.feed(runner.event())
    runner.run(until=4.0)
    runner.feed(runner.event())
    runner.run()
    assert told(runner) == [SENT, SENT]
    assert runner.results[0, 0].possible_duplicate


def test_nothing_of_a_former_owner_gives_way_while_its_fate_is_unknown() -> None:
    runner = Runner(policies=LATEST)
    runner.time = 10.0
    after_a_crash(runner)
    runner.feed(runner.event(), runner.event(), first=0)
    runner.run()
    assert told(runner) == [SENT, SENT]


def test_a_newer_one_that_does_not_go_out_itself_takes_nobodys_place() -> None:
    runner = Runner(policies=LATEST)
    first = runner.event()
    runner.feed(first, first, runner.event(expires_in=0.0))
    runner.run()
    assert [status for status, _ in told(runner)] == ["accepted", "duplicate", "expired"]
    late = busy(Answered(status=503, retry_after_seconds=None, body=None))
    late.feed(late.event())
    late.run(until=4.0)
    late.feed(late.event(expires_in=1.5))  # it expires while the first is out
    late.run()
    assert told(late) == [SENT, ("expired", None)]


def test_the_first_stays_until_it_has_an_outcome_and_later_ones_name_it() -> None:
    runner = Runner(policies=FIRST)
    runner.feed(runner.event(), runner.event(), runner.event())
    runner.run(until=1.0)
    runner.feed(runner.event())
    runner.run()
    runner.feed(runner.event())
    runner.run()
    assert told(runner) == [SENT, ("superseded", 0), ("superseded", 0), ("superseded", 0), SENT]
    assert runner.results[0, 1].reason is Reason.OLDER_EVENT


@pytest.mark.parametrize("policies", [LATEST, FIRST])
def test_other_people_campaigns_and_partitions_are_none_of_its_business(policies: Policies) -> None:
    runner = Runner(policies=policies)
    runner.feed(runner.event(), runner.event(campaignId=2), runner.event(phone="+34600000002"))
    runner.run()
    assert told(runner) == [SENT, SENT, SENT]


def test_of_separate_events_each_goes_out() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=1.0)))
    runner.feed(runner.event(), runner.event())
    runner.run()
    assert {runner.results[0, offset].status for offset in (0, 1)} == {Status.ACCEPTED}
    assert len(runner.requests) == 2


def test_one_person_with_many_events_costs_each_of_them_alike() -> None:
    runner = Runner(policies=LATEST, platform=lambda _request: (OK, 1_000.0))
    runner.feed(runner.event())
    runner.run(until=4.0)
    for _ in range(100):
        runner.feed(*(runner.event() for _ in range(10)))
        runner.run(until=runner.time + 0.01)
    runner.run()
    assert told(runner)[0] == told(runner)[-1] == SENT
    assert {status for status, _ in told(runner)[1:-1]} == {"superseded"}
    assert len(runner.requests) == 2
    assert not runner.pipeline.waiters.any_newer
