"""One sentence and one grade for how the service stands: what is named, in which order, in which words."""

from collections.abc import Sequence

import pytest

from consumer.core.terms import Instant, Now, Ticks
from consumer.service.verdict import Standing, Trouble, VerdictCause, span_of, verdict_of

MIDNIGHT = 1_794_960_000.0
NOW = Now(Instant(MIDNIGHT + 600.0), Ticks(600.0))
AT_WORK = Standing(waiting=3, late_seconds=0.2)
IDLE = Standing(waiting=0, late_seconds=0.0)

UNREACHABLE = Trouble(
    cause=VerdictCause.PLATFORM_PAUSES,
    grade="bad",
    headline="held back by the platform: 503",
    sentence="the platform asked for a pause",
    since=Instant(MIDNIGHT + 131.0),
    events=37_000,
    next_try_at=Instant(MIDNIGHT + 612.0),
    unready=True,
)
REJECTED = Trouble(
    cause=VerdictCause.CAMPAIGNS_REFUSED,
    grade="bad",
    headline="the platform rejects campaign 421 (404)",
    sentence="the platform rejects campaign 421",
    since=Instant(MIDNIGHT - 86_400.0),
    events=1_168,
    are_lost=True,
)
HOLD = Trouble(
    cause=VerdictCause.HOLDS, grade="warn", headline="campaign 7 is held by operators", sentence="held", events=1
)
STUCK = Trouble(cause=VerdictCause.STUCK, grade="bad", headline="stuck", sentence="the engine has not turned")
STOPPED = [
    Trouble(
        cause=VerdictCause.PARTITIONS_STOPPED,
        grade="bad",
        headline="stopped: 2 of 3 partitions",
        sentence=f"partition events:{number} is stopped",
        unready=True,
    )
    for number in range(2)
]


@pytest.mark.parametrize(
    "standing, troubles, sentence",
    [
        (IDLE, [], "idle"),
        (AT_WORK, [], "sending"),
        (Standing(waiting=9, late_seconds=3.4), [], "sending; 3 s behind"),
        (Standing(waiting=0, late_seconds=3.4), [], "idle"),
        (
            AT_WORK,
            [HOLD, UNREACHABLE],
            "held back by the platform: 503 since 00:02:11, 37,000 events wait, next try in 12 s",
        ),
        (
            AT_WORK,
            [REJECTED],
            "sending; the platform rejects campaign 421 (404) since 2026-11-17 00:00:00, 1,168 events rejected",
        ),
        (AT_WORK, [HOLD], "sending; campaign 7 is held by operators, 1 event waits"),
        (AT_WORK, STOPPED, "stopped: 2 of 3 partitions"),
    ],
)
def test_the_sentence_says_what_holds_us_back_since_when_for_how_many_and_until_when(
    standing: Standing, troubles: Sequence[Trouble], sentence: str
) -> None:
    assert verdict_of(standing, troubles, NOW).sentence == sentence


def test_the_worst_is_named_first_and_gives_the_grade() -> None:
    verdict = verdict_of(AT_WORK, [HOLD, REJECTED, UNREACHABLE, STUCK], NOW)
    assert verdict.grade == "bad"
    assert [one["cause"] for one in verdict.status()["causes"]] == [
        *("stuck", "platform_pauses", "campaigns_refused", "holds")
    ]
    graver_below = [
        Trouble(cause=VerdictCause.BROKERS, grade="warn", headline="b", sentence="b"),
        REJECTED,
    ]
    assert verdict_of(AT_WORK, graver_below, NOW).status()["causes"][0]["cause"] == "campaigns_refused"
    assert verdict_of(AT_WORK, [HOLD], NOW).grade == "warn"
    assert verdict_of(AT_WORK, [], NOW).grade == "good"


def test_each_probe_fails_for_its_own_causes() -> None:
    verdict = verdict_of(AT_WORK, [HOLD, REJECTED, *STOPPED, STUCK], NOW)
    assert verdict.reasons_stuck() == ("the engine has not turned",)
    assert verdict.reasons_unready() == ("partition events:0 is stopped", "partition events:1 is stopped")


def test_a_cause_with_several_troubles_is_named_once_with_their_sums() -> None:
    (cause,) = verdict_of(AT_WORK, STOPPED, NOW).status()["causes"]
    assert cause["sentence"] == "partition events:0 is stopped (and 1 more)"
    (cause,) = verdict_of(AT_WORK, [UNREACHABLE, UNREACHABLE], NOW).status()["causes"]
    assert (cause["events"], cause["since"]) == (74_000, "2026-11-18T00:02:11.000Z")
    assert cause["next_try_at"] == "2026-11-18T00:10:12.000Z"
    assert cause["runbook"] == "CampaignPlatformFailing"


@pytest.mark.parametrize("seconds, told", [(3.2, "3 s"), (119, "119 s"), (600, "10 min"), (9_000, "2 h")])
def test_spans_are_told_as_people_say_them(seconds: float, told: str) -> None:
    assert span_of(seconds) == told
