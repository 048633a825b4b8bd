"""Checkpoints as snapshots: whoever takes over reads from the last one, however long an event has been stuck."""

from consumer.core.journal.entries import Checkpoint, Intent, Skipped
from consumer.core.journal.entry_decode import decode
from consumer.core.platform.answer import Answered
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Instant, JournalOffset, Offset
from tests.core.journal.replaying import last_checkpoint, replayed
from tests.core.makers import P0, at, make_claim
from tests.core.runner import Runner

DAY = 86_400.0
PATIENT = CampaignPolicy(
    window_seconds=0.0, backoff_base_seconds=9 * DAY, backoff_max_seconds=9 * DAY, max_age_seconds=20 * DAY
)


def test_a_range_that_a_tool_moved_the_group_over_stands_in_the_journal_with_the_first_checkpoint() -> None:
    runner = Runner(policies=Policies(), partitions=())
    lane = runner.pipeline.assigned(P0, lambda: make_claim("me"), "me")
    lane.ledger.may_claim()
    runner.turn()
    skipped = Skipped(start=Offset(3), stop=Offset(9), skipped_at=Instant(1.0))
    runner.pipeline.taken_over(lane, replayed([], 9, skipped=skipped), at(runner.time))
    ((_, values),) = runner.pipeline.turn(at(0)).appends
    first, second = (decode(JournalOffset(offset), value) for offset, value in enumerate(values, start=1))
    assert isinstance(first.entry, Checkpoint)
    assert first.entry.watermark == 9
    assert second.entry == skipped
    assert first.counts
    assert second.counts


def test_an_attempt_that_has_been_open_for_longer_than_the_journal_is_kept_stands_in_every_checkpoint() -> None:
    runner = Runner(policies=Policies(default=PATIENT))
    runner.feed(runner.event())
    runner.run()
    runner.platform = lambda _request: (Answered(status=500, retry_after_seconds=None, body=b"{}"), 0.001)
    runner.feed(runner.event(phone="+34600000002"))
    runner.run(until=10.0)
    runner.checkpoint()
    written = len(runner.entries())
    runner.time = 8 * DAY
    runner.checkpoint()
    assert len(runner.entries()) == written, "nothing has moved"
    runner.pipeline.renew_checkpoints(at(runner.time))
    runner.run(until=runner.time)
    entries = runner.entries()
    found = last_checkpoint(runner.values())
    assert found is not None
    assert found[0] == written, "it is written all the same, before retention reaches the one before"
    kept = entries[written:]
    assert not any(isinstance(placed.entry, Intent) for placed in kept)
    (trials,) = replayed(kept, found[1].watermark).trials.values()
    assert (trials.attempts, trials.lost) == (1, 1)
