"""What is seen of a partition is what its next owner would find, and an operator's word is written once, or not at all."""

import orjson
import pytest

from consumer.core.journal.entries import Checkpoint, Claim, Intent, OpenAttempt, Outcome, Settled
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.takeover import OUR_MARK
from consumer.core.outcome import Status, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset, Partition, SendId
from consumer.inspection.inspector import Inspector, Layout, NotAcceptedError
from consumer.inspection.report import remarks
from consumer.inspection.view import State
from consumer.service.ports import Committed
from tests.core.makers import make_claim
from tests.inspection.journals import P0, OneJournal, OneLog

OURS = OUR_MARK
NOW = Instant(1_000_000.0)
ACCEPTED = Verdict(status=Status.ACCEPTED, completed_at=Instant(5.0))


def inspector(journal: OneJournal, log: OneLog, *, members: frozenset[str] = frozenset({"member-me"})) -> Inspector:
    layout = Layout(events={"events": 2}, journals={"events": ("events-journal", 1)}, members=members)
    return Inspector(events=log, journal=journal, layout=layout, group="g")


def committed(offset: int, metadata: str = OURS) -> Committed:
    return Committed(offset=Offset(offset), metadata=metadata)


def snapshot(watermark: int, *, claim: int | None = None, attempts: tuple[OpenAttempt, ...] = ()) -> Checkpoint:
    return Checkpoint(
        group="g",
        watermark=Offset(watermark),
        settled=(),
        open_attempts=attempts,
        tried=(),
        unpublished=None,
        mark=None,
        claim=None if claim is None else JournalOffset(claim),
    )


def settled(*offsets: int) -> Outcome:
    verdicts = Settled(
        verdict=ACCEPTED,
        offsets=tuple(map(Offset, offsets)),
        received=tuple(Instant(1.0) for _ in offsets),
        fingerprints=b"",
    )
    return Outcome(send_id=None, settled=(verdicts,))


def intent(*offsets: int) -> Intent:
    return Intent(
        send_id=SendId("s"), attempt=1, campaign_id=1, offsets=tuple(map(Offset, offsets)), intended_at=Instant(1.0)
    )


def at_work() -> tuple[OneJournal, OneLog]:
    """A partition whose owner has begun, with two records settled ahead and one out."""
    journal = OneJournal()
    journal.say(make_claim("other"))
    journal.say(make_claim("me"))
    journal.say(snapshot(40, claim=1))
    journal.say(intent(40))
    journal.say(settled(41, 42))
    return journal, OneLog(commit=committed(40))


async def test_a_partition_at_work_is_seen_with_its_owner_what_is_settled_ahead_and_what_is_out() -> None:
    seen = await inspector(*at_work()).look(P0)
    assert (seen.state, seen.why) == (State.ORDINARY, None)
    assert (seen.committed, seen.watermark, seen.settled_ahead, seen.unknown, seen.lag) == (40, 40, 2, 1, 60)
    assert seen.owner is not None
    assert (seen.owner.member, seen.owner.in_group, seen.claim_offset) == ("member-me", True, 1)
    assert (seen.checkpoint_offset, seen.checkpoint_written_at) == (2, 2 * 3600.0)
    assert seen.at_work


async def test_the_owner_is_found_from_the_last_checkpoint_though_its_claim_lies_far_back() -> None:
    journal = OneJournal()
    journal.say(make_claim("me"))
    for _ in range(2_000):
        journal.say(settled(1))
    journal.say(snapshot(40, claim=0))
    seen = await inspector(journal, OneLog()).look(P0)
    assert seen.owner is not None
    assert (seen.owner.process, seen.claim_offset) == ("me", 0)
    journal.first = 5
    seen = await inspector(journal, OneLog()).look(P0)
    assert (seen.owner, seen.claim_offset) == (None, 0), "retention has removed the claim, and nothing else is known"


async def test_whoever_claimed_last_is_the_owner_though_it_has_not_begun_and_is_gone() -> None:
    journal, log = at_work()
    journal.say(make_claim("late"))
    seen = await inspector(journal, log).look(P0)
    assert seen.owner is not None
    assert (seen.owner.member, seen.owner.in_group, seen.claim_offset) == ("member-late", False, 5)
    assert not seen.at_work


async def test_what_others_wrote_by_mistake_is_said_beside_a_partition_that_goes_on() -> None:
    journal, log = at_work()
    journal.say(make_claim("stranger", "x"))
    journal.values += [b"hello", b"{}"]
    seen = await inspector(journal, log).look(P0)
    assert (seen.state, seen.watermark, seen.unknown) == (State.ORDINARY, 40, 1)
    assert seen.owner is not None
    assert seen.owner.member == "member-me"
    assert [note.partition(":")[0] for note in seen.notes] == [
        "records in its journal are no entries and say nothing",
        "group 'x' has claimed its journal 1 times, the last time as member-stranger; the partition is taken back",
    ]
    assert "the last one at journal offset 7" in seen.notes[0]
    assert [line.partition(" ")[0] for line in remarks(seen)] == ["events:0:", "events:0:"]


async def test_a_journal_of_another_group_stops_the_partition_until_it_is_given_to_this_one() -> None:
    journal, log = at_work()
    theirs = Inspector(
        events=log,
        journal=journal,
        layout=Layout(
            events={"events": 1}, journals={"events": ("events-journal", 1)}, members=frozenset({"member-me"})
        ),
        group="x",
    )
    seen = await theirs.look(P0)
    assert (seen.state, seen.at_work, seen.settled_ahead) == (State.STOPPED, False, 0)
    assert seen.why is not None
    assert seen.why.startswith("its journal belongs to group 'g', and this is group 'x'")
    assert await theirs.accept(seen, Offset(40), NOW) == 5
    assert (await theirs.look(P0)).state is State.ACCEPTED
    ours = await inspector(journal, log).look(P0)
    assert (ours.state, ours.why and ours.why.partition(",")[0]) == (State.STOPPED, "its journal belongs to group 'x'")


async def test_a_partition_that_nobody_ever_had_begins_where_its_log_does() -> None:
    seen = await inspector(OneJournal(), OneLog(start=7)).look(P0)
    assert (seen.state, seen.watermark, seen.lag, seen.owner) == (State.ORDINARY, 7, 93, None)


async def test_a_partition_without_a_journal_says_what_is_to_be_done() -> None:
    seen = await inspector(OneJournal(), OneLog()).look(Partition("events", 1))
    assert seen.state is State.NO_JOURNAL
    assert seen.why == "the journal 'events-journal' has 1 partitions: give it 2, as many as 'events' has"


@pytest.mark.parametrize(
    "log, state, watermark",
    [
        pytest.param(OneLog(commit=committed(10, "")), State.REWOUND, 40, id="moved back"),
        pytest.param(OneLog(commit=committed(60, "")), State.SKIPPED, 60, id="moved forward"),
        pytest.param(OneLog(commit=committed(40), start=50), State.RECORDS_LOST, 50, id="retention"),
        pytest.param(OneLog(commit=committed(40), end=30), State.STOPPED, 40, id="truncated"),
    ],
)
async def test_what_happened_to_group_or_log_is_a_state(log: OneLog, state: State, watermark: int) -> None:
    journal, _ = at_work()
    seen = await inspector(journal, log).look(P0)
    assert (seen.state, seen.watermark) == (state, watermark)
    assert seen.why


# ------------------------------------------------------------------------------------------------- the operator's word


def lost() -> tuple[OneJournal, OneLog]:
    """A partition that has a commit of ours and no journal to be asked."""
    return OneJournal(), OneLog(commit=committed(30))


async def test_a_word_is_written_where_it_says_it_stands_and_is_seen_at_once() -> None:
    journal, log = lost()
    looks = inspector(journal, log)
    seen = await looks.look(P0)
    assert seen.state is State.STOPPED
    assert await looks.accept(seen, Offset(30), NOW) == 0
    placed = decode(JournalOffset(0), journal.values[0])
    assert placed.counts
    assert orjson.loads(journal.values[0])["end"] == 100
    seen = await looks.look(P0)
    assert (seen.state, seen.watermark) == (State.ACCEPTED, 30)


async def test_a_word_that_somebody_was_quicker_than_is_void_and_is_said_again_behind_it() -> None:
    journal, log = lost()
    quicker: list[Claim] = [make_claim("me")]

    def claim() -> None:
        while quicker:
            journal.say(quicker.pop())

    journal.before_append = claim
    looks = inspector(journal, log)
    assert await looks.accept(await looks.look(P0), Offset(30), NOW) == 2
    assert [decode(JournalOffset(at), value).counts for at, value in enumerate(journal.values)] == [True, False, True]


async def test_a_partition_that_starts_by_itself_meanwhile_needs_no_word() -> None:
    journal, log = lost()
    journal.before_append = lambda: journal.say(snapshot(30))
    looks = inspector(journal, log)
    with pytest.raises(NotAcceptedError, match="is not stopped: its state is ordinary"):
        await looks.accept(await looks.look(P0), Offset(30), NOW)


async def test_a_word_of_unknown_fate_is_not_called_written() -> None:
    journal, log = lost()
    journal.unsure = True
    looks = inspector(journal, log)
    with pytest.raises(NotAcceptedError, match="it is unknown whether the decision was written"):
        await looks.accept(await looks.look(P0), Offset(30), NOW)


async def test_a_partition_whose_owner_is_at_work_is_not_taken_from_it() -> None:
    journal, _ = at_work()
    recreated = OneLog(commit=committed(40), end=30)
    looks = inspector(journal, recreated)
    with pytest.raises(NotAcceptedError, match="is at work with member member-me: stop that instance first"):
        await looks.accept(await looks.look(P0), Offset(0), NOW)
    gone = inspector(journal, recreated, members=frozenset())
    assert await gone.accept(await gone.look(P0), Offset(0), NOW) == 5


async def test_an_owner_whose_journal_has_lost_its_end_has_found_out_by_itself() -> None:
    journal, log = at_work()
    journal.say(intent(43), at=90)
    looks = inspector(journal, log)
    seen = await looks.look(P0)
    assert seen.state is State.STOPPED
    assert await looks.accept(seen, Offset(40), NOW) == 6


@pytest.mark.parametrize("start", [6, 101])
async def test_a_partition_is_not_let_start_outside_of_its_log(start: int) -> None:
    journal, log = lost()
    log.start = 7
    looks = inspector(journal, log)
    with pytest.raises(NotAcceptedError, match=f"cannot start at offset {start}: its log goes from 7 to 100"):
        await looks.accept(await looks.look(P0), Offset(start), NOW)
    assert not journal.values
