"""A platform in trouble, as people see it: which cause, how bad, since when, for how many, and its end. Time is virtual."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import pytest

from consumer.core.platform.answer import Answer, Answered, Lost, Unreachable
from consumer.core.platform.lately import LATELY_SECONDS, MOST_CAMPAIGNS
from consumer.core.policy import CampaignPolicy, Policies
from consumer.service.lateness import late_seconds
from consumer.service.sending import FAILURES, FRESH_SECONDS, PATIENCE_SECONDS, waiting_events, why_not_sending
from consumer.service.verdict import ServiceVerdict, Standing, VerdictCause, verdict_of
from tests.core.makers import at
from tests.core.operators import Operator
from tests.core.runner import OK, Request, Runner, accepting

SLOW = 3
"""A campaign whose windows collect for an hour."""

PATIENT = Policies(
    default=CampaignPolicy(
        window_seconds=0.0, max_contacts=1, max_attempts=1_000, max_age_seconds=1e6, lost_answer_repeats=1_000
    ),
    campaigns={SLOW: CampaignPolicy(window_seconds=3_600.0)},
)
EVENTS = 5
PROBES = 10

Playing = Callable[[Request], tuple[Answer, float]]


def answering(status: int, *, retry_after: float | None = None) -> Playing:
    return lambda _request: (Answered(status=status, retry_after_seconds=retry_after, body=b"{}"), 0.01)


def losing(_request: Request) -> tuple[Answer, float]:
    return Lost(detail="reset"), 0.01


def gone(_request: Request) -> tuple[Answer, float]:
    return Unreachable(detail="refused"), 0.01


def only(campaign: int, playing: Playing) -> Playing:
    """A platform that is well but for one campaign."""
    return lambda request: playing(request) if request.campaign == campaign else (OK, 0.01)


def by_turns(*platforms: Playing) -> Playing:
    """A platform of several minds."""
    turns = cycle(platforms)

    def answer(request: Request) -> tuple[Answer, float]:
        return next(turns)(request)

    return answer


@dataclass
class Seen:
    """A process that has had its first 2xx, and what its verdict says."""

    runner: Runner
    unread_ms: int | None = None
    """The timestamp of the first unread record, where nothing is in hand."""

    def verdict(self) -> ServiceVerdict:
        pipeline, now = self.runner.pipeline, at(self.runner.time)
        late = late_seconds(pipeline, self.runner.policies, now, unread=lambda _lane: self.unread_ms)
        standing = Standing(waiting=waiting_events(pipeline), late_seconds=late)
        return verdict_of(standing, why_not_sending(pipeline, now), now)

    def causes(self) -> set[VerdictCause]:
        return {trouble.cause for trouble in self.verdict().troubles}

    def pass_time(self, seconds: float) -> None:
        end = self.runner.time + seconds
        self.runner.run(until=end)
        self.runner.time = end
        self.runner.hear()

    def feed(self, count: int = EVENTS, campaign: int = 1) -> None:
        people = [f"+346{campaign:04}{number:04}" for number in range(count)]
        self.runner.feed(*[self.runner.event(campaignId=campaign, phone=phone) for phone in people])


@pytest.fixture
def seen() -> Seen:
    runner = Runner(policies=PATIENT)
    runner.feed(runner.event(campaignId=9))
    runner.run()
    found = Seen(runner)
    assert found.verdict().sentence == "idle"
    return found


@pytest.mark.parametrize(
    "platform, cause, words",
    [
        (gone, VerdictCause.PLATFORM_UNREACHABLE, "it cannot be reached"),
        (answering(503), VerdictCause.PLATFORM_PAUSES, "503"),
        (answering(503, retry_after=2.0), VerdictCause.PLATFORM_PAUSES, "503"),
        (answering(500), VerdictCause.PLATFORM_FAILS, "500"),
        (answering(408), VerdictCause.PLATFORM_FAILS, "408"),
        (losing, VerdictCause.PLATFORM_FAILS, "no answer"),
        (answering(401), VerdictCause.PLATFORM_REFUSES, "it refuses us (401)"),
    ],
)
def test_a_platform_that_accepts_nothing_is_bad_with_what_it_says_since_when_and_for_how_many(
    seen: Seen, platform: Playing, cause: VerdictCause, words: str
) -> None:
    seen.runner.platform = platform
    began_at = at(seen.runner.time).wall
    seen.feed()
    for _ in range(4):
        seen.pass_time(PATIENCE_SECONDS + 1)
        verdict = seen.verdict()
        trouble = verdict.troubles[0]
        assert {one.cause for one in verdict.troubles} <= {cause, VerdictCause.BEHIND}
        assert (trouble.cause, trouble.grade, trouble.unready, trouble.events) == (cause, "bad", True, EVENTS)
        assert trouble.since is not None
        assert 0.0 <= trouble.since - began_at <= 1.0, "no probe moves it"
        assert verdict.sentence.startswith(f"held back by the platform: {words} since ")
        assert f"{EVENTS} events wait" in verdict.sentence

    seen.runner.platform = accepting
    seen.runner.run()
    assert seen.verdict().troubles == ()


@pytest.mark.parametrize("platform", [answering(500), answering(503), gone])
def test_a_failure_that_does_not_last_is_worth_knowing_and_no_more(seen: Seen, platform: Playing) -> None:
    seen.runner.platform = platform
    seen.feed()
    seen.pass_time(1.0)
    (trouble,) = seen.verdict().troubles
    assert (trouble.grade, trouble.unready) == ("warn", False)


def test_one_failure_makes_no_failing_platform_however_long_ago_it_was(seen: Seen) -> None:
    seen.runner.platform = answering(500)
    seen.feed(1)
    seen.pass_time(0.02)
    seen.runner.platform = lambda _request: (OK, 3_600.0)
    seen.pass_time(PATIENCE_SECONDS * 2)
    (trouble,) = seen.verdict().troubles
    assert trouble.grade == "warn", f"{FAILURES} of them do"
    seen.pass_time(LATELY_SECONDS)
    assert seen.causes() == {VerdictCause.BEHIND}, "it says nothing about the present any more"


def test_a_platform_that_fails_now_and_then_is_none_that_fails(seen: Seen) -> None:
    seen.runner.platform = by_turns(answering(500), accepting)
    for _ in range(30):
        seen.feed()
        seen.pass_time(1.0)
        assert seen.verdict().grade != "bad"


def test_a_failing_platform_is_forgotten_with_what_waited_for_it(seen: Seen) -> None:
    seen.runner.platform = answering(500)
    seen.feed(1)
    seen.pass_time(PATIENCE_SECONDS + 1)
    assert seen.verdict().grade == "bad"
    (lane,) = seen.runner.pipeline.lanes.values()
    seen.runner.pipeline.drop(lane.partition)
    assert seen.verdict().grade == "bad", "events may be settled as they come: none of them waits at this moment"
    seen.pass_time(FRESH_SECONDS + 1)
    assert seen.verdict().sentence == "idle"


def test_503_and_500_together_are_failures_and_no_pause(seen: Seen) -> None:
    seen.runner.platform = by_turns(answering(500), answering(503))
    seen.feed()
    for _ in range(20):
        seen.pass_time(1.0)
        (trouble,) = seen.verdict().troubles
        assert trouble.cause is VerdictCause.PLATFORM_FAILS
        assert "answers 500, 503 to" in trouble.sentence


# --------------------------------------------------------------------------------------------------- lateness


def test_nothing_is_accepted_any_more_and_the_verdict_says_by_how_much_it_is_behind(seen: Seen) -> None:
    seen.runner.platform = lambda _request: (OK, 1_000.0)
    seen.feed()
    for seconds, grade, words in ((20.0, "good", "20 s"), (40.0, "warn", "60 s"), (540.0, "bad", "10 min")):
        seen.pass_time(seconds)
        verdict = seen.verdict()
        assert verdict.grade == grade
        assert verdict.sentence == f"sending; {words} behind"
    (trouble,) = seen.verdict().troubles
    assert (trouble.cause, trouble.events, trouble.unready) == (VerdictCause.BEHIND, EVENTS, False)
    assert "10 min late" in trouble.sentence


def test_a_window_that_collects_is_no_lateness_and_what_comes_after_it_is() -> None:
    hour = 3_600.0
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=hour)))
    seen = Seen(runner)
    seen.feed()
    seen.pass_time(hour - 1)
    assert seen.verdict().sentence == "sending"
    runner.platform = lambda _request: (OK, hour)
    seen.pass_time(41.0)
    assert seen.verdict().sentence.startswith("waiting for the first 2xx since ")
    assert [one.cause for one in seen.verdict().troubles] == [VerdictCause.FIRST_CONTACT, VerdictCause.BEHIND]


def test_what_an_operator_holds_is_no_lateness_and_hides_none_of_others(seen: Seen) -> None:
    Operator(seen.runner).hold(1)
    seen.feed(campaign=1)
    seen.feed(campaign=SLOW)
    seen.pass_time(600.0)
    assert seen.verdict().sentence.startswith("sending; campaign 1 is held")
    assert seen.causes() == {VerdictCause.HOLDS}
    seen.runner.platform = lambda _request: (OK, 1_000.0)
    seen.feed(campaign=2)
    seen.pass_time(60.0)
    assert seen.verdict().sentence.startswith("sending; 60 s behind; campaign 1 is held")
    assert seen.causes() == {VerdictCause.BEHIND, VerdictCause.HOLDS}


def test_what_cannot_be_read_is_late_as_well(seen: Seen) -> None:
    seen.unread_ms = int(at(seen.runner.time).wall * 1000)
    seen.pass_time(29.0)
    assert seen.causes() == set()
    seen.pass_time(301.0)
    assert (seen.causes(), seen.verdict().grade) == ({VerdictCause.BEHIND}, "bad")


def test_everything_that_is_held_is_late_by_somebodys_will(seen: Seen) -> None:
    Operator(seen.runner).hold(None)
    seen.feed()
    seen.pass_time(600.0)
    assert seen.causes() == {VerdictCause.HOLDS}


# ------------------------------------------------------------------------------------------------- campaigns


def test_a_campaign_that_the_platform_does_not_know_is_named_with_what_it_lost(seen: Seen) -> None:
    seen.runner.platform = only(421, answering(404))
    seen.feed(12, campaign=421)
    seen.feed(3, campaign=9)
    seen.pass_time(5.0)
    verdict = seen.verdict()
    (trouble,) = verdict.troubles
    assert (trouble.cause, trouble.grade, trouble.unready) == (VerdictCause.CAMPAIGNS_REFUSED, "bad", False)
    assert verdict.sentence.startswith("idle; the platform rejects campaign 421 (404) since ")
    assert verdict.sentence.endswith(", 12 events rejected")
    assert "campaign 421" in trouble.sentence
    seen.pass_time(LATELY_SECONDS + 1)
    assert seen.verdict().troubles == ()


def test_a_campaign_that_is_accepted_again_is_no_trouble_any_more(seen: Seen) -> None:
    seen.runner.platform = only(421, answering(404))
    seen.feed(2, campaign=421)
    seen.pass_time(1.0)
    assert seen.verdict().grade == "bad"
    seen.runner.platform = accepting
    seen.feed(1, campaign=421)
    seen.pass_time(1.0)
    assert seen.verdict().grade == "good"


def test_a_campaign_that_the_key_may_not_send_is_named_with_how_many_of_its_events_wait(seen: Seen) -> None:
    seen.runner.platform = only(421, answering(403))
    seen.feed(campaign=421)
    for _ in range(PROBES):
        seen.feed(1, campaign=9)
        seen.pass_time(1.0)
    verdict = seen.verdict()
    (trouble,) = verdict.troubles
    assert (trouble.cause, trouble.grade, trouble.unready) == (VerdictCause.CAMPAIGNS_REFUSED, "bad", True)
    assert "the platform refuses campaign 421 since " in verdict.sentence
    assert f"{EVENTS} events wait, next try in " in verdict.sentence


def test_refused_contacts_are_no_trouble(seen: Seen) -> None:
    seen.runner.platform = answering(422)
    seen.feed()
    seen.pass_time(PATIENCE_SECONDS * 2)
    assert seen.verdict().troubles == ()


@pytest.mark.parametrize("retry_after", [None, 60.0])
def test_a_campaign_that_is_slowed_down_is_named_and_is_late_like_any_other(
    seen: Seen, retry_after: float | None
) -> None:
    seen.runner.platform = only(8, answering(429, retry_after=retry_after))
    seen.feed(campaign=8)
    seen.pass_time(PATIENCE_SECONDS * 2)
    verdict = seen.verdict()
    (trouble,) = verdict.troubles
    assert (trouble.cause, trouble.grade, trouble.unready) == (VerdictCause.CAMPAIGNS_THROTTLED, "warn", False)
    assert trouble.events == EVENTS
    assert verdict.sentence.startswith("sending; 20 s behind; the platform slows down campaign 8 (429) since ")
    seen.runner.platform = accepting
    seen.runner.run()
    assert seen.verdict().troubles == ()
    seen.runner.platform = lambda _request: (OK, 100.0)
    seen.feed(50, campaign=8)
    seen.pass_time(1.0)
    assert seen.verdict().troubles == (), "what waits now waits for its turn"


def test_what_is_known_of_campaigns_is_bounded(seen: Seen) -> None:
    seen.runner.platform = answering(404)
    for campaign in range(100, 100 + MOST_CAMPAIGNS + 7):
        seen.feed(1, campaign=campaign)
    seen.pass_time(5.0)
    rejected = seen.runner.pipeline.lately.rejected(at(seen.runner.time))
    assert len(rejected) == MOST_CAMPAIGNS
    assert f"and {MOST_CAMPAIGNS - 5} more" in seen.verdict().sentence


# ------------------------------------------------------------------------------------------------- operators


@pytest.mark.parametrize("whose, events", [(None, EVENTS + 2), (1, EVENTS)])
def test_what_operators_hold_is_said_with_how_many_wait_and_fails_no_probe(
    seen: Seen, whose: int | None, events: int
) -> None:
    Operator(seen.runner).hold(whose)
    seen.feed()
    seen.feed(2, campaign=2)
    seen.pass_time(1.0)
    verdict = seen.verdict()
    (hold,) = verdict.troubles
    assert (hold.cause, hold.grade, hold.unready, hold.events) == (VerdictCause.HOLDS, "warn", False, events)
    what = "everything is" if whose is None else "campaign 1 is"
    assert verdict.sentence.startswith(f"idle; {what} held by operators since ")
    Operator(seen.runner).release(whose)
    seen.runner.run()
    assert seen.verdict().troubles == ()


# --------------------------------------------------------------------------------------------- first contact


@pytest.mark.parametrize("status, cause", [(404, VerdictCause.FIRST_CONTACT), (401, VerdictCause.PLATFORM_REFUSES)])
def test_a_configuration_that_was_never_let_in_says_what_to_check(status: int, cause: VerdictCause) -> None:
    seen = Seen(Runner(policies=PATIENT, platform=answering(status)))
    seen.feed()
    seen.pass_time(5.0)
    (trouble,) = seen.verdict().troubles
    assert (trouble.cause, trouble.grade, trouble.unready) == (cause, "bad", True)
    assert f"({status})" in trouble.headline
    assert "CAMPAIGN_API__URL" in trouble.sentence
    seen.runner.platform = accepting
    seen.runner.run()
    assert seen.verdict().troubles == ()


def test_a_first_request_that_is_not_answered_yet_is_worth_knowing() -> None:
    seen = Seen(Runner(policies=PATIENT, platform=lambda _request: (OK, 30.0)))
    seen.feed()
    seen.pass_time(5.0)
    (trouble,) = seen.verdict().troubles
    assert (trouble.cause, trouble.grade, trouble.events) == (VerdictCause.FIRST_CONTACT, "warn", EVENTS)
