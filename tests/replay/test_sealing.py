"""What a plan tells people: what it takes, what to be careful about, and what to type next."""

import io
from dataclasses import replace

import msgspec
import pytest
from rich.console import Console

from consumer.cli.points import point_of
from consumer.cli.replay_plan import TABLE_COLUMNS
from consumer.core.terms import Instant
from consumer.lookup.points import LogPoint
from consumer.replay.conclusion import Conclusion, Remarks
from consumer.replay.document import CampaignCounts, Counts, Plan, Selection
from consumer.replay.planning import Drawn, Notes
from consumer.replay.sealing import Frame, Limits, seal
from consumer.replay.show import show
from tests.replay.test_document import RECORDS, coded

QUIET = Remarks(texted_already=0, perhaps_texted_already=0, several=0, urgent=0)
COUNTS = Counts(selected=5_000, already_accepted=3_800, would_send=1_200, people=1_100)
FRAME = Frame(
    group="campaign-consumer",
    results_topic="campaign-send-results",
    selection=Selection(since="-2h"),
    made_at=Instant(1_795_534_800.0),
    rate=None,
    limits=Limits(),
    limits_of=lambda _campaign_id: Limits(),
)


def drawn(
    counts: Counts = COUNTS, *, remarks: Remarks = QUIET, notes: Notes | None = None, campaigns: int = 1
) -> Drawn:
    """What was found, of campaigns 1, 2, ... with the same counts each."""
    return Drawn(
        cluster_id="cluster",
        conclusion=Conclusion(
            counts=counts,
            campaigns=tuple(
                CampaignCounts(campaign_id=number, **msgspec.structs.asdict(counts))
                for number in range(1, campaigns + 1)
            ),
            records=(coded(RECORDS),),
            after=(),
            remarks=remarks,
        ),
        notes=notes or Notes(),
        events_ends={"contact-events": (9,)},
        results_ends=(7,),
        lines=[],
        letters_of=(),
    )


def shown(plan: Plan, *, saved_as: str | None = None, width: int = TABLE_COLUMNS) -> str:
    file = io.StringIO()
    show(Console(file=file, width=width), plan, saved_as=saved_as)
    return file.getvalue()


@pytest.mark.parametrize(
    "limits, of_campaigns, seconds",
    [
        (Limits(), Limits(), None),
        (Limits(contacts_per_second=10.0), Limits(), 240.0),
        (Limits(requests_per_second=2.0, max_contacts=100), Limits(max_contacts=100), 12.0),
        (Limits(contacts_per_second=1000.0), Limits(contacts_per_second=5.0), 240.0),
    ],
)
def test_a_resend_takes_as_long_as_the_tightest_limit_makes_it(
    limits: Limits, of_campaigns: Limits, seconds: float | None
) -> None:
    frame = replace(FRAME, rate=100.0, limits=limits, limits_of=lambda _: of_campaigns)
    counts = replace_counts(COUNTS, would_send=2_400)
    found = drawn(counts)
    one = CampaignCounts(campaign_id=1, **msgspec.structs.asdict(replace_counts(COUNTS, would_send=1_200)))
    two = msgspec.structs.replace(one, campaign_id=2)
    conclusion = replace(found.conclusion, campaigns=(one, two))

    cost = seal(replace(found, conclusion=conclusion), frame).cost

    assert cost.publishing_seconds == 24.0
    assert cost.sending_seconds == seconds


def replace_counts(counts: Counts, **changed: int) -> Counts:
    return msgspec.structs.replace(counts, **changed)


def test_whatever_is_worth_a_warning_is_said_in_a_sentence_with_its_number() -> None:
    counts = Counts(selected=4, in_doubt=312, unsettled=312, expired=312, invalid=312, would_send=4)
    remarks = Remarks(texted_already=312, perhaps_texted_already=312, several=312, urgent=312)
    notes = Notes(
        lost=312,
        letters=312,
        letters_gone=312,
        unknowable=312,
        orphans=312,
        skipped=312,
        unreadable_results=312,
        idle_exclusions=312,
    )

    warnings = seal(drawn(counts, remarks=remarks, notes=notes), FRAME).warnings

    assert len(warnings) == 15
    assert all("312 " in warning for warning in warnings)
    assert "312 of these people already got this text at least once" in warnings
    assert seal(drawn(), FRAME).warnings == ()


def test_the_table_leaves_out_columns_in_which_nothing_stands_and_cuts_no_number_short() -> None:
    text = shown(seal(drawn(campaigns=2), FRAME))

    assert "in doubt" not in text
    assert all(word in text for word in ("campaign", "selected", "accepted", "people", "total", "5,000", "3,800"))
    full = Counts(**dict.fromkeys(Counts.__struct_fields__, 10_000_000))
    assert shown(seal(drawn(full), FRAME)).count("10,000,000") >= len(Counts.__struct_fields__)


def test_what_to_type_next_is_said_with_what_the_run_will_need() -> None:
    frame = replace(FRAME, rate=50.0, selection=Selection(include_accepted=True))

    text = shown(seal(drawn(), frame), saved_as="my plan.json")
    assert "Would send 1,200 texts to 1,100 people." in text
    assert "Publishing: 24 s at 50 records/s." in text
    assert "Next: campaign-consumer replay run 'my plan.json' --rate 50 --reason \"...\"" in text
    assert "Next: the same command with --output plan.json" in shown(seal(drawn(), FRAME))
    nothing = shown(seal(drawn(Counts(selected=4, already_accepted=4)), FRAME), saved_as="plan.json")
    assert "Nothing would be sent." in nothing
    assert "Next" not in nothing


def test_of_many_campaigns_the_largest_are_shown() -> None:
    assert "... and 5 more campaigns (--json has them)" in shown(seal(drawn(campaigns=25), FRAME))


@pytest.mark.parametrize(
    "text, point",
    [
        ("1842", LogPoint(offset=1842)),
        ("-2h", LogPoint(timestamp_ms=92_800_000)),
        ("-90m", LogPoint(timestamp_ms=94_600_000)),
        ("-1d", LogPoint(timestamp_ms=13_600_000)),
        ("-0.5d", LogPoint(timestamp_ms=56_800_000)),
        ("1970-01-02T00:00:00Z", LogPoint(timestamp_ms=86_400_000)),
        ("1970-01-02T01:00:00+01:00", LogPoint(timestamp_ms=86_400_000)),
        ("1970-01-02T00:00:00", None),
        ("yesterday", None),
        ("-", None),
        ("-d", None),
        ("--2h", None),
        ("-nand", None),
        ("-infd", None),
        ("+2h", None),
        ("-2w", None),
        ("", None),
    ],
)
def test_a_point_is_an_offset_an_instant_or_a_time_before_now(text: str, point: LogPoint | None) -> None:
    assert point_of(text, now=100_000.0) == point
