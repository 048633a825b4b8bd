"""Taking a partition over: the table of evidence row by row, and what the journal says of the records from there on."""

import dataclasses

import pytest

from consumer.core.journal.entries import (
    Accepted,
    Checkpoint,
    Entry,
    Intent,
    Mark,
    OpenAttempt,
    Outcome,
    Placed,
    Returned,
    Settled,
    Tried,
)
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.stop import Stop
from consumer.core.journal.takeover import (
    Evidence,
    Start,
    claimed_since,
    differs,
    starting_point,
)
from consumer.core.memory.segments import MemorySummary
from consumer.core.outcome import Status, Verdict
from consumer.core.policy import MemorySizes, Policies
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.journal.replaying import last_checkpoint, reading, replayed, values_of
from tests.core.makers import make_claim

ACCEPTED = Verdict(status=Status.ACCEPTED, completed_at=Instant(5.0))
WHOLE, CUT = True, False


def checkpoint(
    watermark: int = 100,
    *,
    settled: tuple[int, ...] = (),
    unpublished: int | None = None,
    open_attempts: tuple[OpenAttempt, ...] = (),
    tried: tuple[Tried, ...] = (),
    group: str = "g",
) -> Checkpoint:
    return Checkpoint(
        group=group,
        watermark=Offset(watermark),
        settled=tuple(Offset(offset) for offset in settled),
        open_attempts=open_attempts,
        tried=tried,
        unpublished=None if unpublished is None else JournalOffset(unpublished),
        mark=Mark(offset=Offset(watermark - 1), timestamp_ms=7, key_bytes=1, value_bytes=2),
    )


def evidence(
    *,
    committed: int | None = None,
    by_us: bool = False,
    watermark: int | None = None,
    journal: bool = WHOLE,
    log: tuple[int, int] = (0, 1000),
    word: int | None = None,
    cut_at: int | None = None,
    unreadable: bool = False,
    differs_at: int | None = None,
) -> Evidence:
    return Evidence(
        committed=None if committed is None else Offset(committed),
        committed_by_us=by_us,
        checkpoint=None if watermark is None else checkpoint(watermark),
        journal_is_whole=journal,
        log_start=Offset(log[0]),
        log_end=Offset(log[1]),
        accepted=None if word is None else operators_word(word),
        cut=None if cut_at is None else Placed(offset=JournalOffset(3), at=JournalOffset(cut_at), entry=make_claim()),
        unreadable=decode(JournalOffset(3), b'{"at":3,"kind":"rumour"}') if unreadable else None,
        differs_at=None if differs_at is None else Offset(differs_at),
    )


def operators_word(start: int) -> Accepted:
    return Accepted(group="g", start=Offset(start), end=Offset(1000), why="asked for", accepted_at=Instant(1.0))


def start(offset: int, *, rewound: int = 0, skipped: int = 0, lost: int = 0) -> Start:
    return Start(offset=Offset(offset), rewound=rewound, skipped=skipped, lost=lost)


def taken_back(offset: int) -> Start:
    return Start(offset=Offset(offset), commit=True)


@pytest.mark.parametrize(
    "known, expected",
    [
        pytest.param(evidence(watermark=100, committed=100, by_us=True), start(100), id="where we stopped"),
        pytest.param(evidence(watermark=100, committed=90, by_us=True), start(100), id="a commit lags behind"),
        pytest.param(evidence(watermark=100, committed=130, by_us=True), start(130), id="a commit is ahead"),
        pytest.param(evidence(watermark=100), start(100), id="the commits were deleted"),
        pytest.param(
            evidence(watermark=100, committed=0),
            start(100, rewound=100),
            id="a tool rewound the group: nobody is texted",
        ),
        pytest.param(
            evidence(watermark=100, committed=150), start(150, skipped=50), id="a tool moved it forward: obeyed"
        ),
        pytest.param(
            evidence(watermark=100, committed=100, by_us=True, log=(120, 1000)), start(120, lost=20), id="retention"
        ),
        pytest.param(
            evidence(watermark=100, committed=100, by_us=True, log=(50, 100)), start(100), id="all is read already"
        ),
        pytest.param(
            evidence(watermark=100, committed=100, by_us=True, journal=CUT), start(100), id="a journal cut by retention"
        ),
        pytest.param(
            evidence(watermark=100, committed=110, log=(120, 1000)),
            start(120, skipped=10, lost=10),
            id="moved forward, and retention beyond that",
        ),
        pytest.param(evidence(word=40), start(40), id="an operator's word, nothing committed"),
        pytest.param(evidence(word=40, committed=40, by_us=True), start(40), id="an operator's word: at the commit"),
        pytest.param(evidence(word=40, committed=90, by_us=True), taken_back(40), id="an operator's word: before it"),
        pytest.param(evidence(word=90, committed=40, by_us=True), start(90), id="an operator's word: behind it"),
        pytest.param(
            evidence(word=40, committed=40, by_us=True, journal=CUT, differs_at=9),
            start(40),
            id="an operator's word outweighs what stopped the partition",
        ),
        pytest.param(
            evidence(word=40, watermark=60, committed=50, by_us=True), start(60), id="an owner went on from there"
        ),
        pytest.param(evidence(committed=70), start(70), id="a migration from another consumer"),
        pytest.param(evidence(committed=70, log=(80, 1000)), start(80, lost=10), id="a migration after retention"),
        pytest.param(evidence(log=(30, 1000)), start(30), id="the first start ever"),
        pytest.param(evidence(log=(0, 0)), start(0), id="an empty topic"),
    ],
)
def test_where_to_start_by_the_evidence(known: Evidence, expected: Start) -> None:
    assert starting_point(known) == expected


@pytest.mark.parametrize(
    "known, may_pass",
    [
        pytest.param(evidence(committed=70, by_us=True), False, id="our commit and an empty journal"),
        pytest.param(evidence(journal=CUT), False, id="a journal without beginning or checkpoint"),
        pytest.param(evidence(committed=70, journal=CUT), False, id="the same with somebody's commit"),
        pytest.param(evidence(watermark=100, log=(0, 99)), True, id="a topic that ends below what is done"),
        pytest.param(evidence(committed=70, log=(0, 10)), True, id="a commit beyond the topic's end"),
        pytest.param(evidence(word=70, log=(0, 10)), True, id="an operator's word beyond the topic's end"),
        pytest.param(
            evidence(watermark=100, committed=100, by_us=True, cut_at=7), False, id="a journal that has lost its end"
        ),
        pytest.param(evidence(word=70, cut_at=7), False, id="the same after an operator's word"),
        pytest.param(
            evidence(watermark=100, committed=100, by_us=True, unreadable=True),
            False,
            id="an entry that nobody can read",
        ),
        pytest.param(evidence(word=70, unreadable=True), False, id="such an entry after an operator's word"),
        pytest.param(
            evidence(watermark=100, committed=100, by_us=True, differs_at=99), False, id="another record at the mark"
        ),
    ],
)
def test_what_must_be_looked_at_before_the_partition_starts(known: Evidence, may_pass: bool) -> None:  # noqa: FBT001
    point = starting_point(known)
    assert isinstance(point, Stop)
    assert point.may_pass is may_pass
    assert point.why


def test_a_record_that_is_not_the_marked_one_is_noticed() -> None:
    mark = Mark(offset=Offset(9), timestamp_ms=7, key_bytes=1, value_bytes=2)
    assert not differs(mark, 7, b"k", b"vv")
    assert differs(mark, 8, b"k", b"vv")
    assert differs(mark, 7, None, b"vv")
    assert differs(mark, 7, b"k", b"v")
    assert differs(mark, 7, b"k", None)


# ------------------------------------------------------------------------------------------------------- the replay


def log(*entries: Entry, base: int = 0) -> list[Placed]:
    return [
        Placed(offset=JournalOffset(base + step), at=JournalOffset(base + step), entry=entry)
        for step, entry in enumerate(entries)
    ]


def intent(name: str, *offsets: int, attempt: int = 1) -> Intent:
    return Intent(
        send_id=SendId(name),
        attempt=attempt,
        campaign_id=1,
        offsets=tuple(Offset(offset) for offset in offsets),
        intended_at=Instant(1.0),
    )


def outcome(name: str | None, *offsets: int) -> Outcome:
    settled = Settled(
        verdict=ACCEPTED,
        offsets=tuple(Offset(offset) for offset in offsets),
        received=tuple(Instant(float(offset)) for offset in offsets),
        fingerprints=b"".join(offset.to_bytes(16, "big") for offset in offsets),
    )
    return Outcome(send_id=None if name is None else SendId(name), settled=(settled,))


def test_each_record_is_settled_unknown_or_ordinary() -> None:
    entries = log(
        make_claim(),
        checkpoint(100),
        intent("a", 100, 101),
        intent("b", 102),
        outcome("a", 100, 101),
        intent("c", 103),
        Returned(send_id=SendId("c"), attempt=1, started=True),
    )
    taken = replayed(entries, 100)
    assert {offset: (known.journal_offset, known.received_at) for offset, known in taken.known.items()} == {
        100: (4, 100.0),
        101: (4, 101.0),
    }
    assert {offset: (each.attempts, each.lost) for offset, each in taken.trials.items()} == {102: (1, 1), 103: (1, 0)}
    assert not taken.published
    assert taken.mark == checkpoint(100).mark


def test_results_that_a_checkpoint_calls_published_are_not_published_again() -> None:
    entries = log(outcome("a", 104, 105), outcome("b", 107), checkpoint(100, settled=(104, 106), unpublished=1))
    taken = replayed(entries, 100)
    assert taken.published.flat() == [104, 106]
    assert set(taken.known) == {107}


def test_void_entries_say_nothing() -> None:
    void = Placed(offset=JournalOffset(3), at=JournalOffset(2), entry=outcome("a", 100))
    also = Placed(offset=JournalOffset(4), at=JournalOffset(3), entry=checkpoint(900))
    entries = [*log(make_claim(), checkpoint(100), intent("a", 100)), void, also]
    taken = replayed(entries, 100)
    assert taken.known == {}
    assert taken.trials[Offset(100)].lost == 1
    assert last_checkpoint(values_of(entries)) == (1, checkpoint(100))


def test_attempts_of_before_a_checkpoint_count_only_as_it_says() -> None:
    """Reading may begin anywhere: an attempt closed before what is read must not look open."""
    still_open = OpenAttempt(send_id=SendId("old"), attempt=3, offsets=(Offset(110),), intended_at=Instant(1.0))
    tried = Tried(offsets=(Offset(111),), attempts=2, counted=2, first_tried_at=Instant(1.0))
    entries = log(intent("x", 109), checkpoint(100, open_attempts=(still_open,), tried=(tried,)))
    taken = replayed(entries, 100)
    assert {offset: (each.attempts, each.lost) for offset, each in taken.trials.items()} == {110: (1, 1), 111: (2, 0)}


def test_what_lies_below_the_start_is_nobodys_business() -> None:
    entries = log(checkpoint(100, settled=(104, 106)), intent("a", 101), outcome("b", 102))
    taken = replayed(entries, 105)
    assert taken.known == {}
    assert taken.trials == {}
    assert taken.published.flat() == [105, 106]


def test_the_first_outcome_of_a_record_stands() -> None:
    second = Outcome(
        send_id=None,
        settled=(
            Settled(
                verdict=Verdict(status=Status.IN_DOUBT, completed_at=Instant(9.0)),
                offsets=(Offset(100),),
                received=(Instant(1.0),),
                fingerprints=b"",
            ),
        ),
    )
    taken = replayed(log(outcome("a", 100), second), 100)
    assert taken.known[Offset(100)].verdict == ACCEPTED


def test_a_journal_of_before_segments_is_remembered_from_its_outcomes_also_below_the_start() -> None:
    entries = log(outcome("a", 3), intent("b", 50, 51), outcome("b", 50, 51), checkpoint(100))
    recalled = replayed(entries, 100).recalled
    assert recalled.ids == {offset.to_bytes(16, "big"): offset for offset in (3, 50, 51)}
    assert (recalled.upto, recalled.since, recalled.until) == (0, ACCEPTED.completed_at, ACCEPTED.completed_at)


def test_behind_a_checkpoint_that_names_segments_only_the_tail_is_remembered_from_outcomes() -> None:
    memory = MemorySummary(upto=JournalOffset(1), forgotten=Instant(2.0), segments=())
    snapshot = dataclasses.replace(checkpoint(100), memory=memory)
    recalled = replayed(log(outcome("a", 3), outcome("b", 50), snapshot, outcome("c", 100)), 100).recalled
    assert recalled.ids == {offset.to_bytes(16, "big"): offset for offset in (50, 100)}
    assert (recalled.upto, recalled.forgotten) == (1, 2.0)


def test_a_reading_begins_no_earlier_than_it_must() -> None:
    memory = MemorySummary(upto=JournalOffset(2), forgotten=None, segments=())
    values = values_of(log(*[intent("a", 100)] * 5, dataclasses.replace(checkpoint(100), memory=memory)))
    assert reading(values).begin == 2
    values = values_of(log(*[intent("a", 100)] * 5, dataclasses.replace(checkpoint(100, unpublished=1), memory=memory)))
    assert reading(values).begin == 1


def test_what_stands_before_a_checkpoint_and_cannot_be_read_says_nothing() -> None:
    broken = b'{"at":1,"kind":"outcome","send":null,"settled":[{"offsets":[1]}]}'
    before = [(JournalOffset(0), b"stray"), (JournalOffset(1), broken)]
    replay = reading([*before, *values_of(log(checkpoint(100), base=2))])
    assert (replay.strays, replay.unreadable) == ([], None)
    assert replay.taken_over(Offset(100)).recalled.ids == {}
    replay = reading([*before, *values_of(log(checkpoint(100, unpublished=1), base=2))])
    assert replay.unreadable is not None
    assert replay.unreadable.offset == 1, "its result may have to be published"


def test_nothing_that_stands_before_an_operators_word_says_anything_any_more() -> None:
    word = operators_word(40)
    entries = log(checkpoint(100), intent("a", 100), word, make_claim(), intent("b", 41), outcome("c", 40))
    replay = reading(values_of(entries))
    assert (replay.accepted, replay.checkpoint) == (word, None)
    taken = replay.taken_over(Offset(40))
    assert set(taken.known) == {40}
    assert set(taken.trials) == {41}
    assert set(taken.recalled.ids) == {(40).to_bytes(16, "big")}
    assert reading(values_of(entries[:2])).accepted is None


def test_ids_of_before_an_operators_word_are_forgotten_also_behind_a_checkpoint_that_knows_no_segments() -> None:
    policies = Policies(memory_sizes=MemorySizes(segment_ids=1))
    entries = log(outcome("a", 1), outcome("b", 2), operators_word(40), outcome("c", 3), checkpoint(40))
    replay = reading(values_of(entries), policies=policies)
    assert replay.anew
    assert replay.take_packed() == []
    assert set(replay.taken_over(Offset(40)).recalled.ids) == {(3).to_bytes(16, "big")}


def test_an_operators_word_that_others_wrote_before_says_nothing() -> None:
    void = Placed(offset=JournalOffset(2), at=JournalOffset(1), entry=operators_word(40))
    replay = reading(values_of([*log(checkpoint(100), intent("a", 100)), void]))
    assert replay.accepted is None
    assert replay.checkpoint == checkpoint(100)


def test_an_entry_below_where_its_writer_expected_it_shows_that_the_journal_has_lost_its_end() -> None:
    below = Placed(offset=JournalOffset(1), at=JournalOffset(7), entry=intent("a", 100))

    def cut(entries: list[Placed]) -> Placed | None:
        return reading(values_of(entries)).cut

    assert cut([*log(checkpoint(100)), below]) == below
    assert cut([below, *log(checkpoint(100), intent("b", 100), base=2)]) is None, "an owner went on since"
    assert cut(log(make_claim(), checkpoint(100), intent("a", 100))) is None


def test_a_take_over_that_was_overtaken_names_the_next_claim() -> None:
    assert claimed_since(log(make_claim("me"), intent("a", 1)), "me") is None
    assert claimed_since(log(intent("a", 1), make_claim("other"), make_claim("third")), "me") == "member-other"
