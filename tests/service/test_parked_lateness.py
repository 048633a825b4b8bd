"""Parked records wait as those in hand do: they count for what waits, for whom operators hold, and for lateness."""

from dataclasses import replace

import pytest

from consumer.core.policy import Policies
from consumer.service.lateness import late_seconds
from consumer.service.sending import held_events, waiting_events, why_not_sending
from consumer.service.verdict import VerdictCause
from tests.core.makers import P0, at
from tests.core.operators import Operator
from tests.core.runner import OK
from tests.core.test_read_ahead import BULK, OTHER, OTP, POLICIES, Reader

SECONDS = 40.0


def held_up(*, campaign: int | None) -> Reader:
    """A campaign, or everything, is held, and most of its thousand events are parked."""
    reader = Reader(policies=POLICIES, platform=lambda _request: (OK, 300.0))
    Operator(reader).hold(campaign)
    reader.bulk(1_000)
    reader.go_on(SECONDS)
    assert reader.parked > 900
    return reader


def late(reader: Reader) -> float:
    return late_seconds(reader.pipeline, reader.policies, at(reader.time), unread=lambda _lane: None)


@pytest.mark.parametrize("campaign", [BULK, None], ids=["one campaign", "everything"])
def test_what_is_parked_of_who_is_held_waits_for_operators_alone_and_is_not_late(campaign: int | None) -> None:
    reader = held_up(campaign=campaign)
    assert waiting_events(reader.pipeline) == 0
    assert held_events(reader.pipeline) == 1_000
    told = [one for one in why_not_sending(reader.pipeline, at(reader.time)) if one.cause is VerdictCause.HOLDS]
    assert [one.events for one in told] == [1_000]
    assert late(reader) == 0.0


def test_what_is_parked_before_a_platform_that_hangs_waits_and_is_late() -> None:
    reader = Reader(policies=POLICIES, platform=lambda _request: (OK, 300.0))
    reader.bulk(1_000)
    reader.go_on(SECONDS)
    assert waiting_events(reader.pipeline) == 1_000
    lane = reader.pipeline.lanes[P0]
    lane.in_hand.clear()  # by itself it is as late as what was in hand
    assert late(reader) == pytest.approx(SECONDS - POLICIES.default.window_seconds, abs=0.2)


def test_a_parked_record_is_not_late_because_somebody_who_is_held_stands_in_its_range() -> None:
    reader = held_up(campaign=BULK)
    reader.platform = lambda _request: (OK, 300.0)
    reader.bulk(300, campaign=OTP, priority="immediate")
    reader.go_on(1.0)
    reader.bulk(1, campaign=OTHER)
    reader.go_on(1.0)
    assert OTHER in reader.pipeline.lanes[P0].parked.campaigns
    assert late(reader) < 3.0


@pytest.mark.parametrize(
    "policies, bound",
    [
        (replace(POLICIES, max_ahead=50), "CAMPAIGN_KAFKA__MAX_AHEAD"),
        (replace(POLICIES, buffer_max_bytes=200_000), "half of CAMPAIGN_BUFFER__MAX_BYTES"),
    ],
    ids=["ranges", "memory"],
)
def test_where_reading_stops_it_is_said_which_setting_stops_it(policies: Policies, bound: str) -> None:
    reader = Reader(policies=policies, platform=lambda _request: (OK, 300.0))
    reader.bulk(5_000)
    reader.go_on(10.0)
    buffer, lane = reader.pipeline.buffer, reader.pipeline.lanes[P0]
    assert lane.watermark.position < 5_000
    assert buffer.bound_of(lane) == bound
    shortage = buffer.shortage()
    assert shortage is not None
    assert f"{bound} allows, so nothing more is read" in shortage.what
    assert shortage.bounded_by == f"{bound} bounds it"
