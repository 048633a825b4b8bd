"""What comes back when much stands in its way: crowds of held campaigns, silent partitions, backlogs of immediate events."""

from dataclasses import replace
from typing import Any

import pytest

from consumer.core.commands import ReadAgain
from consumer.core.outcome import Status
from consumer.core.platform.answer import Answer
from consumer.core.reading.room import Room
from consumer.core.terms import Partition
from tests.core.makers import P0
from tests.core.operators import Operator
from tests.core.runner import OK, Request, accepting
from tests.core.test_read_ahead import BULK, OTHER, OTP, POLICIES, PROMPT_SECONDS, SLOW, Reader, slow_for_bulk

CROWD = range(10, 40)
"""More campaigns than could each have a share of what the ones before have left."""


class SilentReader(Reader):
    """Some partitions are not given out again."""

    def __post_init__(self) -> None:
        self.silent: set[Partition] = set()
        self.asked_in_vain: set[Partition] = set()
        super().__post_init__()

    def _read_again(self, one: ReadAgain) -> None:
        if one.lane.partition in self.silent:
            self.asked_in_vain.add(one.lane.partition)
        else:
            super()._read_again(one)


def slow_for_the_crowd(request: Request) -> tuple[Answer, float]:
    return OK, SLOW if request.campaign in CROWD else 0.05


def assert_nobody_else_waits(reader: Reader, operator: Operator) -> None:
    """What is urgent, and what is another campaign's, goes out at once; the crowd does when it may."""
    reader.go_on(20.0)
    urgent, other = reader.publish(
        [
            reader.event(campaignId=OTP, phone="+34700000001", priority="immediate"),
            reader.event(campaignId=OTHER, phone="+34700000002"),
        ]
    )
    reader.go_on(2.0)
    sent_at = [reader.sent_at(offset) or float("inf") for offset in (urgent, other)]
    assert sent_at[0] < reader.time - 2.0 + PROMPT_SECONDS
    assert sent_at[1] < reader.time - 2.0 + PROMPT_SECONDS + 0.2
    reader.platform = accepting
    for campaign in CROWD:
        operator.release(campaign)
    reader.ends()


def test_however_many_campaigns_are_held_they_stand_in_nobodys_way() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd)
    operator = Operator(reader)
    for campaign in CROWD:
        operator.hold(campaign)
        reader.bulk(100, campaign=campaign)
    reader.go_on(10.0)
    assert reader.parked > 2_000
    assert_nobody_else_waits(reader, operator)


def test_campaigns_that_are_held_once_they_have_their_share_one_after_another_stand_in_nobodys_way() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd)
    operator = Operator(reader)
    for campaign in CROWD:
        reader.bulk(200, campaign=campaign)
        reader.go_on(0.5)
        operator.hold(campaign)
        reader.go_on(0.5)
    assert reader.parked > 2_000
    assert_nobody_else_waits(reader, operator)


def test_partitions_that_nobody_gives_out_keep_no_other_from_coming_back() -> None:
    partitions = [Partition(P0.topic, number) for number in range(6)]
    *silent, alive = partitions
    reader = SilentReader(policies=POLICIES, platform=slow_for_bulk, partitions=partitions)
    for partition in partitions:
        reader.bulk(200, partition)
    reader.go_on(2.0)
    reader.silent.update(silent)
    reader.go_on(300.0)
    assert reader.asked_in_vain == {*silent}
    assert not reader.pipeline.lanes[alive].parked
    assert {offset for number, offset in reader.results if number == alive.number} == {*reader.topic[alive]}


def test_a_parked_event_that_is_cancelled_ends_although_its_campaign_is_held() -> None:
    reader = Reader(policies=POLICIES)
    operator = Operator(reader)
    operator.hold(BULK)
    reader.bulk(900)
    (offset,) = reader.publish([reader.event(campaignId=BULK, eventId="unwanted", phone="+34700000000")])
    reader.go_on(3.0)
    assert (0, offset) not in reader.records, "it is parked"
    operator.cancel(event="unwanted")
    reader.go_on(PROMPT_SECONDS)
    assert set(reader.results) == {(0, offset)}
    assert reader.results[0, offset].status is Status.CANCELLED
    operator.release(BULK)
    reader.ends()


def test_a_backlog_of_immediate_events_is_not_read_whole_for_each_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.core.test_read_ahead.FETCHED", 500)
    policies = replace(POLICIES, buffer_max_events=1_600, parked_range_records=8_192, max_concurrency=16)
    policies = replace(policies, default=replace(policies.default, max_concurrency=16))
    reader = Reader(policies=policies, platform=lambda request: (OK, 0.5 + request.offsets[0][1] % 23 / 50))
    reader.bulk(4_000, priority="immediate")
    reader.ends()
    assert 0 < reader.read_again < 4 * 4_000


def test_passes_over_the_newest_leave_no_range_each() -> None:
    reader = Reader(
        policies=replace(POLICIES, parked_range_records=8_192),
        platform=lambda request: (OK, 300.0 if request.campaign == BULK and request.at < 300.0 else 0.05),
    )
    reader.bulk(300)
    reader.go_on(2.0)
    before = len(reader.pipeline.lanes[P0].parked.ranges)
    passes = 40
    for index in range(passes):
        first, urgent = (reader.event(campaignId=BULK, phone=f"+34700000{index:03}") for _ in range(2))
        reader.publish([first, urgent | {"priority": "immediate"}])
        reader.bulk(1, campaign=BULK)
        reader.go_on(0.3)
    assert reader.read_again > passes
    assert len(reader.pipeline.lanes[P0].parked.ranges) < before + passes // 4
    reader.ends()


def test_a_thousand_campaigns_that_have_little_each_leave_room_for_what_is_immediate() -> None:
    reader = Reader(policies=POLICIES, platform=lambda _request: (OK, 300.0))
    for campaign in range(1_000, 2_000):
        reader.bulk(2, campaign=campaign)
    reader.go_on(5.0)
    assert reader.parked > 1_500
    urgent = reader.publish(
        reader.event(campaignId=OTP, phone=f"+3470000000{n}", priority="immediate") for n in range(9)
    )
    reader.go_on(PROMPT_SECONDS)
    assert all((0, offset) in reader.records for offset in urgent), "they are in hand"


def test_a_look_asks_of_each_full_campaign_once_and_not_in_each_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    partitions, campaigns = [Partition(P0.topic, number) for number in range(6)], range(1_000, 1_400)
    policies = replace(POLICIES, buffer_max_events=2_000)
    reader = Reader(policies=policies, platform=lambda _request: (OK, 300.0), partitions=partitions)
    for partition in partitions:
        reader.publish((reader.event(campaignId=one, phone=f"+34{one:09}") for one in [*campaigns] * 4), partition)
    reader.go_on(10.0)
    assert reader.parked > 7_000
    asked, ask = [0], Room.admits

    def counted(*args: Any, **named: Any) -> bool:
        asked[0] += 1
        return ask(*args, **named)

    monkeypatch.setattr(Room, "admits", counted)
    reader.go_on(1.0)
    assert asked[0] < len(campaigns)


def test_a_person_with_a_thousand_parked_events_does_not_fill_the_buffer_for_one_that_is_immediate() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_bulk)
    reader.bulk(400)
    reader.publish(reader.event(campaignId=BULK, phone="+34700000000") for _ in range(1_000))
    reader.go_on(3.0)
    reader.publish([reader.event(campaignId=BULK, phone="+34700000000", priority="immediate")])
    reader.go_on(10.0)
    for number in range(3):
        (other,) = reader.publish([reader.event(campaignId=OTP, phone=f"+3470000001{number}", priority="immediate")])
        assert reader.waits_for(other, seconds=10.0) < PROMPT_SECONDS
        reader.go_on(60.0)
    assert reader.read_again < 60_000, "nor is all of it read again and again while there is no room"
