"""The whole way of an event: everything settles once, persons stay in order, and nothing is left behind."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.answer import Answer, Answered, Lost, Unreachable
from consumer.core.event import Event
from consumer.core.journal import Checkpoint, Intent, Outcome
from consumer.core.outcome import Reason, Status
from consumer.core.policy import CampaignPolicy, OnUnknown, Policies
from consumer.core.terms import Partition
from tests.core.makers import P0, P1, at
from tests.core.runner import OK, Platform, Request, Runner, accepting
from tests.core.wild_events import WildRecord

POLICY = CampaignPolicy(window_seconds=1.0, max_contacts=4, max_attempts=4, max_age_seconds=300.0)
POLICIES = Policies(default=POLICY, max_concurrency=3)


def moody(seed: int, *, trouble: float = 0.4) -> Platform:
    """A platform that refuses contacts whose reference ends in `bad`, and is in trouble now and then."""
    dice = Random(seed)

    def answer(request: Request) -> tuple[Answer, float]:
        seconds = dice.choice([0.01, 0.2, 3.0])
        if any(reference.endswith("bad") for reference in request.references):
            return Answered(status=422, retry_after_seconds=None, body=b"{}"), seconds
        if dice.random() > trouble:
            return OK, seconds
        troubles: list[Answer] = [
            Answered(status=429, retry_after_seconds=dice.choice([None, 2.0]), body=b"{}"),
            Answered(status=408, retry_after_seconds=None, body=b"{}"),
            Answered(status=500, retry_after_seconds=None, body=b"{}"),
            Answered(status=401, retry_after_seconds=None, body=b"{}"),
            Lost(detail="reset"),
            Unreachable(detail="refused"),
        ]
        return dice.choice(troubles), seconds

    return answer


@dataclass
class Play:
    """Traffic that was played, and what came of it."""

    runner: Runner
    documents: dict[tuple[int, int], dict[str, Any] | None] = field(default_factory=dict)

    def feed(self, partition: Partition, *documents: dict[str, Any]) -> None:
        base = self.runner.pipeline.lanes[partition].watermark.position
        for index, document in enumerate(documents):
            self.documents[partition.number, base + index] = document
        self.runner.feed(*documents, partition=partition)


@st.composite
def plays(draw: st.DrawFn, *, trouble: float = 0.4) -> Play:
    """Two partitions, few persons, two campaigns and options, urgent ones, deadlines, repeats, bad contacts."""
    seed = draw(st.integers(0, 2**32 - 1))
    dice = Random(seed)
    runner = Runner(policies=POLICIES, platform=moody(seed, trouble=trouble), partitions=[P0, P1])
    play = Play(runner)
    play.feed(P0, runner.event(phone="+34600000099"))  # the first contact succeeds sooner or later
    for _ in range(draw(st.integers(1, 8))):
        partition = dice.choice([P0, P1])
        batch = [_document(runner, dice, partition) for _ in range(dice.randint(1, 6))]
        play.feed(partition, *batch)
        runner.run(until=runner.time + dice.choice([0.0, 0.3, 2.0]))
    runner.run(until=runner.time + 500)
    runner.platform = moody(seed, trouble=0.0)
    play.feed(P0, runner.event(phone="+34600000098"))  # a refusal settles nothing before a first 2xx: let there be one
    runner.run(until=runner.time + 5_000)
    return play


def _document(runner: Runner, dice: Random, partition: Partition) -> dict[str, Any]:
    document = runner.event(
        campaignId=dice.choice([1, 1, 2]),
        contact={
            "phoneE164": f"+3460000000{dice.randint(0, 3)}",
            "externalReference": dice.choice(["ok", "ok", "ok", "bad"]),
        },
    )
    if dice.random() < 0.2:
        document["priority"] = "immediate"
    if dice.random() < 0.2:
        document["send"] = {"flash": True}
    if dice.random() < 0.1:
        document["eventId"] = f"{partition.number}-{dice.randint(0, 3)}"
    if dice.random() < 0.1:
        document["expiresAt"] = runner.event(expires_in=dice.choice([0.2, 3.0]))["expiresAt"]
    if dice.random() < 0.05:
        del document["contact"]
    return document


@given(plays())
def test_every_record_gets_one_result_and_leaves_nothing_behind(play: Play) -> None:
    runner, pipeline = play.runner, play.runner.pipeline
    assert set(runner.results) == set(play.documents)
    runner.run(until=runner.time + 4_000)
    assert pipeline.held_events == pipeline.held_bytes == 0
    assert pipeline.queue.queued == pipeline.queue.in_flight == len(pipeline.windows) == 0
    assert not pipeline.delivery.any_out
    assert pipeline.delivery.waiting == 0
    for lane in pipeline.lanes.values():
        assert lane.watermark.value == lane.watermark.position
        left = [lane.persons, lane.in_hand, lane.repeats, lane.unpublished, lane.known, lane.trials]
        assert not any(left)
        assert not lane.busy
    runner.checkpoint()
    for lane in pipeline.lanes.values():
        last = runner.said(Checkpoint, lane.partition)[-1]
        assert (last.watermark, last.open_attempts, last.tried, last.unpublished) == (
            lane.watermark.value,
            (),
            (),
            None,
        )
        assert len(lane.marks) <= 1


@given(plays())
def test_a_persons_messages_of_a_campaign_keep_their_order_across_groups_and_retries(play: Play) -> None:
    runner = play.runner
    tried: dict[tuple[int, int, str], int] = {}
    for request in runner.requests:
        for (partition, offset), person in zip(request.offsets, request.persons, strict=True):
            key = (partition, request.campaign, person)
            assert offset >= tried.get(key, -1), "a message went out after a later one of the same person"
            tried[key] = offset


@given(plays())
def test_an_earlier_message_is_settled_before_the_persons_next_one_starts(play: Play) -> None:
    """Not only started before: its outcome stands, so no retry of it can come in between."""
    runner = play.runner
    last: dict[tuple[int, int], int] = {}
    for index, request in enumerate(runner.requests):
        for place in request.offsets:
            last[place] = index
    for index, request in enumerate(runner.requests):
        for (partition, offset), person in zip(request.offsets, request.persons, strict=True):
            for earlier, other in enumerate(runner.requests[index + 1 :], start=index + 1):
                for (their_partition, their_offset), their_person in zip(other.offsets, other.persons, strict=True):
                    if (their_partition, other.campaign, their_person) == (partition, request.campaign, person):
                        assert their_offset >= offset, (earlier, index)


@given(plays())
def test_requests_hold_one_group_no_person_twice_and_keep_to_every_limit(play: Play) -> None:
    runner = play.runner
    assert runner.peak_out <= POLICIES.max_concurrency
    for request in runner.requests:
        assert len(set(request.persons)) == len(request.persons) <= POLICY.max_contacts
        groups = {record.group for place in request.offsets if isinstance(record := runner.records[place], Event)}
        assert len(groups) == 1
        for place in request.offsets:
            record = runner.records[place]
            assert isinstance(record, Event)
            assert record.expires_at is None or at(request.at).wall < record.expires_at


@given(plays())
def test_statuses_say_what_happened(play: Play) -> None:
    runner = play.runner
    texted: dict[tuple[int, int], int] = {}
    for request in runner.requests:
        for place in request.offsets:
            texted[place] = texted.get(place, 0) + 1
    first: dict[tuple[int, str], int] = {}
    for place in sorted(play.documents):
        verdict, record = runner.results[place], runner.records[place]
        assert verdict.attempts == texted.get(place, 0)
        if not isinstance(record, Event):
            assert verdict.status is Status.INVALID
            continue
        if verdict.status is Status.DUPLICATE:
            assert verdict.related is not None
            assert verdict.related.offset != record.offset
            related = runner.records[place[0], verdict.related.offset]
            assert related.event_id == record.event_id
            assert place not in texted, "a repeat is never sent"
        elif verdict.status is not Status.EXPIRED:
            assert (place[0], record.event_id) not in first, "an event ID is tried once"
            first[place[0], record.event_id] = record.offset
        if record.external_reference.endswith("bad"):
            assert verdict.status is not Status.ACCEPTED


@given(plays(trouble=0.0))
def test_without_trouble_nobody_is_tried_twice_and_nothing_is_marked(play: Play) -> None:
    runner = play.runner
    places = [place for request in runner.requests for place in request.offsets]
    for place, verdict in runner.results.items():
        record = runner.records[place]
        if isinstance(record, Event) and not record.external_reference.endswith("bad"):
            refused = [
                request
                for request in runner.requests
                if place in request.offsets and any(each.endswith("bad") for each in request.references)
            ]
            assert places.count(place) - len(refused) <= 1
        assert not verdict.possible_duplicate
        assert verdict.status not in (Status.IN_DOUBT, Status.FAILED)


@given(st.integers(0, 2**32 - 1))
def test_a_partition_may_be_lost_at_any_moment_and_whoever_takes_it_over_finishes_its_work(seed: int) -> None:
    dice = Random(seed)
    runner = Runner(policies=POLICIES, platform=moody(seed), partitions=[P0, P1])
    log: list[dict[str, Any]] = [runner.event(phone="+34600000099")]
    log += [_document(runner, dice, P0) for _ in range(25)]
    results: set[int] = set()
    for _ in range(100):
        lane = runner.pipeline.lanes[P0]
        position = lane.watermark.position
        if position < len(log):
            runner.feed(*log[position : position + dice.randint(1, 5)])
        if dice.random() < 0.1:
            runner.checkpoint()
        runner.run(until=runner.time + dice.choice([0.0, 0.1, 0.5, 5.0]))
        if dice.random() < 0.15 and len(results) < len(log):
            runner.pipeline.drop(P0)
            known = {offset for _, offset in runner.results}
            results |= known
            runner.results.clear()  # published again by the next owner: that is allowed
            runner.take(P0, process=f"owner-{runner.serial}-{dice.random()}")
            assert runner.pipeline.held_events == 0
        if len({offset for _, offset in runner.results} | results) == len(log):
            break
    runner.feed(*log[runner.pipeline.lanes[P0].watermark.position :])
    runner.platform = accepting
    runner.run(until=runner.time + 5_000)
    assert {offset for _, offset in runner.results} | results == set(range(len(log)))
    outcomes: list[int] = [
        offset for entry in runner.said(Outcome) for settled in entry.settled for offset in settled.offsets
    ]
    assert sorted(outcomes) == sorted(set(outcomes)) == list(range(len(log))), "exactly one outcome a record"


# ------------------------------------------------------------------------------------------------------- one by one


def patient(**changes: Any) -> Policies:
    """Windows of a minute, so that what leaves earlier has a reason."""
    return Policies(default=CampaignPolicy(window_seconds=60.0, **changes))


def test_an_urgent_message_hurries_the_same_persons_earlier_ones_and_goes_out_after_them() -> None:
    runner = Runner(policies=patient())
    runner.feed(
        runner.event(send={"flash": True}),
        runner.event(),
        runner.event(phone="+34600000002"),
        runner.event(priority="immediate", send={"charset": "standard"}),
    )
    runner.run(until=1.0)
    assert [offset for request in runner.requests for _, offset in request.offsets if offset != 2] == [0, 1, 3]
    runner.run()
    assert len(runner.results) == 4


def test_another_campaigns_message_to_the_same_person_does_not_wait() -> None:
    runner = Runner(policies=patient())
    runner.feed(runner.event(), runner.event(campaignId=2, priority="immediate"))
    runner.run(until=1.0)
    assert [request.offsets for request in runner.requests] == [[(0, 1)]]


def test_a_batch_fetched_before_a_partition_went_and_came_back_is_not_taken_in() -> None:
    """It would leave a hole in front of it, and what lies in the hole would never be sent."""
    runner = Runner(policies=POLICIES)
    runner.feed(runner.event())
    stale = runner.pipeline.lanes[P0]
    runner.pipeline.drop(P0)
    runner.take(P0)
    record = WildRecord(value=b"{}", offset=7)
    assert runner.pipeline.fetched(stale, [record], at(runner.time)) == ()
    assert runner.pipeline.lanes[P0].watermark.position == 0


def test_a_partition_that_is_not_taken_over_yet_takes_nothing_in() -> None:
    runner = Runner(policies=POLICIES)
    lane = runner.pipeline.assigned(P1, lambda: pytest.fail("no claim is due"), "me")
    assert runner.pipeline.fetched(lane, [WildRecord(value=b"{}", offset=0)], at(0)) == ()
    assert P1 not in runner.pipeline.readable()


def test_a_sick_journal_partition_holds_up_neither_the_others_sends_nor_their_reading() -> None:
    runner = Runner(policies=POLICIES, partitions=[P0, P1])
    runner.feed(runner.event(phone="+34600000099"))
    runner.run(until=2.0)
    runner.sick.add(P1)
    runner.feed(runner.event(phone="+34600000001"))
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    sent_at = runner.time + 1.0
    runner.run(until=sent_at + 2.5)  # they shared a window; the proof of one does not come
    assert runner.results[0, 1].status is Status.ACCEPTED
    runner.feed(runner.event(phone="+34600000003"))
    runner.pipeline.append_failed(runner.pipeline.lanes[P1])
    runner.run(until=20.0)
    assert runner.results[0, 2].status is Status.ACCEPTED
    assert (1, 0) not in runner.results
    assert runner.pipeline.readable() == {P0}
    runner.sick.clear()
    runner.pipeline.append_failed(runner.pipeline.lanes[P1])
    runner.run()
    assert runner.results[1, 0].status is Status.ACCEPTED
    assert runner.pipeline.readable() == {P0, P1}
    assert len(runner.said(Intent, P1)) == 2, "the one that was late, and the one that was posted"


def test_a_full_buffer_stops_reading_until_there_is_room_worth_a_fetch() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=1.0), buffer_max_events=10)
    runner = Runner(policies=policies)
    runner.feed(*[runner.event(phone=f"+3460000{index:04}") for index in range(9)])
    assert runner.pipeline.readable() == {P0}
    runner.feed(runner.event(phone="+34600009999"))
    assert runner.pipeline.readable() == set()
    runner.run()
    assert runner.pipeline.readable() == {P0}


def test_a_partition_far_ahead_of_its_watermark_is_not_read_on() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=50.0), max_ahead=5)
    runner = Runner(policies=policies, partitions=[P0, P1])
    runner.feed(*[runner.event(phone=f"+3460000{index:04}") for index in range(5)])
    assert runner.pipeline.readable() == {P1}
    runner.run()
    assert runner.pipeline.readable() == {P0, P1}


def test_a_partition_that_leaves_starts_nothing_and_is_read_no_more() -> None:
    runner = Runner(policies=POLICIES, partitions=[P0, P1])
    runner.feed(runner.event(phone="+34600000001"))
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    runner.pipeline.leave([P0])
    assert runner.pipeline.readable() == {P1}
    runner.run(until=50.0)
    assert [request.offsets for request in runner.requests] == [[(1, 0)]]


def test_a_stop_sends_what_waits_in_windows_at_once() -> None:
    runner = Runner(policies=patient())
    runner.feed(runner.event())
    runner.pipeline.hurried = True
    runner.run(until=1.0)
    assert runner.results[0, 0].status is Status.ACCEPTED


def test_an_event_whose_texting_is_unknown_is_in_doubt_and_not_called_a_duplicate() -> None:
    """Its ID was forgotten when it was sent, and is remembered by whoever takes the partition over."""
    policies = Policies(default=CampaignPolicy(window_seconds=0.0), deduplication_max_entries=1)
    runner = Runner(policies=policies)
    runner.feed(runner.event(eventId="same"), runner.event(phone="+34600000002"), runner.event(phone="+34600000003"))
    runner.run(until=2.0)
    runner.platform = lambda _request: (OK, 1000.0)
    runner.feed(runner.event(eventId="same", phone="+34600000004"))
    runner.run(until=4.0)
    assert runner.requests[-1].offsets == [(0, 3)]
    runner.pipeline.drop(P0)
    runner.results.clear()
    runner.pipeline.deduplication._max_entries = 100  # noqa: SLF001  # a successor that is configured to remember more
    runner.take(P0, start=3)
    runner.platform = accepting
    runner.feed(runner.event(eventId="same", phone="+34600000004"))
    runner.run()
    verdict = runner.results[0, 3]
    assert (verdict.status, verdict.reason) == (Status.IN_DOUBT, Reason.OWNER_LOST)
    assert verdict.related is None


def test_a_checkpoint_that_no_append_could_carry_is_not_made_and_is_made_again_when_it_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A platform that answers 500 to thousands of single sends must not end the service at its next checkpoint."""
    most = 20_000
    monkeypatch.setattr("consumer.core.lane.MAX_CHECKPOINT_BYTES", most)
    never = CampaignPolicy(
        window_seconds=0.0,
        max_contacts=1,
        max_concurrency=100,
        backoff_base_seconds=500.0,
        backoff_max_seconds=500.0,
        max_attempts=2,
    )
    runner = Runner(policies=Policies(default=never, max_concurrency=100))
    runner.feed(runner.event())
    runner.run()
    runner.platform = lambda _request: (Answered(status=500, retry_after_seconds=None, body=b"{}"), 0.001)
    runner.feed(*[runner.event(phone=f"+346000{index:05}") for index in range(500)])
    runner.run(until=10.0)
    assert len(runner.requests) == 501
    before = len(runner.said(Checkpoint))
    runner.checkpoint()
    assert len(runner.said(Checkpoint)) == before
    runner.run()
    runner.checkpoint()
    assert len(runner.said(Checkpoint)) == before + 1
    assert all(orjson.loads(value)["kind"] != "checkpoint" or len(value) <= most for value in runner.journal[P0])


def test_with_hold_a_message_of_unknown_fate_never_goes_out_again_whoever_owns_it() -> None:
    hold = Policies(default=CampaignPolicy(window_seconds=0.0, on_unknown=OnUnknown.HOLD))
    runner = Runner(policies=hold)
    runner.feed(runner.event(phone="+34600000002"))
    runner.run()
    runner.platform = lambda _request: (OK, 1000.0)
    runner.feed(runner.event())
    runner.run(until=2.0)
    runner.pipeline.drop(P0)
    runner.results.clear()
    runner.take(P0)
    runner.platform = accepting
    runner.feed(runner.event(), first=1) if runner.pipeline.lanes[P0].watermark.position == 1 else runner.feed(
        runner.event(phone="+34600000002"), runner.event()
    )
    runner.run()
    assert len(runner.requests) == 2
    assert runner.results[0, 1].status is Status.IN_DOUBT
