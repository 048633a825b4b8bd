"""What stands in the control topic, folded: holds, releases and cancellations, and whatever nobody can read."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.memory.platform_memory import StandstillSpan
from consumer.core.outcome import Reason, Status
from consumer.core.platform.control import (
    CampaignHold,
    Cancellation,
    ControlRecord,
    Forgotten,
    Release,
    UnreadableOrder,
    key_of,
    said_by,
    value_of,
)
from consumer.core.platform.holds import FRESH_SECONDS, Holds
from consumer.core.terms import Instant, Now, Ticks
from tests.core.makers import at, make_event

DAY = 86_400.0
START = at(0).wall

HOLD = CampaignHold(
    campaign_id=421, reject=False, reason="wrong template", operator="anna", since=START, held_since=START
)
EVERYTHING = replace(HOLD, campaign_id=None)
CANCELLED_EVENT = Cancellation(event_id="e-1", campaign_id=None, reason="by mistake", operator="anna", before=START)
CANCELLED_CAMPAIGN = replace(CANCELLED_EVENT, event_id=None, campaign_id=421)


def released(hold: CampaignHold, seconds: float) -> Release:
    return Release(
        campaign_id=hold.campaign_id,
        reason=None,
        operator="ben",
        at=Instant(hold.since + seconds),
        held_since=hold.held_since,
    )


def record(
    said: CampaignHold | Release | Cancellation | bytes | None, *, key: bytes | None = None, offset: int = 0
) -> ControlRecord:
    if isinstance(said, bytes | None):
        return ControlRecord(offset, int(START * 1000), key, said)
    return ControlRecord(offset, int(START * 1000), key_of(said) if key is None else key, value_of(said))


def fold(*records: ControlRecord, now: Now | None = None) -> Holds:
    holds = Holds(DAY)
    now = now or at(1)
    holds.heard(records, now.steady, now)
    return holds


@pytest.mark.parametrize("said", [HOLD, EVERYTHING, released(HOLD, 5), CANCELLED_EVENT, CANCELLED_CAMPAIGN])
def test_what_is_written_is_read_as_it_was_meant(said: CampaignHold | Release | Cancellation) -> None:
    assert said_by(record(said)) == said


@given(value=st.binary() | st.none(), key=st.binary() | st.none())
def test_whatever_stands_there_reading_never_fails_and_what_is_not_ours_holds(
    value: bytes | None, key: bytes | None
) -> None:
    said = said_by(ControlRecord(0, 0, key, value))
    if value is None and key is not None:
        assert said == Forgotten()
    else:
        assert isinstance(said, UnreadableOrder)
        assert fold(ControlRecord(0, 0, key, value)).holds_campaign(7)


BROKEN = {
    "no JSON": b"{",
    "no JSON object": b"[]",
    "reject is missing": orjson.dumps({**orjson.loads(value_of(HOLD)), "reject": None}).replace(b'"reject"', b'"x"'),
    "a word for a flag": orjson.dumps({**orjson.loads(value_of(HOLD)), "reject": "no"}),
    "another campaign than its key's": value_of(replace(HOLD, campaign_id=422)),
    "a kind that is to come": orjson.dumps({**orjson.loads(value_of(HOLD)), "kind": "slow"}),
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_a_hold_that_cannot_be_read_holds_its_campaign_alone_and_is_named(value: bytes) -> None:
    holds = fold(record(value, key=b"hold/421", offset=17))
    assert holds.holds_campaign(421)
    assert not holds.holds_campaign(422)
    (hold,) = holds.holds()
    assert "offset 17 cannot be read" in hold.reason


def test_a_record_that_names_no_campaign_and_cannot_be_read_holds_everything_until_a_release_of_all() -> None:
    stray = record(b"?", key=b"cancel/event/e-1")
    assert fold(stray).of_everybody is not None
    release = released(EVERYTHING, 5)
    assert fold(stray, record(release)).holds() == []
    assert fold(stray, record(CANCELLED_EVENT)).holds() == [], "another one under its key says what it should have"
    assert fold(stray, record(released(HOLD, 5))).of_everybody is not None


def test_a_hold_of_everything_and_one_of_a_campaign_are_two_holds() -> None:
    both = (record(HOLD), record(EVERYTHING))
    assert fold(*both, record(released(EVERYTHING, 5))).holds() == [HOLD]
    left = fold(*both, record(released(HOLD, 5)))
    assert left.holds_campaign(421)
    assert left.holds_campaign(7)


def test_a_second_hold_replaces_the_first_and_goes_on_with_its_time() -> None:
    second = replace(HOLD, reject=True, reason="worse", since=Instant(START + 60))
    holds = fold(record(HOLD), record(second), now=at(90))
    assert holds.holds() == [second]
    assert StandstillSpan(since=START, until=at(90).wall) in set(holds.spans(421, at(90)))


def test_time_on_hold_is_known_though_compaction_has_left_the_release_alone() -> None:
    holds = fold(record(released(HOLD, 3_600)), now=at(7_200))
    assert list(holds.spans(421, at(7_200))) == [StandstillSpan(since=START, until=Instant(START + 3_600))]
    assert list(holds.spans(7, at(7_200))) == []


def test_a_cancellation_is_of_what_was_published_before_it_and_ends_with_the_age_of_events() -> None:
    ended = (Status.CANCELLED, Reason.OPERATOR)
    others = (make_event(event_id="e-2", campaign=421, now=at(-1)), make_event(event_id="e-1", campaign=7, now=at(-1)))
    for cancellation, other in zip((CANCELLED_EVENT, CANCELLED_CAMPAIGN), others, strict=True):
        holds = fold(record(cancellation))
        old = make_event(event_id="e-1", campaign=421, now=at(-1))
        assert holds.ending(old) == ended
        assert holds.ending(make_event(event_id="e-1", campaign=421, now=at(0))) is None
        assert holds.ending(other) is None
        holds.heard([], at(DAY - 1).steady, at(DAY - 1))
        assert holds.ending(old) == ended
        assert holds.settles_any
        holds.heard([], at(DAY).steady, at(DAY))
        assert holds.cancellations() == []
        assert not holds.settles_any


def test_a_hold_that_rejects_settles_and_one_that_does_not_lets_wait() -> None:
    event = make_event(campaign=421)
    assert fold(record(HOLD)).ending(event) is None
    assert fold(record(replace(HOLD, reject=True))).ending(event) == (Status.REJECTED, Reason.HELD)
    assert fold(record(replace(EVERYTHING, reject=True))).ending(event) == (Status.REJECTED, Reason.HELD)
    assert fold(record(replace(HOLD, reject=True)), record(HOLD)).ending(event) is None


def test_what_was_read_is_good_for_less_than_two_seconds_and_time_without_it_counts_as_no_trying() -> None:
    holds = Holds(DAY)
    assert holds.is_blind(at(0))
    assert list(holds.spans(7, at(5))) == [StandstillSpan(since=START, until=at(5).wall)]
    holds.heard([], at(5).steady, at(5.5))
    assert not holds.is_blind(at(5 + FRESH_SECONDS))
    assert holds.is_blind(at(5 + FRESH_SECONDS + 0.01))
    assert next(iter(holds.spans(7, at(6)))) == StandstillSpan(since=START, until=at(5.5).wall)


def test_a_change_names_those_who_settle_and_those_who_go_on() -> None:
    holds = Holds(DAY)
    reject = replace(HOLD, reject=True)
    first = holds.heard([record(reject), record(EVERYTHING)], Ticks(0), at(0))
    assert first.campaigns == {421}
    assert first.settles
    assert not first.released
    second = holds.heard([record(released(HOLD, 1)), record(released(EVERYTHING, 1))], Ticks(1), at(1))
    assert second.released == {421}
    assert not second.settles
    third = holds.heard([record(CANCELLED_EVENT), record(CANCELLED_CAMPAIGN)], Ticks(2), at(2))
    assert third.events == {"e-1"}
    assert third.campaigns == {421}
    assert holds.heard([], Ticks(3), at(3)).said == ()


def test_a_topic_that_lost_what_was_read_of_it_holds_everything_until_somebody_says_otherwise() -> None:
    holds = fold()
    holds.cannot_go_on("the control topic is shorter than what was read of it", at(1))
    assert holds.holds_campaign(7)
    holds.heard([record(released(EVERYTHING, 9))], at(2).steady, at(2))
    assert not holds.holds_campaign(7)


@pytest.mark.parametrize("key", [b"hold/0421", b"hold/x", b"hold/", b"hold/421/1", b"cancel/event/421", b"421", b"?"])
def test_a_tombstone_under_another_key_lifts_no_hold(key: bytes) -> None:
    stray = record(b"{", key=b"who knows")
    assert len(fold(record(HOLD), record(EVERYTHING), stray, record(None, key=key)).holds()) == 3


def test_a_tombstone_of_the_hold_of_everything_lifts_nothing_that_nobody_can_read() -> None:
    holds = fold(record(b"{", key=b"who knows"), record(EVERYTHING), record(None, key=key_of(EVERYTHING)))
    assert [hold.operator for hold in holds.holds()] == ["unknown"]


def test_a_tombstone_forgets() -> None:
    for said in (HOLD, EVERYTHING, CANCELLED_EVENT, CANCELLED_CAMPAIGN):
        holds = fold(record(said), record(None, key=key_of(said)))
        assert (holds.holds(), holds.cancellations()) == ([], [])
