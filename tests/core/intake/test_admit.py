"""Admission: what settles without a request, in which order of reasons, and who waits for whom."""

from typing import Any

import orjson
import pytest

from consumer.core.journal.entries import Intent, Outcome, Returned, Settled, encode
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.platform.answer import Answered
from consumer.core.policy import CampaignPolicy, OnUnknown, Policies
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import EPOCH, P0, at
from tests.core.runner import OK, Runner, accepting, instant

RESEND = Policies(default=CampaignPolicy(window_seconds=1.0, lost_answer_repeats=2))
HOLD = Policies(default=CampaignPolicy(window_seconds=1.0, on_unknown=OnUnknown.HOLD))


def settled(runner: Runner, offset: int) -> tuple[Status, Reason | None]:
    verdict = runner.results[0, offset]
    return verdict.status, verdict.reason


def after_a_crash(runner: Runner, *, attempts: int = 1, offsets: tuple[int, ...] = (0,)) -> None:
    """Take the partition over from an owner that died with attempts of these out."""
    runner.pipeline.drop(P0)
    journal = runner.journal[P0]
    for attempt in range(1, attempts + 1):
        intent = Intent(
            send_id=SendId("before"),
            attempt=attempt,
            campaign_id=1,
            offsets=tuple(Offset(offset) for offset in offsets),
            intended_at=Instant(EPOCH + attempt),
        )
        journal.append(encode_at(intent, len(journal)))
    runner.take(P0, start=0, process="successor")


def encode_at(entry: Intent | Outcome, offset: int) -> bytes:
    return encode(entry, JournalOffset(offset))


# ------------------------------------------------------------------------------------------------------ what ends here


def test_what_is_too_old_or_past_its_deadline_settles_without_a_request() -> None:
    runner = Runner(policies=RESEND)
    runner.time = 100.0
    day = RESEND.max_event_age_seconds
    runner.feed(
        runner.event(occurredAt=instant(100.0 - day - 1)),
        runner.event(occurredAt=instant(100.0 - day + 10), phone="+34600000002"),
        runner.event(expiresAt=instant(100.0)),
        runner.event(expiresAt=instant(99.0), occurredAt=instant(90.0)),
    )
    runner.run()
    assert settled(runner, 0) == (Status.EXPIRED, Reason.TOO_OLD)
    assert settled(runner, 1) == (Status.ACCEPTED, None)
    assert settled(runner, 2) == settled(runner, 3) == (Status.EXPIRED, Reason.DEADLINE)
    assert len(runner.requests) == 1
    assert runner.results[0, 0].attempts == 0
    assert runner.results[0, 0].dispatched_at is None


def test_a_deliberate_resend_is_never_too_old() -> None:
    runner = Runner(policies=RESEND)
    lane = runner.pipeline.lanes[P0]
    old = runner.event(occurredAt=instant(-1_000_000.0))
    runner.pipeline.fetched(
        lane, [WildRecord(value=orjson.dumps(old), offset=0, headers=[("resend-id", b"r1")])], at(0)
    )
    runner.run()
    assert settled(runner, 0) == (Status.ACCEPTED, None)


def test_a_resend_goes_by_its_own_deadline_and_not_by_the_one_that_has_passed() -> None:
    runner = Runner(policies=RESEND)
    lane = runner.pipeline.lanes[P0]
    runner.time = 1000.0
    value = orjson.dumps(runner.event(expiresAt=instant(500.0)))
    until = [[], [("resend-expires-at", instant(2000.0).encode())], [("resend-expires-at", instant(999.0).encode())]]
    records = [
        WildRecord(value=value, offset=offset, headers=[("resend-id", b"r%d" % offset), *headers])
        for offset, headers in enumerate(until)
    ]
    runner.pipeline.fetched(lane, records, at(runner.time))
    runner.run()
    assert [settled(runner, offset) for offset in range(3)] == [
        (Status.EXPIRED, Reason.DEADLINE),
        (Status.ACCEPTED, None),
        (Status.EXPIRED, Reason.DEADLINE),
    ]


def test_a_campaigns_own_deadline_holds_for_events_that_bring_none() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=1.0, expires_after_seconds=300.0))
    runner = Runner(policies=policies)
    runner.time = 1000.0
    runner.feed(runner.event(occurredAt=instant(699.0)), runner.event(occurredAt=instant(800.0)))
    runner.run()
    assert settled(runner, 0) == (Status.EXPIRED, Reason.DEADLINE)
    assert settled(runner, 1) == (Status.ACCEPTED, None)


def test_what_cannot_be_sent_as_things_are_configured_is_rejected() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(runner.event(send={"scheduledAt": instant(5000.0)}))
    runner.run()
    assert settled(runner, 0) == (Status.REJECTED, Reason.SCHEDULE_NOT_CONFIGURED)
    assert runner.requests == []


def test_what_is_no_event_is_invalid_and_blocks_nobody() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(runner.event(campaignId=0), runner.event())
    runner.run()
    assert settled(runner, 0) == (Status.INVALID, Reason.SCHEMA)
    assert settled(runner, 1) == (Status.ACCEPTED, None)


# ------------------------------------------------------------------------------------------------------- repeats


def test_a_repeat_in_hand_waits_for_the_first_and_is_its_duplicate_whatever_became_of_that() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(
        runner.event(eventId="a"), runner.event(eventId="a"), runner.event(eventId="b", expiresAt=instant(0.5)),
        runner.event(eventId="b", phone="+34600000002"), runner.event(eventId="a"),
    )  # fmt: skip
    runner.run(until=0.4)
    assert runner.results == {}
    runner.run()
    assert settled(runner, 0) == (Status.ACCEPTED, None)
    for repeat, first in ((1, 0), (4, 0), (3, 2)):
        verdict = runner.results[0, repeat]
        assert (verdict.status, verdict.reason) == (Status.DUPLICATE, Reason.REPEATED)
        assert verdict.related is not None
        assert verdict.related.offset == first
        assert verdict.attempts == 0


def test_a_repeat_that_could_not_go_out_itself_does_not_stand_for_the_first_which_may() -> None:
    """Else whoever takes over would find the ID settled, and the first would be a duplicate of what was never sent."""
    held_up = iter([Answered(status=429, retry_after_seconds=60.0, body=None)])
    runner = Runner(policies=RESEND, platform=lambda _request: (next(held_up, OK), 0.05))
    runner.pipeline.access.accepted(2, at(0))
    first = runner.event(eventId="twice")
    runner.feed(first)
    runner.run(until=10.0)
    runner.feed(first | {"expiresAt": instant(5.0)})
    runner.run(until=20.0)
    assert runner.results == {}, "the repeat waits for the first"
    runner.checkpoint()
    runner.pipeline.drop(P0)
    runner.take(P0, process="successor")
    runner.feed(first, first | {"expiresAt": instant(5.0)}, first=0)
    runner.run()
    assert settled(runner, 0) == (Status.ACCEPTED, None)
    assert settled(runner, 1) == (Status.DUPLICATE, Reason.REPEATED)


def test_a_repeat_of_what_ended_at_the_door_in_the_same_batch_is_its_duplicate() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(runner.event(eventId="a", expiresAt=instant(-1.0)), runner.event(eventId="a"))
    runner.run()
    assert settled(runner, 0) == (Status.EXPIRED, Reason.DEADLINE)
    assert settled(runner, 1) == (Status.DUPLICATE, Reason.REPEATED)
    assert runner.requests == []


def test_a_repeat_after_the_outcome_is_a_duplicate_too_and_names_the_first() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(runner.event(eventId="a"))
    runner.run()
    runner.feed(runner.event(eventId="a"), runner.event(eventId="a"))
    runner.run()
    for repeat in (1, 2):
        related = runner.results[0, repeat].related
        assert related is not None
        assert (related.event_id, related.partition, related.offset) == ("a", 0, 0)
    assert len(runner.requests) == 1


def test_an_invalid_record_is_nobodys_first() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(runner.event(eventId="a", campaignId=0))
    runner.run()
    runner.feed(runner.event(eventId="a"))
    runner.run()
    assert settled(runner, 1) == (Status.ACCEPTED, None)


def test_a_resend_is_another_event_and_its_own_repeat_a_duplicate() -> None:
    runner = Runner(policies=RESEND)
    runner.feed(runner.event(eventId="a"))
    runner.run()
    value = orjson.dumps(runner.event(eventId="a"))
    lane = runner.pipeline.lanes[P0]
    again = [WildRecord(value=value, offset=offset, headers=[("resend-id", b"r1")]) for offset in (1, 2)]
    runner.pipeline.fetched(lane, again, at(runner.time))
    runner.run()
    assert settled(runner, 1) == (Status.ACCEPTED, None)
    assert settled(runner, 2) == (Status.DUPLICATE, Reason.REPEATED)


# ------------------------------------------------------------------------------------- what an earlier owner left


def test_a_record_that_has_its_outcome_gets_the_same_result_and_no_request() -> None:
    runner = Runner(policies=RESEND)
    first = runner.event()
    runner.feed(first, runner.event(phone="+34600000002"))
    runner.run()
    before = dict(runner.results)
    received = runner.records[0, 0].received_at
    runner.pipeline.drop(P0)
    runner.results.clear()
    runner.time += 500
    runner.take(P0, start=0)
    runner.feed(first, runner.event(phone="+34600000002"))
    runner.run()
    assert runner.results == before
    assert runner.records[0, 0].received_at == received
    assert len(runner.requests) == 1


def test_a_record_whose_result_is_acknowledged_gets_none_and_is_passed() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=50.0)))
    waiting, urgent = runner.event(), runner.event(phone="+34600000002", priority="immediate", send={"flash": True})
    runner.feed(waiting, urgent)
    runner.run(until=1.0)
    runner.checkpoint()
    runner.pipeline.drop(P0)
    assert set(runner.results) == {(0, 1)}
    runner.results.clear()
    runner.take(P0)
    runner.feed(waiting, urgent)
    runner.run()
    assert set(runner.results) == {(0, 0)}
    assert runner.pipeline.lanes[P0].watermark.value == 2
    assert runner.pipeline.buffer.held_events == 0


def test_with_resend_an_open_attempt_of_before_is_repeated_and_marked() -> None:
    runner = Runner(policies=RESEND)
    after_a_crash(runner)
    runner.feed(runner.event(), runner.event(phone="+34600000002"))
    runner.run()
    verdict = runner.results[0, 0]
    assert (verdict.status, verdict.possible_duplicate, verdict.attempts) == (Status.ACCEPTED, True, 2)
    assert not runner.results[0, 1].possible_duplicate, "doubt belongs to the offset, whatever send carries it"


def test_with_hold_an_open_attempt_of_before_is_in_doubt_without_a_request() -> None:
    runner = Runner(policies=HOLD)
    after_a_crash(runner)
    runner.feed(runner.event())
    runner.run()
    verdict = runner.results[0, 0]
    assert (verdict.status, verdict.reason, verdict.attempts) == (Status.IN_DOUBT, Reason.OWNER_LOST, 1)
    assert runner.requests == []


def test_repeats_after_lost_owners_have_a_bound_as_well() -> None:
    runner = Runner(policies=RESEND)
    after_a_crash(runner, attempts=3)
    runner.feed(runner.event())
    runner.run()
    assert settled(runner, 0) == (Status.IN_DOUBT, Reason.OWNER_LOST)
    assert runner.results[0, 0].attempts == 3


@pytest.mark.parametrize(
    "changes",
    [{"expiresAt": instant(-5.0)}, {"occurredAt": instant(-100_000.0)}, {"send": {"scheduledAt": instant(9000.0)}}],
)
def test_doubt_dominates_whatever_else_would_be_the_end(changes: dict[str, Any]) -> None:
    runner = Runner(policies=RESEND)
    after_a_crash(runner)
    runner.feed(runner.event() | changes)
    runner.run()
    assert settled(runner, 0) == (Status.IN_DOUBT, Reason.OWNER_LOST)


def test_what_was_returned_before_counts_as_tried_and_is_not_marked() -> None:
    runner = Runner(policies=RESEND)
    runner.pipeline.drop(P0)
    journal = runner.journal[P0]
    intent = Intent(send_id=SendId("s"), attempt=1, campaign_id=1, offsets=(Offset(0),), intended_at=Instant(EPOCH))
    journal.append(encode(intent, JournalOffset(len(journal))))
    journal.append(encode(Returned(send_id=SendId("s"), attempt=1, started=True), JournalOffset(len(journal))))
    runner.take(P0, start=0)
    runner.feed(runner.event())
    runner.run()
    verdict = runner.results[0, 0]
    assert (verdict.status, verdict.attempts, verdict.possible_duplicate) == (Status.ACCEPTED, 2, False)


def test_records_that_retention_took_away_are_not_waited_for() -> None:
    """Their outcomes stand in the journal, and nobody will read them again."""
    runner = Runner(policies=RESEND)
    runner.pipeline.drop(P0)
    journal = runner.journal[P0]
    verdict = Verdict(status=Status.ACCEPTED, completed_at=Instant(EPOCH))
    gone = Settled(
        verdict=verdict,
        offsets=(Offset(0), Offset(1)),
        received=(Instant(EPOCH), Instant(EPOCH)),
        fingerprints=bytes(range(32)),
    )
    journal.append(encode_at(Outcome(send_id=None, settled=(gone,)), len(journal)))
    lane = runner.take(P0, start=0)
    assert lane.unpublished
    runner.feed(runner.event(), first=5)
    runner.run()
    runner.platform = accepting
    assert lane.known == {}
    assert lane.unpublished == {}
    assert settled(runner, 5) == (Status.ACCEPTED, None)
    assert lane.watermark.value == 6


def test_a_persons_next_message_waits_for_the_first_and_settles_at_the_door_when_its_time_is_over() -> None:
    runner = Runner(policies=RESEND, platform=lambda _request: (OK, 50.0))
    runner.feed(runner.event(), runner.event(expires_in=20.0), runner.event(send={"flash": True}))
    runner.run()
    assert [request.offsets for request in runner.requests] == [[(0, 0)], [(0, 2)]]
    assert settled(runner, 1) == (Status.EXPIRED, Reason.DEADLINE)
    assert runner.requests[1].at >= 51.0
