"""Which events count for the service's objectives, and which of them were in time. No clock."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.outcome import Status, Verdict
from consumer.core.platform.control import CampaignHold, ControlRecord, Release, key_of, value_of
from consumer.core.platform.holds import Holds
from consumer.core.policy import CampaignPolicy, Policies, WireNames
from consumer.core.terms import NEVER, Instant, SendId
from consumer.service.objectives import COUNTED, IMMEDIATE_SECONDS, NORMAL_SECONDS, NOTHING, ObjectiveCounts, Objectives
from tests.core.makers import at, make_event, nothing_held

SLOW_CAMPAIGN, SLOW_SECONDS, WINDOW_SECONDS = 9, 600.0, 2.0
POLICIES = Policies(
    default=CampaignPolicy(window_seconds=WINDOW_SECONDS),
    campaigns={SLOW_CAMPAIGN: CampaignPolicy(window_seconds=SLOW_SECONDS)},
    field_names=WireNames(scheduled_at="scheduleAt"),
)
IN_TIME, LATE = ObjectiveCounts(1, 1, 0, 0), ObjectiveCounts(1, 0, 0, 0)
URGENT_IN_TIME, URGENT_LATE = ObjectiveCounts(0, 0, 1, 1), ObjectiveCounts(0, 0, 1, 0)


def verdict(seconds: float, status: Status = Status.ACCEPTED, *, send: str | None = "s") -> Verdict:
    """An outcome so many seconds into the test."""
    return Verdict(
        status=status, send_id=None if send is None else SendId(send), completed_at=Instant(at(seconds).wall)
    )


def judged(ended: Verdict, *events: Event, holds: Holds | None = None) -> ObjectiveCounts:
    """What counts of events of one campaign."""
    of = Objectives(POLICIES, nothing_held() if holds is None else holds)
    return of.judge(ended, events, events[0].group.campaign_id, at(10_000))


@pytest.mark.parametrize(
    "seconds, event, counted",
    [
        (WINDOW_SECONDS + NORMAL_SECONDS, make_event(), IN_TIME),
        (WINDOW_SECONDS + NORMAL_SECONDS + 0.01, make_event(), LATE),
        (SLOW_SECONDS + NORMAL_SECONDS, make_event(campaign=SLOW_CAMPAIGN), IN_TIME),
        (IMMEDIATE_SECONDS, make_event(immediate=True), URGENT_IN_TIME),
        (IMMEDIATE_SECONDS + 0.01, make_event(immediate=True), URGENT_LATE),
        (-5.0, make_event(), IN_TIME),  # clocks that disagree
    ],
)
def test_time_runs_from_the_records_timestamp_by_priority_and_window(
    seconds: float, event: Event, counted: ObjectiveCounts
) -> None:
    assert judged(verdict(seconds), event) == counted


def test_lag_counts_although_the_process_has_just_read_the_event() -> None:
    event = make_event(now=at(3600))
    event.timestamp_ms = int(at(0).wall * 1000)
    assert judged(verdict(3601), event) == LATE


def test_a_record_without_a_timestamp_counts_from_its_arrival() -> None:
    event = make_event(now=at(3600))
    event.timestamp_ms = -1
    assert judged(verdict(3601), event) == IN_TIME
    assert judged(verdict(3700), event) == LATE


@pytest.mark.parametrize("status", Status)
def test_what_the_sender_or_an_operator_decided_counts_neither_way(status: Status) -> None:
    expected = IN_TIME if status is Status.ACCEPTED else LATE if status in COUNTED else NOTHING
    assert judged(verdict(1, status, send=None), make_event(expires_in=0.5)) == expected


def test_a_scheduled_event_counts_neither_way() -> None:
    scheduled = make_event(1, options=b'"flash":true,"scheduleAt":"2026-11-24T18:00:00Z"')
    assert judged(verdict(1), scheduled) == NOTHING
    assert judged(verdict(99, Status.FAILED, send=None), scheduled, make_event(2)) == LATE
    assert judged(verdict(1), make_event(options=b'"flash":true')) == IN_TIME


def test_an_event_that_was_over_when_it_was_published_counts_neither_way() -> None:
    over, ancient = make_event(expires_in=0.0), make_event()
    ancient.occurred = Instant(at(0).wall - POLICIES.max_event_age_seconds)
    for event in (over, ancient):
        assert judged(verdict(1, Status.EXPIRED, send=None), event) == NOTHING
    assert judged(verdict(1, Status.EXPIRED, send=None), make_event(expires_in=0.5)) == LATE


def held(campaign: int | None, since: float, until: float) -> Holds:
    """An operator has held something for a while."""
    holds = nothing_held()
    hold = CampaignHold(
        campaign_id=campaign,
        reject=False,
        reason="r",
        operator="anna",
        since=at(since).wall,
        held_since=at(since).wall,
    )
    release = Release(campaign_id=campaign, reason=None, operator="anna", at=at(until).wall, held_since=None)
    for said, seconds in ((hold, since), (release, until)):
        holds.heard([ControlRecord(0, 0, key_of(said), value_of(said))], NEVER, at(seconds))
    return holds


@pytest.mark.parametrize(
    "holds, counted",
    [
        (held(1, 10, 90), NOTHING),
        (held(None, 10, 90), NOTHING),
        (held(2, 10, 90), LATE),  # another campaign
        (held(1, -50, -10), LATE),  # before the event was published
        (held(1, 100, 200), LATE),  # after its end
    ],
)
def test_an_event_that_was_late_while_it_was_held_counts_neither_way(holds: Holds, counted: ObjectiveCounts) -> None:
    assert judged(verdict(95), make_event(), holds=holds) == counted
    assert judged(verdict(95, Status.FAILED), make_event(), holds=holds) == counted


def test_an_event_that_was_in_time_although_it_was_held_counts() -> None:
    assert judged(verdict(20), make_event(), holds=held(1, 1, 15)) == IN_TIME


def test_that_nobody_knew_what_is_held_excuses_nothing() -> None:
    holds = Holds(86_400.0)
    assert holds.is_blind(at(0))  # the control topic could not be read for a minute and a half
    holds.heard([], NEVER, at(90))
    assert judged(verdict(95), make_event(), holds=holds) == LATE
    assert list(holds.spans(1, at(95))), "no retry is counted meanwhile"


EVENTS = st.lists(st.tuples(st.floats(-5, 60), st.booleans()), min_size=1, max_size=40)
"""When each was published, and whether it is immediate."""


@given(EVENTS, st.floats(0, 60))
def test_a_batch_counts_like_its_events_one_by_one(published: Sequence[tuple[float, bool]], ended: float) -> None:
    events = [
        make_event(offset, now=at(seconds), immediate=immediate)
        for offset, (seconds, immediate) in enumerate(published)
    ]
    alone = [judged(verdict(ended), event) for event in events]
    assert judged(verdict(ended), *events) == ObjectiveCounts(*map(sum, zip(*alone, strict=True)))
