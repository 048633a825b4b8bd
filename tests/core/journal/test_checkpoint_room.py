"""A checkpoint has room for all that was tried in vain: by histories, and by instants that are told less exactly."""

import random

import pytest
from hypothesis import given

from consumer.core.history import Fate
from consumer.core.journal.attempts import SPANS_SECONDS, TOLD_APART, Attempts
from consumer.core.journal.entries import Checkpoint, Intent, Returned, encode
from consumer.core.journal.lane import MAX_CHECKPOINT_BYTES
from consumer.core.outcome import Reason
from consumer.core.policy import Policies
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.journal.attempted import Happening, Model, TakenOver, applied, checkpoint, happened, read_back
from tests.core.makers import EPOCH, P0
from tests.core.runner import Runner

AHEAD = 100_000
"""What `KAFKA__MAX_AHEAD` lets be in hand."""


def attempt(owner: Attempts, number: int, at: float, fate: Fate) -> None:
    """Send one record by itself, and in vain."""
    send_id = SendId(f"{number:032x}")
    owner.apply(
        Intent(send_id=send_id, attempt=1, campaign_id=1, offsets=(Offset(number),), intended_at=Instant(EPOCH + at))
    )
    if fate.is_unknown:
        owner.unknown(send_id, 1, fate)
    else:
        owner.apply(Returned(send_id=send_id, attempt=1, started=True, fate=fate))


@pytest.mark.parametrize("fate, seconds", [(Fate.FAILED, 100), (Fate.LOST, 100), (Fate.ERRED, 10_000)])
def test_a_checkpoint_has_room_for_all_in_hand_sent_one_by_one_and_in_vain(fate: Fate, seconds: float) -> None:
    """Else none is written for as long as the platform is away, and a take-over reads all that was tried meanwhile."""
    owner = Attempts()
    gap = seconds / AHEAD
    for number in range(AHEAD):
        attempt(owner, number, gap * number, fate)
        if number % 3:
            attempt(owner, number, gap * number + 30, fate)
    snapshot = checkpoint(owner)
    assert len(encode(snapshot, JournalOffset(7))) < MAX_CHECKPOINT_BYTES
    after = applied([read_back(snapshot)]).trials()
    assert len(after) == AHEAD
    for offset, history in after.items():
        times = 2 if offset % 3 else 1
        assert (history.attempts, history.counted) == (times, times)
        assert history.lost == (times if fate.is_unknown else 0)
        assert history.answers_lost == (times if fate is Fate.LOST else 0)
        assert history.doubt is {Fate.LOST: Reason.OWNER_LOST, Fate.ERRED: Reason.SERVER_ERROR}.get(fate)
        assert history.first_tried_at is not None
        assert 0 <= EPOCH + gap * offset - history.first_tried_at < max(1, seconds / 150)


def test_a_checkpoint_has_room_for_them_in_any_order_though_not_at_the_first_try() -> None:
    """Where neighbours were tried at other times, a group's offsets lie far apart and take more bytes."""
    owner, dice = Attempts(), random.Random(7)
    for step, number in enumerate(dice.sample(range(AHEAD), AHEAD)):
        attempt(owner, number, step * 0.036, Fate.LOST)
        if number % 3:
            attempt(owner, number, step * 0.036 + 30, dice.choice([Fate.ERRED, Fate.FAILED]))
    sizes = [len(encode(checkpoint(owner), JournalOffset(7)))]
    while sizes[-1] > MAX_CHECKPOINT_BYTES and owner.tell_fewer_apart():
        sizes.append(len(encode(checkpoint(owner), JournalOffset(7))))
    assert len(sizes) > 1
    assert sizes[-1] <= MAX_CHECKPOINT_BYTES


def test_a_checkpoint_that_no_append_could_carry_is_tried_again_with_rougher_instants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Attempts 2 s apart: two in each span of 4 s are too many to be told apart, eight in one of 16 s are not."""
    monkeypatch.setattr("consumer.core.journal.attempts.TOLD_APART", 100)
    monkeypatch.setattr("consumer.core.journal.lane.MAX_CHECKPOINT_BYTES", 8_000)
    runner = Runner(policies=Policies())
    lane = runner.pipeline.lanes[P0]
    for number in range(200):
        attempt(lane.attempts, number, 2.0 * number, Fate.LOST)
    before = len(runner.said(Checkpoint))
    runner.checkpoint()
    assert lane.checkpoint_wanted
    assert len(runner.said(Checkpoint)) == before
    runner.feed(runner.event())
    runner.run(until=runner.time)
    said = runner.said(Checkpoint)[before:]
    assert [len(one.doubted) for one in said[:1]] == [25]
    told = {offset: one for one in said[0].doubted for offset in one.offsets}
    assert {offset: one.lost for offset, one in told.items()} == dict.fromkeys(range(200), 1)
    assert all(0 <= EPOCH + 2 * offset - one.first_tried_at < 16 for offset, one in told.items())


@given(happened())
def test_what_is_told_roughly_loses_no_attempt_and_no_doubt(written: tuple[list[Happening], Model]) -> None:
    """Only instants are rough: a little early, by a span at most."""
    happenings, _ = written
    exact = applied([*happenings, TakenOver()]).trials()
    with pytest.MonkeyPatch.context() as few:
        few.setattr("consumer.core.journal.attempts.TOLD_APART", 1)
        owner = applied([*happenings, TakenOver()])
        checkpoint(owner)
        while owner.tell_fewer_apart():
            pass
        rough = applied([read_back(checkpoint(owner))]).trials()
    assert rough.keys() == exact.keys()
    for offset, history in rough.items():
        before = exact[offset]
        assert (history.attempts, history.counted, history.lost, history.answers_lost, history.doubt) == (
            (before.attempts, before.counted, before.lost, before.answers_lost, before.doubt)
        )
        assert before.first_tried_at is not None
        assert history.first_tried_at is not None
        assert 0 <= before.first_tried_at - history.first_tried_at < SPANS_SECONDS[-1]


def test_what_was_told_roughly_is_told_exactly_again_once_there_is_little_of_it() -> None:
    owner = Attempts()
    for number in range(2_000):
        attempt(owner, number, number * 1.25, Fate.ERRED)
    assert len(checkpoint(owner).doubted) <= TOLD_APART
    owner.prune(Offset(1_999), frozenset())
    checkpoint(owner)
    attempt(owner, 2_000, 5_000.125, Fate.ERRED)
    assert [one.first_tried_at for one in checkpoint(owner).doubted][1:] == [EPOCH + 5_000.125]


def test_few_records_are_never_told_roughly() -> None:
    """What has no room then has none for another reason."""
    owner = Attempts()
    for number in range(TOLD_APART):
        attempt(owner, number, number * 0.001, Fate.ERRED)
    exactly = checkpoint(owner)
    assert not owner.tell_fewer_apart()
    assert checkpoint(owner) == exactly
    assert len(encode(exactly, JournalOffset(7))) < MAX_CHECKPOINT_BYTES // 3
