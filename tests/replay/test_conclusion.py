"""Whatever stands in the topics: a plan says of each record what a plain model says, and its sums add up."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.intake.decode import Decoder
from consumer.core.people import People
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition, Ticks
from consumer.replay.conclusion import Conclusion, conclude
from consumer.replay.criteria import Criteria, hash_of
from consumer.replay.draft import PlanDraft
from tests.replay.model import LATE, NOW, PAST, SOON, TOPIC, Stood, Wanted, expected

STATUSES = [
    *("accepted", "rejected", "failed", "expired", "superseded", "duplicate", "cancelled", "in_doubt", "invalid"),
]
EXTEND_SECONDS = 86_400.0
CLOCK = Now(Instant(NOW), Ticks(0.0))


@st.composite
def worlds(draw: st.DrawFn) -> list[Stood]:
    """Some partitions, of each first the range and then what stands behind it."""
    world: list[Stood] = []
    for partition in range(draw(st.integers(1, 2))):
        size = draw(st.integers(0, 8))
        end = draw(st.integers(0, size))
        for offset in range(size):
            valid = draw(st.integers(0, 9)) > 0
            skipped = offset < end and draw(st.integers(0, 7)) == 0
            status = draw(st.none() | st.sampled_from(STATUSES)) if valid else "invalid"
            one = Stood(
                partition=partition,
                offset=3 * offset + 1,
                event=draw(st.integers(0, 2)),
                campaign=draw(st.integers(1, 2)),
                person=draw(st.integers(1, 3)),
                expires_at=draw(st.sampled_from([None, PAST, SOON, LATE])),
                resend=draw(st.sampled_from([None, None, "r-1", "r-2"])) if valid else None,
                valid=valid,
                in_range=offset < end,
                skipped=skipped,
                status=status,
                known_by=draw(st.sampled_from(["result", "result", "journal"])),
            )
            world.append(one)
    return world


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    return Wanted(
        statuses=draw(st.frozensets(st.sampled_from([one for one in STATUSES if one not in {"duplicate", "invalid"}]))),
        campaigns=draw(st.sampled_from([frozenset(), frozenset({1})])),
        excluded_events=draw(st.frozensets(st.integers(0, 2), max_size=1)),
        excluded_people=draw(st.frozensets(st.integers(1, 3), max_size=1)),
        extend=draw(st.booleans()),
    )


def criteria_of(wanted: Wanted) -> Criteria:
    return Criteria(
        campaigns=wanted.campaigns,
        excluded_events=frozenset(hash_of(f"e-{event}") for event in wanted.excluded_events),
        excluded_people=People([f"0034 600 000 {person:03d}" for person in wanted.excluded_people]),
        statuses=wanted.statuses,
    )


def planned(world: list[Stood], wanted: Wanted, *, slice_rows: int = 3) -> Conclusion:
    """What the real code says of a world, fed as a plan feeds it."""
    criteria, decoder = criteria_of(wanted), Decoder(Policies())
    draft = PlanDraft(criteria, now=Instant(NOW), extend_expiry_seconds=EXTEND_SECONDS if wanted.extend else None)
    by_range = ([one for one in world if one.in_range], [one for one in world if not one.in_range])
    numbers = sorted({one.partition for one in world})
    for number in numbers:
        draft.begin(TOPIC, number)
        for one in by_range[0]:
            if one.partition == number:
                draft.events([one], decoder.batch(Partition(TOPIC, number), [one], CLOCK), skipped=one.skipped)
    draft.events_are_known()
    for number in numbers:
        draft.begin(TOPIC, number)
        for one in by_range[1]:
            if one.partition == number:
                draft.behind([one], decoder.batch(Partition(TOPIC, number), [one], CLOCK))
    told = [one for one in world if one.status is not None]
    draft.results([one.result for one in told if one.known_by == "result"])
    for one in told:
        if one.known_by == "journal":
            assert one.status is not None
            draft.outcomes(TOPIC, one.partition, [one.offset], one.status)
    return conclude(draft, criteria, slice_rows=slice_rows)


@given(worlds(), wishes())
def test_each_record_is_counted_as_a_plain_model_counts_it(world: list[Stood], wanted: Wanted) -> None:
    found, model = planned(world, wanted), expected(world, wanted)

    would = {(one.partition, record.offset) for one in found.records for record in one.records()}
    assert would == {place for place, fate in model.fates.items() if fate == "would_send"}
    extended = {(one.partition, record.offset) for one in found.records for record in one.records() if record.extended}
    assert extended == model.extended
    assert set(found.after) == model.after
    counts = {one.campaign_id: msgspec.structs.asdict(one) for one in found.campaigns}
    assert counts.keys() == model.counts.keys()
    for campaign, each in model.counts.items():
        assert {name: count for name, count in counts[campaign].items() if count and name != "campaign_id"} == each
    assert (found.counts.people, found.counts.second_texts) == (model.people, model.second_texts)


@given(worlds(), wishes())
def test_what_is_selected_is_the_sum_of_what_is_left_out_and_what_would_be_sent(
    world: list[Stood], wanted: Wanted
) -> None:
    counts = planned(world, wanted).counts

    left_out = (
        counts.already_accepted + counts.in_doubt + counts.unsettled + counts.expired + counts.repeated,
        counts.invalid + counts.excluded,
    )
    assert counts.selected == sum(left_out) + counts.would_send


@given(worlds(), wishes())
def test_it_makes_no_difference_how_much_is_compared_at_once(world: list[Stood], wanted: Wanted) -> None:
    assert planned(world, wanted, slice_rows=1) == planned(world, wanted, slice_rows=1000)


FAILED = Stood(partition=0, offset=4, event=1, status="failed")
DEFAULT = Wanted(statuses=frozenset({"failed", "rejected", "expired", "cancelled"}))


def test_what_an_earlier_resend_has_brought_to_accepted_is_not_sent_again() -> None:
    resend = replace(FAILED, offset=9, resend="r-1", in_range=False, status="accepted")

    assert planned([FAILED], DEFAULT).counts.would_send == 1
    assert planned([FAILED, resend], DEFAULT).counts.already_accepted == 1
    assert planned([FAILED, replace(resend, status=None)], DEFAULT).counts.unsettled == 1
    failed_again = planned([FAILED, replace(resend, status="failed")], DEFAULT)
    assert (failed_again.counts.would_send, failed_again.after) == (1, ("r-1",))


@pytest.mark.parametrize("status", ["accepted", "in_doubt"])
def test_doubt_and_success_are_sent_again_only_where_they_are_named(status: str) -> None:
    world = [replace(FAILED, status=status)]

    assert planned(world, DEFAULT).counts.would_send == 0
    assert planned(world, Wanted(statuses=frozenset({status}))).counts.would_send == 1


def test_doubt_about_one_of_its_records_is_doubt_about_the_event() -> None:
    resend = replace(FAILED, offset=9, resend="r-1", status="in_doubt")

    for world in ([FAILED, resend], [replace(FAILED, status="in_doubt"), replace(resend, status="failed")]):
        counts = planned(world, DEFAULT).counts
        assert (counts.in_doubt, counts.repeated, counts.would_send) == (1, 1, 0)


def test_an_event_whose_status_was_not_asked_for_is_not_selected_with_any_of_its_records() -> None:
    copy = replace(FAILED, offset=9, status="duplicate")

    assert planned([FAILED, copy], DEFAULT).counts.selected == 2
    assert planned([FAILED, copy], Wanted(statuses=frozenset({"rejected"}))).counts.selected == 0


def test_a_person_who_had_the_text_and_one_who_would_get_two_are_told_apart() -> None:
    world = [
        replace(FAILED, offset=1, event=1, person=1, status="accepted"),
        replace(FAILED, offset=2, event=2, person=1),
        replace(FAILED, offset=3, event=3, person=2),
        replace(FAILED, offset=4, event=4, person=2),
        replace(FAILED, offset=5, event=5, person=3, status="in_doubt"),
    ]

    found = planned(world, Wanted(statuses=frozenset({"failed", "in_doubt"})))

    assert (found.counts.people, found.counts.second_texts) == (3, 2)
    remarks = found.remarks
    assert (remarks.texted_already, remarks.several, remarks.perhaps_texted_already) == (1, 1, 1)


def test_records_of_a_results_topic_that_are_no_results_are_counted_and_passed_over() -> None:
    draft = PlanDraft(criteria_of(DEFAULT), now=Instant(NOW), extend_expiry_seconds=None)
    draft.events_are_known()

    draft.results([b"nothing", None, b'{"status": "sent", "source": {"topic": "t", "partition": 0, "offset": 1}}'])

    assert draft.unreadable_results == 3
