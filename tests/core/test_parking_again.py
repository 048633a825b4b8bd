"""Campaigns that are stopped once the buffer is full of them: they give their room to others. On made-up time."""

from dataclasses import replace
from typing import Any

from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answer, Answered
from consumer.core.policy import CampaignPolicy, SameContact
from consumer.core.reading.read_ahead import TIGHT
from consumer.core.sending.deadlines import EVENTS_AT_ONCE
from consumer.core.terms import Partition, Ticks
from tests.core.makers import P0, P1
from tests.core.operators import Operator
from tests.core.runner import OK, Request, accepting
from tests.core.test_read_ahead import BUFFER, BULK, OTHER, OTP, POLICIES, PROMPT_SECONDS, SLOW, Reader

CROWD, SMALL, LATER = range(10, 40), range(100, 140), range(200, 240)
"""Campaigns that have filled the buffer when they are stopped; and so many with one event each that nearly none of it is left."""
WINDOW_SECONDS = POLICIES.default.window_seconds
WAIT_SECONDS = 600.0


def is_in_the_way(request: Request) -> bool:
    return request.campaign in CROWD or request.campaign in SMALL


def slow_for_the_crowd(request: Request) -> tuple[Answer, float]:
    return OK, SLOW if is_in_the_way(request) else 0.05


def crowd(reader: Reader, each: int = 30, **changes: Any) -> None:
    """Let campaigns fill the buffer: those that have much, then others that have little."""
    reader.publish(
        reader.event(campaignId=campaign, phone=f"+346{campaign}{index:06}", **changes)
        for index in range(each)
        for campaign in CROWD
    )
    reader.go_on(2.0)
    reader.publish(reader.event(campaignId=campaign, phone=f"+346{campaign}000000", **changes) for campaign in SMALL)
    reader.go_on(1.0)
    assert reader.pipeline.buffer.held_events > 0.94 * BUFFER


def stop(reader: Reader, operator: Operator) -> None:
    """Hold all of them, and others with one event each as soon as that is in a window."""
    for campaign in (*CROWD, *SMALL):
        operator.hold(campaign)
    reader.go_on(SLOW + 1.0)
    for campaign in LATER:
        reader.publish([reader.event(campaignId=campaign)])
        reader.go_on(0.1)
        operator.hold(campaign)
    reader.go_on(1.0)


def release(operator: Operator) -> None:
    operator.runner.platform = accepting
    for campaign in (*CROWD, *SMALL, *LATER):
        operator.release(campaign)


def assert_others_go_on(reader: Reader, partition: Partition = P0) -> None:
    """Ordinary events of another campaign go out in time, again and again: far more than the last of the room."""
    for round_number in range(12):
        offsets = reader.publish(
            (reader.event(campaignId=OTHER, phone=f"+3470{round_number:03}{index:04}") for index in range(20)),
            partition,
        )
        for offset in offsets:
            assert reader.waits_for(offset, partition, seconds=10.0) < WINDOW_SECONDS + PROMPT_SECONDS


def assert_in_order(reader: Reader) -> None:
    """What one person gets, they get in the order in which it was published."""
    furthest: dict[tuple[int, str], int] = {}
    for request in reader.requests:
        for (number, offset), person in zip(request.offsets, request.persons, strict=True):
            assert furthest.get((number, person), -1) <= offset
            furthest[number, person] = offset


def test_campaigns_that_are_held_all_at_once_when_the_buffer_is_full_of_them_give_room_to_others() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd)
    operator = Operator(reader)
    crowd(reader)
    stop(reader, operator)
    assert_others_go_on(reader)
    lane = reader.pipeline.lanes[P0]
    assert lane.held_back.events == len(lane.in_hand)
    release(operator)
    reader.ends()
    assert_in_order(reader)


def test_campaigns_that_are_asked_to_wait_when_the_buffer_is_full_of_them_give_room_to_others() -> None:
    refused = 0

    def throttled(request: Request) -> tuple[Answer, float]:
        nonlocal refused
        if is_in_the_way(request) and request.at < WAIT_SECONDS:
            refused += len(request.offsets)
            answer = Answered(status=429, retry_after_seconds=2 * WAIT_SECONDS, body=None)
            return answer, SLOW if request.at < 3.0 else 0.05
        return OK, 0.05

    short_lived = replace(POLICIES, default=replace(POLICIES.default, max_age_seconds=WAIT_SECONDS / 4))
    reader = Reader(policies=short_lived, platform=throttled)
    crowd(reader)
    reader.go_on(SLOW + 2.0)
    assert_others_go_on(reader)
    assert any(lane.trials for lane in reader.pipeline.lanes.values()), "what was tried is parked again, too"
    reader.ends(refused=refused)
    assert refused > 100, "and what it went through made nobody too old"
    assert not reader.pipeline.queue.awaited
    assert all(verdict.status is Status.ACCEPTED for verdict in reader.results.values())
    assert_in_order(reader)


def test_of_campaigns_that_are_refused_one_event_each_stays_by_which_it_is_found_out_that_they_are_let_in() -> None:
    refused = 0
    lets_in = False

    def refusing(request: Request) -> tuple[Answer, float]:
        nonlocal refused
        if is_in_the_way(request) and not lets_in:
            refused += len(request.offsets)
            return Answered(status=403, retry_after_seconds=None, body=None), SLOW if request.at < 3.0 else 0.05
        return OK, 2 * WAIT_SECONDS if request.campaign == BULK else 0.05

    reader = Reader(policies=POLICIES, platform=refusing)
    crowd(reader)
    for _ in range(60):  # whoever is let in narrows a stop to those that were refused
        reader.publish([reader.event(campaignId=OTP, phone=f"+3480{reader.serial:07}", priority="immediate")])
        reader.go_on(1.0)
    assert len(reader.pipeline.access.refused) == len(CROWD) + len(SMALL)
    assert_others_go_on(reader)
    reader.bulk(2 * BUFFER)
    reader.go_on(10.0)
    assert reader.pipeline.buffer.held_events > TIGHT * BUFFER, "there is no room for them to come back to"
    lets_in = True
    reader.go_on(WAIT_SECONDS, lambda: not reader.pipeline.access.refused)
    assert not reader.pipeline.access.refused
    reader.platform = accepting
    reader.ends(refused=refused)
    assert_in_order(reader)


def test_with_an_event_goes_whoever_waits_behind_it_for_its_person_or_its_id() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd, partitions=(P0, P1))
    operator = Operator(reader)
    for partition in (P0, P1):
        for campaign in CROWD:
            phone = f"+346{campaign}{partition.number}00000"
            first, second, third = (reader.event(campaignId=campaign, phone=phone) for _ in range(3))
            urgent = {**third, "priority": "immediate"}
            reader.publish([first, second, first, third, {**second, "campaignId": campaign + 1}, urgent], partition)
    reader.go_on(2.0)
    assert any(lane.repeats for lane in reader.pipeline.lanes.values())
    before = reader.pipeline.buffer.held_events
    stop(reader, operator)
    assert reader.pipeline.buffer.held_events < TIGHT * BUFFER < before
    for partition in (P0, P1):
        assert_others_go_on(reader, partition)
    release(operator)
    reader.ends()
    assert_in_order(reader)
    statuses = [verdict.status for verdict in reader.results.values()]
    assert statuses.count(Status.DUPLICATE) == 3 * 2 * len(CROWD)
    for (_, offset), verdict in reader.results.items():
        assert verdict.status is not Status.DUPLICATE or (verdict.related and verdict.related.offset < offset)


def test_an_event_that_another_campaign_repeats_stays_with_whoever_stands_before_it() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd)
    operator = Operator(reader)
    first, second, *later = (reader.event(campaignId=CROWD[0], phone="+34700000001") for _ in range(50))
    operator.hold(CROWD[0])
    offsets = reader.publish([first, second, {**second, "campaignId": OTHER}, *later])
    crowd(reader)
    stop(reader, operator)
    assert_others_go_on(reader)
    in_hand = {event.offset for event in reader.pipeline.lanes[P0].in_hand.values()}
    assert {*offsets[:2]} <= in_hand
    assert any((0, offset) in reader.records and offset not in in_hand for offset in offsets[3:])
    release(operator)
    reader.ends()
    assert_in_order(reader)


def test_what_waits_in_long_windows_gives_way_too() -> None:
    patient = CampaignPolicy(window_seconds=30.0, max_contacts=500)
    campaigns = dict.fromkeys((*CROWD, *SMALL, *LATER), patient)
    reader = Reader(policies=replace(POLICIES, campaigns=campaigns), platform=slow_for_the_crowd)
    operator = Operator(reader)
    crowd(reader)
    stop(reader, operator)
    assert_others_go_on(reader)
    release(operator)
    reader.ends()


def test_immediate_events_of_campaigns_that_are_held_do_not_keep_those_of_others_waiting() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd)
    operator = Operator(reader)
    crowd(reader, priority="immediate")
    stop(reader, operator)
    for index in range(30):
        (urgent,) = reader.publish([reader.event(campaignId=OTP, phone=f"+3470{index:07}", priority="immediate")])
        assert reader.waits_for(urgent, seconds=10.0) < PROMPT_SECONDS
    assert_others_go_on(reader)
    release(operator)
    reader.ends()


def test_what_is_parked_again_expires_in_time_and_is_cancelled_at_once() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_the_crowd)
    operator = Operator(reader)
    crowd(reader, expires_in=60.0)
    stop(reader, operator)
    held = {
        (record.partition.number, record.offset)
        for lane in reader.pipeline.lanes.values()
        for record in lane.in_hand.values()
    }
    gone = sorted(set(reader.records) - set(reader.results) - held)
    assert len(gone) > BUFFER // 4
    place = gone[0]
    operator.cancel(event=reader.records[place].event_id)
    reader.go_on(PROMPT_SECONDS)
    assert reader.results[place].status is Status.CANCELLED
    reader.go_on(60.0 + PROMPT_SECONDS - reader.time)
    assert {reader.results[place].reason for place in gone[1:]} == {Reason.DEADLINE}
    release(operator)
    reader.ends()


def test_who_takes_over_sends_what_was_parked_again_once_and_knows_what_was_tried() -> None:
    refused = 0

    def throttled(request: Request) -> tuple[Answer, float]:
        nonlocal refused
        if is_in_the_way(request) and request.at < WAIT_SECONDS:
            refused += len(request.offsets)
            return Answered(status=429, retry_after_seconds=WAIT_SECONDS, body=None), SLOW if request.at < 3.0 else 0.05
        return OK, 0.05

    reader = Reader(policies=POLICIES, platform=throttled)
    crowd(reader)
    reader.go_on(SLOW + 2.0)
    tried = dict(reader.pipeline.lanes[P0].trials)
    assert tried
    reader.checkpoint()
    reader.pipeline.drop(P0)
    lane = reader.take(P0, process="other")
    assert {offset: lane.trials[offset] for offset in tried} == tried
    reader.ends(refused=refused)


def test_a_newer_event_takes_the_place_of_one_that_was_parked_again() -> None:
    latest = replace(POLICIES.default, same_contact=SameContact.KEEP_LATEST)
    campaigns = dict.fromkeys(CROWD, latest)
    reader = Reader(policies=replace(POLICIES, campaigns=campaigns), platform=slow_for_the_crowd)
    operator = Operator(reader)
    crowd(reader)
    stop(reader, operator)
    (older,) = reader.publish([reader.event(campaignId=CROWD[0], phone="+34700000001")])
    (newer,) = reader.publish([reader.event(campaignId=CROWD[0], phone="+34700000001")])
    release(operator)
    reader.ends()
    assert reader.results[0, older].status is Status.SUPERSEDED
    assert reader.results[0, newer].status is Status.ACCEPTED


class Watched(Reader):
    """Knows how much a turn has taken out of hand at most."""

    def __post_init__(self) -> None:
        self.most = 0
        super().__post_init__()

    def turn(self) -> Ticks | None:
        before = self.pipeline.buffer.held_events
        wake_at = super().turn()
        self.most = max(self.most, before - self.pipeline.buffer.held_events)
        return wake_at


LARGE = 8_000


def one_person_fills_the_buffer(reader: Reader) -> list[int]:
    """Let somebody have thousands of events in hand, and repeats of them, behind slots that are taken for long."""
    reader.bulk(2 * POLICIES.default.max_contacts, campaign=CROWD[0])
    reader.go_on(1.0)
    events = [reader.event(campaignId=CROWD[0], phone="+34799999999") for _ in range(3_000)]
    offsets = reader.publish([*events, *[events[0]] * 1_500, *[events[-1]] * 1_500])
    reader.bulk(3_000, campaign=CROWD[1])
    reader.go_on(12.0)
    assert reader.pipeline.buffer.held_events > TIGHT * LARGE
    return offsets


def very_slow(_request: Request) -> tuple[Answer, float]:
    return OK, 60.0


def test_a_turn_parks_few_again_however_much_one_person_has_in_hand() -> None:
    policies = replace(POLICIES, buffer_max_events=LARGE, parked_range_records=1_000)
    reader = Watched(policies=policies, platform=very_slow)
    operator = Operator(reader)
    one_person_fills_the_buffer(reader)
    for campaign in CROWD:
        operator.hold(campaign)
    reader.go_on(2.0)
    assert EVENTS_AT_ONCE // 2 < reader.most <= EVENTS_AT_ONCE + POLICIES.default.max_contacts
    assert reader.pipeline.buffer.held_events < TIGHT * LARGE
    release(operator)
    reader.ends()
    assert_in_order(reader)


def test_what_operators_have_cancelled_ends_before_anything_is_parked_again() -> None:
    policies = replace(POLICIES, buffer_max_events=LARGE, parked_range_records=1_000)
    reader = Watched(policies=policies, platform=very_slow)
    operator = Operator(reader)
    reader.bulk(2 * LARGE, campaign=CROWD[0])
    reader.go_on(12.0)
    operator.hold(CROWD[0])
    for _ in range(1_000):
        if reader.most:
            break
        reader.readable()
        reader.turn()
        reader.time += 0.001
    waits = [event for event in reader.pipeline.lanes[P0].in_hand.values() if reader.sent_at(event.offset) is None]
    mine = [event.offset for event in waits if event.group.campaign_id == CROWD[0]]
    assert len(mine) > 2_000
    operator.cancel(campaign=CROWD[0])
    reader.run(until=reader.time + 0.02)
    assert {reader.results[0, offset].status for offset in mine} == {Status.CANCELLED}
