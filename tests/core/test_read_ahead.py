"""Reading past what has no room: who is taken, who is parked and comes back, and in which order. On made-up time."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answer, Answered
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Offset, Partition
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import P0, P1, at
from tests.core.operators import Operator
from tests.core.runner import OK, Request, Runner

BUFFER = 200
FETCHED = 50
ROUND_SECONDS = 0.05
BULK, OTP, OTHER = 1, 2, 3
SLOW = 5.0
PROMPT_SECONDS = 1.0
"""What nobody's backlog may cost another one's event more than."""

POLICIES = Policies(
    default=CampaignPolicy(window_seconds=0.2, max_contacts=20, max_concurrency=2, max_attempts=8),
    max_concurrency=8,
    buffer_max_events=BUFFER,
    parked_range_records=40,
)


def slow_for_bulk(request: Request) -> tuple[Answer, float]:
    return OK, SLOW if request.campaign == BULK else 0.05


class Reader(Runner):
    """Reads its topic as the service does: what may be read now, so much at once. The platform has let it in before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pipeline.access.accepted(OTP, at(self.time))

    def publish(self, documents: Iterable[dict[str, Any]], partition: Partition = P0) -> list[int]:
        """Append to the events topic; return the offsets."""
        stored = self.topic.setdefault(partition, {})
        offsets = []
        for document in documents:
            offset = self.ends_at(partition)
            stored[offset] = WildRecord(
                value=orjson.dumps(document), offset=offset, timestamp=int(at(self.time).wall * 1000)
            )
            offsets.append(offset)
        return offsets

    def ends_at(self, partition: Partition) -> int:
        """Return where the topic ends; retention takes nothing from its end."""
        return max(self.topic.get(partition, ()), default=-1) + 1

    def bulk(self, count: int, partition: Partition = P0, campaign: int = BULK, **changes: Any) -> list[int]:
        """Publish events of one campaign, each for a person of its own."""
        events = (
            self.event(campaignId=campaign, phone=f"+346{campaign}{partition.number}{index:06}", **changes)
            for index in range(count)
        )
        return self.publish(events, partition)

    def go_on(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass: read, and send."""
        end = self.time + seconds
        while self.time < end and not until():
            self._round()
            self.run(until=min(end, self.time + ROUND_SECONDS))
            self.time = max(self.time, min(end, self.time + ROUND_SECONDS))

    def _round(self) -> None:
        for partition in sorted(self.readable()):
            lane = self.pipeline.lanes[partition]
            position, stored = lane.watermark.position, self.topic.get(partition, {})
            batch = [stored[offset] for offset in range(position, self.ends_at(partition)) if offset in stored][
                :FETCHED
            ]
            if batch:
                self.fetched(lane, batch)
            assert self.pipeline.buffer.held_events <= self.policies.buffer_max_events

    def sent_at(self, offset: int, partition: Partition = P0) -> float | None:
        """When the request that carried a record started, None where none did."""
        return next((one.at for one in self.requests if (partition.number, offset) in one.offsets), None)

    def waits_for(self, offset: int, partition: Partition = P0, *, seconds: float) -> float:
        """How long it takes until a record's request starts."""
        since = self.time
        self.go_on(seconds, lambda: self.sent_at(offset, partition) is not None)
        sent_at = self.sent_at(offset, partition)
        assert sent_at is not None, "its request has not started"
        return sent_at - since

    @property
    def parked(self) -> int:
        """How many records are parked."""
        return sum(lane.parked.count for lane in self.pipeline.lanes.values())

    def ends(self, *, refused: int = 0) -> None:
        """Everything that was published has its outcome, once, and is committed; so many contacts had been refused."""
        self.go_on(3_000.0, lambda: len(self.results) == sum(map(len, self.topic.values())))
        self.go_on(1.0)
        for partition, stored in self.topic.items():
            lane = self.pipeline.lanes[partition]
            assert {offset for number, offset in self.results if number == partition.number} == {*stored}
            assert lane.watermark.value == len(stored)
            assert not lane.parked
            assert not lane.undecided
        references = [reference for request in self.requests for reference in request.references]
        assert len(references) == len(set(references)) + refused, "nobody is texted twice"


def backlog(policies: Policies = POLICIES, **more: Any) -> Reader:
    """A reader whose buffer is full of one campaign, with a thousand more events of it behind."""
    reader = Reader(policies=policies, platform=slow_for_bulk, **more)
    reader.bulk(1_000)
    reader.go_on(2.0)
    assert reader.parked > 500
    return reader


@pytest.mark.parametrize("partition", [P0, P1], ids=["behind it", "in another partition"])
def test_an_immediate_event_leaves_at_once_whatever_backlog_there_is(partition: Partition) -> None:
    reader = backlog(partitions=(P0, P1))
    (offset,) = reader.publish([reader.event(campaignId=OTP, priority="immediate")], partition)
    assert reader.waits_for(offset, partition, seconds=5.0) < PROMPT_SECONDS
    reader.ends()


@pytest.mark.parametrize("partition", [P0, P1], ids=["behind it", "in another partition"])
def test_an_ordinary_event_of_another_campaign_waits_for_its_window_alone(partition: Partition) -> None:
    reader = backlog(partitions=(P0, P1))
    (offset,) = reader.publish([reader.event(campaignId=OTHER)], partition)
    assert reader.waits_for(offset, partition, seconds=5.0) < 0.2 + PROMPT_SECONDS
    reader.ends()


def test_an_immediate_event_of_the_backlogs_own_campaign_leaves_before_it() -> None:
    reader = backlog()
    (offset,) = reader.publish([reader.event(campaignId=BULK, phone="+34799999999", priority="immediate")])
    assert reader.waits_for(offset, seconds=20.0) <= SLOW + PROMPT_SECONDS, "the next slot of its campaign is its own"
    reader.ends()


def test_an_immediate_event_takes_its_persons_parked_ones_along_and_before_it() -> None:
    reader = Reader(policies=replace(POLICIES, reserved_concurrency=2), platform=slow_for_bulk)
    reader.bulk(600)
    first, second = reader.publish(reader.event(campaignId=BULK, phone="+34700000000") for _ in range(2))
    reader.bulk(300, campaign=BULK)
    reader.go_on(2.0)
    assert reader.sent_at(first) is None
    (urgent,) = reader.publish([reader.event(campaignId=BULK, phone="+34700000000", priority="immediate")])
    reader.go_on(1.0)
    assert all((0, offset) in reader.records for offset in (first, second, urgent)), "they are in hand"
    reader.ends()
    times = [reader.sent_at(offset) for offset in (first, second, urgent)]
    assert times == sorted(times, key=lambda one: one or 0.0)
    assert len(set(times)) == len(times)


def test_of_two_records_of_one_id_the_earlier_wins_although_it_was_parked_when_the_later_came() -> None:
    reader = Reader(policies=POLICIES, platform=slow_for_bulk)
    reader.bulk(900)
    (first,) = reader.publish([reader.event(campaignId=BULK, eventId="twice", phone="+34700000000")])
    reader.go_on(2.0)
    (repeat,) = reader.publish([reader.event(campaignId=OTP, eventId="twice", priority="immediate")])
    reader.go_on(1.0)
    reader.ends()
    assert reader.results[0, first].status is Status.ACCEPTED
    assert reader.results[0, repeat].status is Status.DUPLICATE
    related = reader.results[0, repeat].related
    assert related is not None
    assert related.offset == first


def test_a_held_campaign_never_blocks_its_partition_and_comes_back_when_it_is_released() -> None:
    reader = Reader(policies=POLICIES)
    operator = Operator(reader)
    operator.hold(BULK)
    reader.bulk(1_000)
    reader.go_on(2.0)
    held = reader.pipeline.buffer.held_events
    assert held <= BUFFER // 4, "a campaign that cannot go on takes little"
    assert reader.parked == 1_000 - held
    assert reader.pipeline.buffer.is_read_past, "although the buffer has room for others"
    (offset,) = reader.publish([reader.event(campaignId=OTHER)])
    assert reader.waits_for(offset, seconds=5.0) < PROMPT_SECONDS
    operator.release(BULK)
    reader.ends()
    assert not reader.pipeline.buffer.is_read_past


def test_a_campaign_that_is_asked_to_wait_for_ten_minutes_stands_in_nobodys_way() -> None:
    asked: list[int] = []

    def throttled(request: Request) -> tuple[Answer, float]:
        if request.campaign == BULK and request.at < 600.0:
            asked.append(len(request.offsets))
            return Answered(status=429, retry_after_seconds=600.0, body=None), 0.01
        return OK, 0.05

    reader = Reader(policies=POLICIES, platform=throttled)
    reader.bulk(1_000)
    reader.go_on(2.0)
    for _ in range(5):
        offset, other = reader.publish(
            [reader.event(campaignId=OTP, priority="immediate"), reader.event(campaignId=OTHER, phone="+34700000001")]
        )
        assert reader.waits_for(offset, seconds=5.0) < PROMPT_SECONDS
        assert reader.waits_for(other, seconds=5.0) < PROMPT_SECONDS
        reader.go_on(60.0)
    assert len(asked) <= 2
    reader.ends(refused=sum(asked))


@pytest.mark.parametrize("campaign", [BULK, OTP], ids=["of the backlog", "of another campaign"])
def test_a_parked_event_expires_in_time(campaign: int) -> None:
    reader = backlog()
    operator = Operator(reader)
    operator.hold(campaign)
    offsets = reader.bulk(60, campaign=campaign, expires_in=10.0)
    due = reader.time + 10.0
    reader.go_on(due - reader.time)
    assert not any((0, offset) in reader.results for offset in offsets)
    reader.go_on(PROMPT_SECONDS)
    assert {reader.results[0, offset].reason for offset in offsets} == {Reason.DEADLINE}
    operator.release(campaign)
    reader.ends()


def test_nothing_is_parked_where_there_is_room_nor_for_a_moment_without() -> None:
    reader = Reader(policies=POLICIES)
    reader.bulk(3_000)
    reader.ends()
    assert reader.read_again == 0


def test_switched_off_reading_waits_for_room() -> None:
    reader = Reader(policies=replace(POLICIES, read_ahead=False), platform=slow_for_bulk)
    reader.bulk(300)
    reader.go_on(2.0)
    (offset,) = reader.publish([reader.event(campaignId=OTP, priority="immediate")])
    reader.go_on(2.0)
    assert reader.sent_at(offset) is None
    assert reader.parked == 0


def test_who_takes_over_knows_what_was_sent_past_the_parked_and_sends_the_parked() -> None:
    reader = backlog()
    urgent = reader.publish(
        reader.event(campaignId=OTP, phone=f"+3470000000{index}", priority="immediate") for index in range(5)
    )
    reader.go_on(2.0)
    reader.checkpoint()
    assert all((0, offset) in reader.results for offset in urgent)
    parked = reader.parked
    assert parked > 500
    reader.pipeline.drop(P0)
    done = set(reader.results)
    reader.results.clear()
    lane = reader.take(P0, process="other")
    assert all(offset in lane.published for offset in urgent)
    requests = len(reader.requests)
    reader.go_on(3_000.0, lambda: len(done | set(reader.results)) == len(reader.topic[P0]))
    sent = [offset for request in reader.requests[requests:] for _, offset in request.offsets]
    assert not set(urgent) & set(sent)
    assert len(sent) == len(set(sent))
    assert lane.watermark.value == len(reader.topic[P0])


def test_as_many_ranges_are_remembered_as_the_bound_allows_and_no_more() -> None:
    bound = 250
    reader = Reader(policies=replace(POLICIES, max_ahead=bound), platform=slow_for_bulk)
    for _ in range(600):  # each immediate event that is done leaves a parked range on both sides
        reader.bulk(1)
        reader.publish([reader.event(campaignId=OTP, phone=f"+347{reader.serial:08}", priority="immediate")])
    reader.go_on(4.0)
    lane = reader.pipeline.lanes[P0]
    assert lane.watermark.ahead >= bound
    assert lane.watermark.ahead <= bound + 2 * FETCHED
    assert lane.watermark.position < 1_200
    reader.ends()


def test_an_urgent_topic_has_room_that_the_others_cannot_take() -> None:
    urgent = Partition("otp", 7)
    policies = replace(POLICIES, urgent_topics=frozenset({"otp"}))
    reader = Reader(policies=policies, platform=lambda _request: (OK, 300.0), partitions=(P0, urgent))
    reader.bulk(1_000, campaign=BULK, priority="immediate")
    reader.go_on(5.0)
    assert reader.pipeline.buffer.held_events == pytest.approx(0.95 * 0.9 * BUFFER, abs=1)
    before = len(reader.records)
    reader.publish((reader.event(campaignId=OTP, phone=f"+3470000000{n}") for n in range(10)), urgent)
    reader.go_on(1.0)
    assert len(reader.records) == before + 10


def test_a_range_that_retention_has_removed_is_not_waited_for() -> None:
    reader = backlog()
    lane = reader.pipeline.lanes[P0]
    first = lane.watermark.parked.first
    assert first is not None
    gone = [offset for offset in reader.topic[P0] if first <= offset < 900]
    for offset in gone:
        reader.topic[P0].pop(offset)
    reader.go_on(3_000.0, lambda: not lane.parked)
    reader.go_on(60.0)
    assert lane.watermark.value == Offset(1_000)
