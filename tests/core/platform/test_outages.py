"""What an outage costs: neither attempts nor age, and hardly any work; deadlines go on."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.journal.entries import Intent
from consumer.core.memory.platform_memory import StandstillSpan
from consumer.core.outcome import Reason, Status
from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import Answer, Answered, Lost, NoConnectionYet, Unreachable
from consumer.core.platform.outages import MOST_SPANS, Outages, tried_seconds
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Instant
from tests.core.makers import NEVER_OPEN, P0, P1, at
from tests.core.runner import OK, Request, Runner, accepting, instant

HOUR, DAY = 3_600.0, 86_400.0
LONE = CampaignPolicy(window_seconds=0.0, max_contacts=1, max_age_seconds=600.0, max_attempts=3)


def answering(status: int, retry_after: float | None = None) -> Callable[[Request], tuple[Answer, float]]:
    return lambda _request: (Answered(status=status, retry_after_seconds=retry_after, body=b"{}"), 0.01)


def gone(_request: Request) -> tuple[Answer, float]:
    """Nobody is there."""
    return Unreachable(detail="refused"), 0.001


def deadlines(runner: Runner) -> dict[tuple[int, int], Instant]:
    records = runner.records.items()
    return {place: event.expires_at for place, event in records if isinstance(event, Event) and event.expires_at}


def silent(runner: Runner) -> Callable[[Request], tuple[Answer, float]]:
    """Nobody says anything: a connection is waited for until it makes no sense any more."""

    def platform(request: Request) -> tuple[Answer, float]:
        known, now = deadlines(runner), at(request.at).wall
        left = min([known[place] - now + 0.5 for place in request.offsets if place in known], default=HOUR)
        if left < 5.0:
            return NoConnectionYet(waited_seconds=max(0.0, left)), max(0.0, left)
        return Unreachable(detail="no connection within 5 s"), 5.0

    return platform


def started(policy: CampaignPolicy = LONE) -> Runner:
    """A process that has had its first 2xx."""
    runner = Runner(policies=Policies(default=policy, breaker=NEVER_OPEN))
    runner.feed(runner.event(phone="+34699999999"))
    runner.run()
    runner.requests.clear()
    return runner


def people(runner: Runner, count: int, **changes: object) -> None:
    runner.feed(*[runner.event(phone=f"+346{number:08}", **changes) for number in range(count)])


# ------------------------------------------------------------------------------------------------------------- spans

INSTANTS = st.integers(0, 100).map(lambda second: Instant(float(second)))
SPANS = st.lists(
    st.builds(lambda one, two: StandstillSpan(since=min(one, two), until=max(one, two)), INSTANTS, INSTANTS)
)


@given(SPANS, INSTANTS, INSTANTS)
def test_what_was_tried_is_the_time_that_lies_in_no_outage(
    spans: list[StandstillSpan], since: Instant, now: Instant
) -> None:
    outages = Outages()
    for span in spans:
        outages.add(span)
    seconds = [second for second in range(int(since), int(now)) if not _lies_in(second, spans)]
    assert tried_seconds(since, now, outages.spans(now)) == len(seconds)


def _lies_in(second: int, spans: Iterable[StandstillSpan]) -> bool:
    return any(span.since <= second < span.until for span in spans)


def test_an_outage_that_goes_on_counts_up_to_now_and_a_short_one_is_forgotten_before_a_long_one() -> None:
    outages = Outages()
    outages.begin(Instant(10.0))
    outages.begin(Instant(20.0))
    assert outages.spans(Instant(25.0)) == (StandstillSpan(since=Instant(10.0), until=Instant(25.0)),)
    outages.end(Instant(30.0))
    for number in range(MOST_SPANS):
        outages.add(StandstillSpan(since=Instant(100.0 + 10 * number), until=Instant(101.0 + 10 * number)))
    kept = outages.spans(Instant(1_000.0))
    assert len(kept) == MOST_SPANS
    assert kept[0] == StandstillSpan(since=Instant(10.0), until=Instant(30.0))


# ------------------------------------------------------------------------------------------------- a platform that is gone


def test_a_platform_that_is_gone_is_asked_by_one_probe_at_a_time_and_nothing_else_is_journaled() -> None:
    runner = started()
    runner.platform = gone
    people(runner, 500)
    runner.run(until=runner.time + 60.0)
    before, began_at = len(runner.entries()), runner.time
    posted = runner.posted
    runner.run(until=runner.time + HOUR)
    probes = runner.posted - posted
    assert runner.pipeline.access.state(at(runner.time)) is AccessState.UNREACHABLE
    assert HOUR / 30.0 <= probes <= HOUR / 15.0 + 1, "half a minute at most between two of them, less the dice"
    assert len(runner.entries()) - before <= 2 * probes
    assert runner.peak_out <= LONE.max_concurrency

    runner.platform = accepting
    runner.feed(runner.event(campaignId=2, priority="immediate"))
    runner.run(until=runner.time + 31.0)
    assert {verdict.status for verdict in runner.results.values()} == {Status.ACCEPTED}
    assert len(runner.results) == 502
    assert runner.requests[1].campaign == 2 or runner.requests[0].campaign == 2, "immediate events first"
    assert runner.time - began_at > HOUR


def test_a_connection_that_fails_now_and_then_stops_nobody() -> None:
    runner = started()
    turn = iter(range(10**6))
    runner.platform = lambda request: (OK, 0.01) if next(turn) % 3 else gone(request)
    people(runner, 60)
    runner.run(until=runner.time + 30.0)
    assert len(runner.results) == 61


@pytest.mark.parametrize("platform", [gone, answering(401), answering(402), answering(407), answering(302)])
def test_an_outage_of_hours_fails_nobody_who_was_tried_before(
    platform: Callable[[Request], tuple[Answer, float]],
) -> None:
    """Tried once, with five minutes of its ten gone; then three hours of nothing; then it is let in."""
    runner = started()
    runner.platform = answering(429, retry_after=None)
    runner.feed(runner.event())
    runner.run(until=runner.time + 300.0)
    runner.platform = platform
    runner.run(until=runner.time + 3 * HOUR)
    assert (0, 1) not in runner.results
    runner.platform = accepting
    runner.run()
    assert runner.results[0, 1].status is Status.ACCEPTED


def test_age_goes_on_where_it_stood_when_the_outage_is_over() -> None:
    runner = started()
    runner.platform = answering(429)
    runner.feed(runner.event())
    began_at = runner.time
    runner.run(until=began_at + 300.0)
    runner.platform = gone
    runner.run(until=began_at + 300.0 + HOUR)
    runner.platform = answering(429)
    runner.run()
    verdict = runner.results[0, 1]
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.RETRY_AGE)
    assert 590.0 + HOUR <= verdict.completed_at - at(began_at).wall <= 700.0 + HOUR


def test_deadlines_go_on_while_nothing_can_start() -> None:
    runner = started()
    runner.platform = gone
    people(runner, 40)
    runner.run(until=runner.time + 60.0)
    runner.feed(runner.event(phone="+34611111111", expires_in=100.0))
    expires_at = runner.time + 100.0
    runner.run(until=expires_at + 1.0)
    verdict = runner.results[0, 41]
    assert (verdict.status, verdict.reason) == (Status.EXPIRED, Reason.DEADLINE)
    assert verdict.completed_at - at(expires_at).wall <= 1.0


def test_who_expires_while_a_connection_is_waited_for_has_his_outcome_and_the_others_go_on() -> None:
    runner = started(replace(LONE, max_contacts=2, window_seconds=0.1))
    runner.platform = silent(runner)
    runner.feed(runner.event(phone="+34600000001", expires_in=3.0), runner.event(phone="+34600000002"))
    runner.run(until=runner.time + 4.0)
    expired = runner.results[0, 1]
    assert (expired.status, expired.reason) == (Status.EXPIRED, Reason.DEADLINE)
    assert (0, 2) not in runner.results
    runner.platform = accepting
    runner.run()
    assert runner.results[0, 2].status is Status.ACCEPTED


def test_deadlines_one_after_another_in_a_dead_network_make_few_probes() -> None:
    runner = started()
    runner.platform = silent(runner)
    before = len(runner.said(Intent))
    many = 600
    runner.feed(
        *[
            runner.event(phone=f"+346{number:08}", expires_in=1.0 + 0.1 * number, priority="immediate")
            for number in range(many)
        ]
    )
    runner.run(until=runner.time + 0.1 * many + 2.5)
    assert [verdict.status for verdict in runner.results.values()][1:] == [Status.EXPIRED] * many
    late = [runner.results[place].completed_at - deadline for place, deadline in deadlines(runner).items()]
    assert max(late) <= 1.0
    assert len(runner.said(Intent)) - before <= 30


def test_deadlines_that_are_near_when_they_are_sent_make_no_outage_of_a_slow_network() -> None:
    runner = started(replace(LONE, max_contacts=1))
    runner.platform = lambda request: (
        (NoConnectionYet(waited_seconds=0.1), 0.1) if request.offsets[0][1] % 4 else (OK, 0.2)
    )
    for number in range(40):
        runner.feed(runner.event(phone=f"+346{number:08}", expires_in=0.05))
        runner.run(until=runner.time + 1.0)
        assert runner.pipeline.access.state(at(runner.time)) is AccessState.OPEN
    assert {verdict.status for verdict in runner.results.values()} == {Status.ACCEPTED, Status.EXPIRED}


@pytest.mark.parametrize("status", [None, 401, 429])
def test_who_outlives_the_longest_age_before_a_first_request_expires_wherever_it_waits(status: int | None) -> None:
    """Refused connections, a refused key, and a campaign that waits for its slot."""
    policies = Policies(default=LONE, max_event_age_seconds=600.0)
    runner = Runner(policies=policies)
    runner.feed(runner.event(phone="+34699999999"))
    runner.run()
    runner.platform = gone if status is None else answering(status, retry_after=HOUR if status == 429 else None)
    people(runner, 60)
    runner.run(until=runner.time + 700.0)
    tried = {place for request in runner.requests for place in request.offsets}
    waited = {(0, offset) for offset in range(1, 61)} - tried
    assert len(waited) >= 10
    for place in waited:
        assert (runner.results[place].status, runner.results[place].reason) == (Status.EXPIRED, Reason.TOO_OLD)


@pytest.mark.parametrize("reason", [Reason.DEADLINE, Reason.TOO_OLD])
def test_who_waits_behind_an_earlier_event_of_the_same_person_expires_there_and_is_passed_over(reason: Reason) -> None:
    runner = Runner(policies=Policies(default=LONE, max_event_age_seconds=600.0))
    runner.feed(runner.event(phone="+34699999999"))
    runner.run()
    runner.platform = lambda _request: (OK, 5_000.0)
    seconds = 100.0 if reason is Reason.DEADLINE else 600.0
    due_at = runner.time + seconds
    ends = {"expires_in": seconds} if reason is Reason.DEADLINE else {}
    runner.feed(runner.event(), runner.event(**ends), runner.event(**ends))
    runner.run(until=runner.time + 10.0)
    runner.feed(runner.event(occurredAt=instant(runner.time)))
    runner.run(until=due_at + 1.0)
    for offset in (2, 3):
        verdict = runner.results[0, offset]
        assert (verdict.status, verdict.reason) == (Status.EXPIRED, reason)
        assert verdict.completed_at - at(due_at).wall <= 1.0
    assert (0, 1) not in runner.results
    if reason is Reason.TOO_OLD:
        return  # and so will be the last one, in ten seconds
    runner.platform = accepting
    runner.run(until=5_200.0)
    assert [runner.results[0, offset].status for offset in (1, 4)] == [Status.ACCEPTED, Status.EXPIRED]
    assert len(runner.results) == 5


def test_who_is_looked_at_in_the_very_instant_in_which_he_is_too_old_expires_in_it() -> None:
    """Upstreams write whole seconds, and so is the longest age: it may be exactly as old as that, and not older."""
    runner = Runner(policies=Policies(default=LONE, max_event_age_seconds=600.0))
    runner.platform = lambda _request: (OK, 5_000.0)
    runner.time = 4.0
    runner.feed(runner.event(), runner.event())
    runner.run(until=605.0)
    verdict = runner.results[0, 1]
    assert (verdict.status, verdict.reason, verdict.completed_at) == (Status.EXPIRED, Reason.TOO_OLD, at(604.0).wall)


def test_in_an_outage_nobody_is_looked_at_again_and_again_who_is_nearly_tried_for_too_long() -> None:
    runner = started(replace(LONE, backoff_max_seconds=0.5))
    runner.platform = answering(503)
    people(runner, 20)
    begun_at = runner.time
    runner.run(until=begun_at + 599.0)
    runner.platform = gone
    runner.run(until=begun_at + 600.5)
    assert runner.pipeline.access.state(at(runner.time)) is AccessState.UNREACHABLE
    turns_before = runner.turns
    runner.run(until=begun_at + 900.0)
    assert runner.turns - turns_before < 200
    assert list(runner.results) == [(0, 0)]
    runner.platform = answering(503)
    runner.run(until=begun_at + 940.0)
    assert [runner.results[0, offset].reason for offset in range(1, 21)] == [Reason.RETRY_AGE] * 20


def test_a_partition_that_leaves_takes_along_what_is_known_of_those_who_wait() -> None:
    runner = Runner(policies=Policies(default=LONE), partitions=(P0, P1))
    runner.platform = lambda _request: (OK, 5_000.0)
    for partition in (P0, P1):
        runner.feed(*[runner.event(expires_in=100.0) for _ in range(3)], partition=partition)
    runner.run(until=10.0)
    runner.pipeline.drop(P0)
    runner.run(until=102.0)
    assert sorted(runner.results) == [(1, 0), (1, 1), (1, 2)]


def test_a_resend_waits_for_as_long_as_it_takes() -> None:
    runner = Runner(policies=Policies(default=LONE, max_event_age_seconds=600.0), platform=gone)
    document = runner.event()
    runner.feed(document)
    event = runner.records[0, 0]
    event.resend = event.resend._replace(id="again")
    runner.run(until=2 * HOUR)
    runner.platform = accepting
    runner.run()
    assert runner.results[0, 0].status is Status.ACCEPTED


# --------------------------------------------------------------------------------------------------- across owners


def restarted(before: Runner) -> Runner:
    """The next process, with the journal of the one before; events that have no outcome are read again."""
    runner = Runner(policies=before.policies, partitions=(), time=before.time, platform=before.platform)
    runner.journal = {partition: list(log) for partition, log in before.journal.items()}
    runner.serial = before.serial
    runner.take(P0, process="next")
    return runner


@pytest.mark.parametrize("status, campaign", [(429, 1), (503, 2)])
def test_what_the_platform_asked_for_outlives_a_restart(status: int, campaign: int) -> None:
    """It asked for an hour; whoever comes next does not ask before, for an event that was never tried either."""
    runner = started()
    runner.platform = answering(status, retry_after=HOUR)
    runner.feed(runner.event())
    runner.run(until=runner.time + 10.0)
    asked_at = runner.requests[-1].at
    runner.checkpoint()
    later = restarted(runner)
    later.platform = accepting
    later.feed(later.event(), later.event(campaignId=campaign, phone="+34600000002"))
    later.run(until=asked_at + HOUR - 1.0)
    assert later.requests == []
    later.run()
    assert [request.at >= asked_at + HOUR for request in later.requests] == [True, True]


def test_an_outage_is_remembered_by_the_next_owner() -> None:
    runner = started()
    answers: list[Answer] = [Lost(detail="reset")]
    runner.platform = lambda request: (answers.pop(), 0.01) if answers else gone(request)
    runner.feed(runner.event())
    people(runner, 3, campaignId=2)
    runner.run(until=runner.time + 2 * HOUR)
    runner.checkpoint()
    assert runner.said(Intent)
    later = restarted(runner)
    first = runner.requests[0]
    assert later.pipeline.access.tried_seconds(1, at(first.at).wall, at(later.time)) < 60.0
