"""The whole way of an event: everything settles once, persons stay in order, and nothing is left behind."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.journal.entries import Checkpoint, Outcome
from consumer.core.outcome import Status
from consumer.core.platform.answer import Answer, Answered, Lost, Unreachable
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Partition
from tests.core.makers import P0, P1, at
from tests.core.runner import OK, Platform, Request, Runner, accepting

POLICY = CampaignPolicy(window_seconds=1.0, max_contacts=4, max_attempts=4, max_age_seconds=300.0)
POLICIES = Policies(default=POLICY, max_concurrency=3, reserved_concurrency=0)


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
    assert pipeline.buffer.held_events == pipeline.buffer.held_bytes == 0
    assert pipeline.queue.queued == pipeline.queue.in_flight == len(pipeline.windows) == 0
    assert not pipeline.delivery.any_out
    assert pipeline.delivery.idle
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
            assert runner.pipeline.buffer.held_events == 0
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
