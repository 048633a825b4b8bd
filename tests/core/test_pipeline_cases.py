"""The way of an event in single cases: what hurries, what waits, what is not read, what stays in doubt."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from consumer.core.journal.entries import Checkpoint, Intent, Returned
from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answered
from consumer.core.policy import CampaignPolicy, OnUnknown, Policies
from consumer.core.terms import Offset
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import NEVER_OPEN, P0, P1, at
from tests.core.runner import OK, Runner, accepting

POLICY = CampaignPolicy(window_seconds=1.0, max_contacts=4, max_attempts=4, max_age_seconds=300.0)
POLICIES = Policies(default=POLICY, max_concurrency=3, reserved_concurrency=0)


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
    assert runner.pipeline.fetched(stale, [record], at(runner.time)).records == ()
    assert runner.pipeline.lanes[P0].watermark.position == 0


def test_what_a_transaction_leaves_behind_the_last_record_is_committed_past_and_costs_nobody_a_record() -> None:
    runner = Runner(policies=POLICIES)
    lane = runner.pipeline.lanes[P0]
    runner.feed(runner.event())
    runner.pipeline.passed(lane, Offset(3))
    assert (lane.watermark.value, lane.watermark.position) == (0, 3)
    runner.run()
    runner.checkpoint()
    assert runner.said(Checkpoint)[-1].watermark == 3
    runner.feed(runner.event())
    runner.run()
    assert sorted(runner.results) == [(0, 0), (0, 3)]
    runner.pipeline.drop(P0)
    runner.pipeline.passed(lane, Offset(9))
    assert lane.watermark.value == 4, "it is somebody else's by now"


def test_a_partition_that_is_not_taken_over_yet_takes_nothing_in() -> None:
    runner = Runner(policies=POLICIES)
    lane = runner.pipeline.assigned(P1, lambda: pytest.fail("no claim is due"), "me")
    assert runner.pipeline.fetched(lane, [WildRecord(value=b"{}", offset=0)], at(0)).records == ()
    assert P1 not in runner.readable()


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
    assert runner.readable() == {P0}
    runner.sick.clear()
    runner.pipeline.append_failed(runner.pipeline.lanes[P1])
    runner.run()
    assert runner.results[1, 0].status is Status.ACCEPTED
    assert runner.readable() == {P0, P1}
    assert len(runner.said(Intent, P1)) == 2, "the one that was late, and the one that was posted"


def test_a_journal_that_answers_late_after_all_lets_its_partition_go_on() -> None:
    runner = Runner(policies=POLICIES, partitions=[P0, P1])
    runner.feed(runner.event(phone="+34600000099"))
    runner.run(until=2.0)
    runner.sick.add(P1)
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    runner.run(until=7.0)
    assert runner.readable() == {P0}
    runner.heal(P1)
    runner.run(until=9.0)
    assert runner.results[1, 0].status is Status.ACCEPTED
    assert runner.results[1, 0].attempts == 1
    assert [(entry.attempt, entry.started) for entry in runner.said(Returned, P1)] == [(1, False)]
    assert runner.readable() == {P0, P1}


def test_a_proof_that_a_frozen_process_finds_when_it_wakes_is_too_old_to_send_by() -> None:
    """The acknowledgement lay before it all the time, and is looked at before any timer is."""
    runner = Runner(policies=POLICIES)
    runner.feed(runner.event(phone="+34600000099"))
    runner.run(until=2.0)
    runner.sick.add(P0)
    runner.feed(runner.event(phone="+34600000002"))
    runner.run(until=3.5)
    assert len(runner.stuck) == 1, "its intent is out"
    runner.time += 4.0
    runner.heal(P0)
    runner.run()
    first, second = runner.said(Intent)[-2:]
    assert (first.send_id, first.attempt, second.attempt) == (second.send_id, 1, 2)
    assert [(entry.attempt, entry.started) for entry in runner.said(Returned)] == [(1, False)]
    assert runner.requests[-1].at >= 7.5
    assert runner.results[0, 1].attempts == 1


def test_a_proof_that_comes_when_its_send_is_at_another_attempt_is_taken_back() -> None:
    """Else the journal would say of its records that they may be out, and the next owner would mark or hold them."""
    runner = Runner(policies=POLICIES, partitions=[P0, P1])
    runner.feed(runner.event(phone="+34600000099"))
    runner.run(until=2.0)
    runner.sick.add(P1)
    runner.feed(runner.event(phone="+34600000001"))
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    began_at = runner.time
    runner.run(until=began_at + 2.5)
    runner.sick.add(P0)
    runner.run(until=began_at + 3.5)
    assert len(runner.stuck) == 2, "the first attempt waits for one partition, the second for the other"
    runner.heal(P1)
    runner.run(until=began_at + 3.6)
    intents = [(entry.send_id, entry.attempt) for entry in runner.said(Intent, P1)]
    returned = [(entry.send_id, entry.attempt) for entry in runner.said(Returned, P1)]
    assert returned[:1] == intents[:1]
    runner.heal(P0)
    runner.run()
    assert runner.results[0, 1].status is runner.results[1, 0].status is Status.ACCEPTED
    assert runner.results[0, 1].attempts == runner.results[1, 0].attempts == 1


def test_a_full_buffer_stops_reading_until_there_is_room_worth_a_fetch() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=1.0), buffer_max_events=10, read_ahead=False)
    runner = Runner(policies=policies)
    runner.feed(*[runner.event(phone=f"+3460000{index:04}") for index in range(9)])
    assert runner.readable() == {P0}
    runner.feed(runner.event(phone="+34600009999"))
    assert runner.readable() == set()
    runner.run()
    assert runner.readable() == {P0}


def test_a_partition_far_ahead_of_its_watermark_is_not_read_on() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=50.0), max_ahead=5)
    runner = Runner(policies=policies, partitions=[P0, P1])
    runner.feed(*[runner.event(phone=f"+3460000{index:04}") for index in range(5)])
    assert runner.readable() == {P1}
    runner.run()
    assert runner.readable() == {P0, P1}


def test_a_partition_that_leaves_starts_nothing_and_is_read_no_more() -> None:
    runner = Runner(policies=POLICIES, partitions=[P0, P1])
    runner.feed(runner.event(phone="+34600000001"))
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    runner.pipeline.leave([P0])
    assert runner.readable() == {P1}
    runner.run(until=50.0)
    assert [request.offsets for request in runner.requests] == [[(1, 0)]]


def test_a_partition_that_waits_for_a_person_takes_no_room_from_the_others() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=1.0), buffer_max_events=5)
    runner = Runner(policies=policies, partitions=[P0, P1])
    runner.feed(*[runner.event(phone=f"+3460000{index:04}") for index in range(5)])
    assert runner.readable() == set()
    emptied = runner.pipeline.empty(P0)
    assert runner.readable() == {P1}
    assert emptied is runner.pipeline.lanes[P0]
    assert emptied.ledger.idle
    runner.run(until=10.0)
    assert runner.requests == []


def test_a_stop_sends_what_waits_in_windows_at_once() -> None:
    runner = Runner(policies=patient())
    runner.feed(runner.event())
    runner.pipeline.flush_windows = True
    runner.run(until=1.0)
    assert runner.results[0, 0].status is Status.ACCEPTED


def test_an_event_whose_texting_is_unknown_is_in_doubt_and_not_called_a_duplicate() -> None:
    """Its ID was forgotten when it was sent, and is remembered by whoever takes the partition over."""
    policies = Policies(default=CampaignPolicy(window_seconds=0.0), deduplication_ttl_seconds=1.0)
    runner = Runner(policies=policies)
    runner.feed(runner.event(eventId="same"), runner.event(phone="+34600000002"), runner.event(phone="+34600000003"))
    runner.run(until=10.0)
    runner.time = 10.0
    runner.platform = lambda _request: (OK, 1000.0)
    runner.feed(runner.event(eventId="same", phone="+34600000004"))
    runner.run(until=12.0)
    assert runner.requests[-1].offsets == [(0, 3)]
    runner.pipeline.drop(P0)
    runner.results.clear()
    runner.policies = replace(policies, deduplication_ttl_seconds=100.0)  # a successor that is to remember for longer
    runner.pipeline.deduplication._ttl_seconds = 100.0  # noqa: SLF001
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
    most = 1_000
    monkeypatch.setattr("consumer.core.journal.lane.MAX_CHECKPOINT_BYTES", most)
    never = CampaignPolicy(
        window_seconds=0.0,
        max_contacts=1,
        max_concurrency=100,
        backoff_base_seconds=500.0,
        backoff_max_seconds=500.0,
        max_attempts=2,
    )
    runner = Runner(policies=Policies(default=never, max_concurrency=100, reserved_concurrency=0, breaker=NEVER_OPEN))
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


def test_an_append_that_turns_out_too_large_after_its_partition_was_lost_concerns_nobody() -> None:
    """Its checkpoint or segment was of a lane that is gone, and may be on its way again for the lane that came next."""
    runner = Runner(policies=POLICIES)
    lost = runner.pipeline.lanes[P0]
    runner.sick.add(P0)
    runner.pipeline.want_checkpoints(at(runner.time))
    runner.run(until=1.0)
    (stuck,) = runner.stuck
    assert stuck[0] is lost
    runner.pipeline.lose(P0)
    assert not runner.pipeline.append_too_large(lost)


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
