"""The journal's entries: the same after a round trip, and only where they say they stand."""

from itertools import pairwise

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.history import Fate
from consumer.core.intake.decode import Decoder
from consumer.core.journal.entries import (
    BY_AN_OPERATOR,
    Accepted,
    Checkpoint,
    Claim,
    Doubted,
    Entry,
    Intent,
    Mark,
    OpenAttempt,
    Outcome,
    Placed,
    Returned,
    Settled,
    Skipped,
    Tried,
    encode,
)
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.offset_ranges import ranges
from consumer.core.journal.settling import settled_records
from consumer.core.memory.platform_memory import NOTHING, Remembered, StandstillSpan
from consumer.core.memory.segments import MemorySummary, SegmentRef, packed
from consumer.core.outcome import Reason, Related, Response, Status, Verdict
from consumer.core.policy import Policies
from consumer.core.results.result import results
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.intake.wild_events import NOW, PARTITION, VALID_EVENTS, WildRecord, json_bytes

OFFSETS = st.integers(0, 2**56 - 1).map(Offset)
SORTED_OFFSETS = st.sets(OFFSETS, max_size=6).map(lambda offsets: tuple(sorted(offsets)))
INSTANTS = st.floats(0, 4e9).map(Instant)
WORDS = st.text(max_size=12)
SENDS = WORDS.map(SendId)
JSON_NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VERDICTS = st.builds(
    Verdict,
    status=st.sampled_from(Status),
    reason=st.none() | st.sampled_from(Reason),
    send_id=st.none() | SENDS,
    attempts=st.integers(0, 50),
    possible_duplicate=st.booleans(),
    related=st.none() | st.builds(Related, event_id=WORDS, partition=st.integers(0, 99), offset=OFFSETS),
    detail=st.none() | WORDS,
    dispatched_at=st.none() | INSTANTS,
    completed_at=INSTANTS,
    response=st.none()
    | st.builds(
        Response,
        status=st.integers(100, 599),
        id=st.none() | WORDS | JSON_NUMBERS | st.booleans(),
        message=st.none() | WORDS,
        item=st.none() | st.dictionaries(WORDS, WORDS | JSON_NUMBERS | st.none() | st.booleans(), max_size=2),
    ),
)


@st.composite
def settled(draw: st.DrawFn) -> Settled:
    """Some records with a verdict; received together, mostly."""
    offsets = draw(SORTED_OFFSETS)
    instants = draw(st.lists(INSTANTS, min_size=1, max_size=2))
    received = tuple(draw(st.sampled_from(instants)) for _ in offsets)
    fingerprints = draw(st.binary(min_size=16 * len(offsets), max_size=16 * len(offsets)) | st.just(b""))
    return Settled(verdict=draw(VERDICTS), offsets=offsets, received=received, fingerprints=fingerprints)


@st.composite
def range_ends(draw: st.DrawFn) -> tuple[Offset, ...]:
    """Ranges as a checkpoint holds them."""
    return tuple(ranges(draw(SORTED_OFFSETS)))


@st.composite
def doubted(draw: st.DrawFn) -> Doubted:
    """Attempts that add up."""
    answers_lost, erred = draw(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(any))
    lost = answers_lost + erred
    counted = lost + draw(st.integers(0, 9))
    return Doubted(
        offsets=draw(SORTED_OFFSETS),
        attempts=counted + draw(st.integers(0, 9)),
        counted=counted,
        lost=lost,
        answers_lost=answers_lost,
        doubt=draw(st.sampled_from([Reason.SERVER_ERROR, Reason.OWNER_LOST])),
        first_tried_at=draw(INSTANTS),
        last_tried_at=draw(INSTANTS),
    )


CAMPAIGNS = st.integers(1, 2**63 - 1)
MILLISECONDS = st.integers(0, 4 * 10**12).map(lambda count: Instant(count / 1000))
SPANS = st.builds(StandstillSpan, since=MILLISECONDS, until=MILLISECONDS)
REMEMBERED = st.builds(
    Remembered,
    contact=st.none() | st.text(min_size=1, max_size=32),
    paused=st.none() | SPANS,
    paused_campaigns=st.dictionaries(CAMPAIGNS, SPANS, max_size=3),
    refused_campaigns=st.dictionaries(CAMPAIGNS, MILLISECONDS, max_size=3),
    outages=st.lists(SPANS, max_size=3).map(tuple),
)

FATES = st.none() | st.sampled_from([Fate.EXCUSED, Fate.PUT_OFF, Fate.FAILED])
ENTRIES: st.SearchStrategy[Entry] = (
    st.builds(Claim, group=WORDS, member=WORDS, process=WORDS, version=WORDS, claimed_at=INSTANTS)
    | st.builds(
        Intent,
        send_id=SENDS,
        attempt=st.integers(1, 99),
        campaign_id=st.integers(1, 2**63 - 1),
        offsets=SORTED_OFFSETS,
        intended_at=INSTANTS,
    )
    | st.builds(Returned, send_id=SENDS, attempt=st.integers(1, 99), started=st.booleans(), fate=FATES)
    | st.builds(Skipped, start=OFFSETS, stop=OFFSETS, skipped_at=INSTANTS)
    | st.builds(Accepted, group=WORDS, start=OFFSETS, end=OFFSETS, why=WORDS, accepted_at=INSTANTS)
    | st.builds(Outcome, send_id=st.none() | SENDS, settled=st.lists(settled(), max_size=3).map(tuple))
    | st.builds(
        packed,
        st.dictionaries(st.binary(min_size=16, max_size=16), OFFSETS, min_size=1, max_size=5),
        since=INSTANTS,
        until=INSTANTS,
    )
    | st.builds(
        Checkpoint,
        group=WORDS,
        watermark=OFFSETS,
        settled=range_ends(),
        open_attempts=st.lists(
            st.builds(
                OpenAttempt,
                send_id=SENDS,
                attempt=st.integers(1, 99),
                offsets=SORTED_OFFSETS,
                intended_at=INSTANTS,
            ),
            max_size=3,
        ).map(tuple),
        tried=st.lists(
            st.builds(
                Tried,
                offsets=SORTED_OFFSETS,
                attempts=st.integers(1, 99),
                counted=st.integers(0, 99),
                first_tried_at=INSTANTS,
                excused=st.booleans(),
            ),
            max_size=2,
        ).map(tuple),
        doubted=st.lists(doubted(), max_size=2).map(tuple),
        unpublished=st.none() | st.integers(0, 2**56).map(JournalOffset),
        mark=st.none()
        | st.builds(
            Mark,
            offset=OFFSETS,
            timestamp_ms=st.integers(0, 2**50),
            key_bytes=st.integers(0, 99),
            value_bytes=st.integers(0, 99),
        ),
        claim=st.none() | st.integers(0, 2**56).map(JournalOffset),
        memory=st.none()
        | st.builds(
            MemorySummary,
            upto=st.integers(0, 2**56).map(JournalOffset),
            forgotten=st.none() | INSTANTS,
            segments=st.lists(
                st.builds(
                    SegmentRef,
                    stands=st.integers(0, 2**56).map(JournalOffset),
                    count=st.integers(1, 24_576),
                    since=INSTANTS,
                    until=INSTANTS,
                ),
                max_size=3,
            ).map(tuple),
        ),
        platform=REMEMBERED,
    )
)
PLACES = st.integers(0, 2**56).map(JournalOffset)


@given(ENTRIES, PLACES, PLACES)
def test_an_entry_reads_back_as_it_was_written(entry: Entry, expected: JournalOffset, stands: JournalOffset) -> None:
    value = encode(entry, expected)
    assert decode(stands, value) == Placed(offset=stands, at=expected, entry=entry)
    assert isinstance(orjson.loads(value), dict), "any Kafka tool shows it"


@given(ENTRIES, PLACES, PLACES)
def test_an_entry_counts_only_where_it_says_it_stands_and_a_claim_everywhere(
    entry: Entry, expected: JournalOffset, stands: JournalOffset
) -> None:
    assert decode(expected, encode(entry, expected)).counts
    if stands != expected:
        assert decode(stands, encode(entry, expected)).counts is isinstance(entry, Claim)


@given(
    st.lists(VALID_EVENTS, min_size=1, max_size=4),
    VERDICTS.filter(lambda verdict: verdict.status is not Status.INVALID),
)
def test_a_result_published_by_a_later_owner_is_the_same_to_the_byte(
    documents: list[dict[str, object]], verdict: Verdict
) -> None:
    """The first owner writes it from what it knows, the next one from the record and the journal."""
    records = [
        WildRecord(value=json_bytes(document), offset=1000 + 3 * index) for index, document in enumerate(documents)
    ]
    first = [event for event in Decoder(Policies()).batch(PARTITION, records, NOW) if isinstance(event, Event)]
    published = results(first, verdict)
    outcome = Outcome(send_id=verdict.send_id, settled=(settled_records(verdict, first),))

    placed = decode(JournalOffset(7), encode(outcome, JournalOffset(7)))
    assert isinstance(placed.entry, Outcome)
    (known,) = placed.entry.settled
    later = NOW._replace(wall=Instant(NOW.wall + 5000.0))
    again = [event for event in Decoder(Policies()).batch(PARTITION, records, later) if isinstance(event, Event)]
    for event, received_at in zip(again, known.received, strict=True):
        event.received_at = received_at
    assert results(again, known.verdict) == published
    assert known.offsets == tuple(event.offset for event in first)


@given(settled())
def test_the_journal_holds_one_fingerprint_a_record_or_none(one: Settled) -> None:
    value = orjson.loads(encode(Outcome(send_id=None, settled=(one,)), JournalOffset(0)))
    assert len(value["settled"][0]["offsets"]) == len(one.offsets)
    assert sum(count for _, count in value["settled"][0]["received"]) == len(one.offsets)


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_the_offsets_that_they_were_made_of(offsets: set[int]) -> None:
    ends = list(ranges(Offset(offset) for offset in sorted(offsets)))
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    assert {offset for first, end in pairs for offset in range(first, end)} == offsets
    assert all(before[1] < after[0] for before, after in pairwise(pairs)), "touching ranges are one"


def test_a_checkpoint_of_a_version_that_remembered_nothing_of_the_platform_is_read_as_one() -> None:
    checkpoint = Checkpoint(
        group="g", watermark=Offset(3), settled=(), open_attempts=(), tried=(), unpublished=None, mark=None
    )
    fields = orjson.loads(encode(checkpoint, JournalOffset(7)))
    del fields["platform"]
    entry = decode(JournalOffset(7), orjson.dumps(fields)).entry
    assert isinstance(entry, Checkpoint)
    assert entry.platform == NOTHING


ACCEPTED = Accepted(group="g", start=Offset(3), end=Offset(9), why="it was recreated", accepted_at=Instant(1.0))


def test_a_partition_is_taken_by_another_process_claim_wherever_it_stands_and_by_an_operators_proven_word() -> None:
    claim = Claim(group="g", member="member-a", process="a", version="1", claimed_at=Instant(1.0))
    late = Placed(offset=JournalOffset(9), at=JournalOffset(0), entry=claim)
    assert late.displaces("b") == "member-a"
    assert late.displaces("a") is None
    proven = Placed(offset=JournalOffset(9), at=JournalOffset(9), entry=ACCEPTED)
    void = Placed(offset=JournalOffset(9), at=JournalOffset(8), entry=ACCEPTED)
    assert proven.displaces("a") == BY_AN_OPERATOR
    assert void.displaces("a") is None


def test_people_and_judges_find_a_skipped_range_by_its_names() -> None:
    entry = Skipped(start=Offset(3), stop=Offset(9), skipped_at=Instant(1.5))
    assert orjson.loads(encode(entry, JournalOffset(7))) == {
        "at": 7,
        "kind": "skipped",
        "from": 3,
        "to": 9,
        "skipped_at": 1.5,
    }
