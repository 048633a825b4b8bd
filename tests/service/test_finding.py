"""Promises about `/sends`: what is known of an event or a send, wherever it is, without a phone and at a bounded price."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from consumer.core.journal.lane import Settlement
from consumer.core.platform.answer import Answer, Answered, Exchange, Lost, Unreachable, Withholding
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.send import Send
from consumer.core.sending.settle import Decision
from consumer.core.terms import Now
from consumer.service.finding import Finder, failures_status
from consumer.service.recent_sends import FAILURES_KEPT, OUTCOMES_KEPT, SENDS_KEPT, RecentSends
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import P0, P1, at
from tests.core.runner import OK, Request, Runner

POLICIES = Policies(default=CampaignPolicy(window_seconds=2.0, max_contacts=1_000))


class Watched(Runner):
    """A process that tells its ring of everything that the engine tells it of."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recent = RecentSends()
        self.finder = Finder(self.pipeline, self.recent)
        pipeline, look, answered = self.pipeline, self.pipeline.last_look, self.pipeline.answered
        published = pipeline.published

        def last_look(send: Send, now: Now) -> Withholding | None:
            withheld = look(send, now)
            if withheld is None:
                self.recent.posted(send, now.wall)
            return withheld

        def heard(send: Send, exchange: Exchange, now: Now) -> Decision:
            contacts = len(send.members)
            decision = answered(send, exchange, now)
            self.recent.answered(send, exchange, decision, contacts)
            return decision

        def settled(settlements: Sequence[Settlement]) -> None:
            self.recent.settled(settlements)
            published(settlements)

        pipeline.last_look, pipeline.answered = last_look, heard  # type: ignore[method-assign]
        pipeline.published = settled  # type: ignore[method-assign,assignment]

    def event_state(self, event_id: str) -> list[tuple[Any, ...]]:
        found = self.finder.event(event_id)["events"]
        return [(event["state"], event["send_id"] is not None, event["attempts"], event["outcome"]) for event in found]


def answering(status: int, body: object = None) -> Callable[[Request], tuple[Answer, float]]:
    text = orjson.dumps({"data": {}} if body is None else body)
    return lambda _request: (Answered(status=status, retry_after_seconds=None, body=text), 5.0)


ACCEPTED = {"status": "accepted", "reason": None}


def test_an_event_is_found_at_every_stage_of_its_way() -> None:
    runner = Watched(policies=POLICIES, platform=answering(200))
    runner.feed(runner.event(eventId="a"), runner.event(eventId="b"), runner.event(eventId="a"))
    runner.run(until=1.0)
    assert runner.event_state("a") == [("in_window", False, 0, None), ("repeats", False, 0, None)]
    assert runner.event_state("b") == [("behind_person", False, 0, None)]
    runner.run(until=3.0)
    assert runner.event_state("a")[0] == ("posting", True, 0, None)
    runner.run()
    [repeat, first] = runner.finder.event("a")["events"]
    assert first["outcome"] == ACCEPTED
    assert (first["topic"], first["partition"], first["offset"]) == (*P0, 0)
    assert (first["state"], first["attempts"], first["campaign"]) == ("ended", 1, "1")
    assert (repeat["offset"], repeat["outcome"]) == (2, {"status": "duplicate", "reason": "repeated"})


def test_what_nobody_has_heard_of_is_not_found() -> None:
    runner = Watched(policies=POLICIES)
    runner.feed(runner.event(eventId="a"))
    runner.run()
    assert runner.finder.event("b") == {"events": [], "sends": []}
    assert runner.finder.send("b") == {"events": [], "sends": []}
    assert runner.finder.event("\ud800") == {"events": [], "sends": []}, "whatever is asked for"


def test_a_send_is_found_by_its_name_and_by_its_members_while_it_waits_goes_out_and_has_ended() -> None:
    runner = Watched(policies=POLICIES, platform=answering(503, {"message": "later, +34600111222"}))
    runner.feed(runner.event(eventId="a", campaignId=2**63 - 1))
    runner.run(until=4.0)
    [send] = runner.finder.event("a")["sends"]
    assert (send["state"], send["campaign"], send["contacts"]) == ("posting", str(2**63 - 1), 1)
    assert send["answer"] is None
    runner.run(until=7.1)
    [send] = runner.finder.send(send["send_id"])["sends"]
    assert (send["state"], send["answer"], send["status"], send["message"]) == (
        "queued",
        "not_delivered",
        503,
        "later, +***",
    )
    assert [event["event_id"] for event in runner.finder.send(send["send_id"])["events"]] == ["a"]
    runner.platform = answering(200)
    runner.run()
    [send] = runner.finder.send(send["send_id"])["sends"]
    assert (send["state"], send["answer"], send["status"]) == ("ended", "accepted", 200)
    assert send["attempt"] > 1
    assert runner.finder.newest()["sends"] == [send]


@pytest.mark.parametrize("seconds", [0.0004, 2.5])
def test_what_a_send_took_is_told_more_exactly_than_its_instants(seconds: float) -> None:
    runner = Watched(policies=POLICIES, platform=lambda _request: (OK, seconds))
    runner.feed(runner.event(eventId="a"))
    runner.run()
    [send] = runner.finder.event("a")["sends"]
    assert send["took_seconds"] == pytest.approx(seconds, abs=1e-6)


def test_a_clock_that_goes_back_takes_no_time_from_a_send() -> None:
    runner = Watched(policies=POLICIES, platform=lambda _request: (OK, -1.0))
    runner.feed(runner.event(eventId="a"))
    runner.run()
    [send] = runner.finder.event("a")["sends"]
    assert send["took_seconds"] == 0.0


def test_a_resend_and_what_it_resends_are_both_found_by_the_event_id() -> None:
    runner = Watched(policies=POLICIES)
    runner.feed(runner.event(eventId="a"))
    runner.run()
    lane = runner.pipeline.lanes[P0]
    again = orjson.dumps(runner.event(eventId="a"))
    record = WildRecord(value=again, offset=1, timestamp=0, headers=(("resend-id", b"r1"),))
    runner.pipeline.fetched(lane, [record], at(runner.time))
    assert [event["state"] for event in runner.finder.event("a")["events"]] == ["in_window", "ended"]
    runner.run()
    assert [event["offset"] for event in runner.finder.event("a")["events"]] == [1, 0]


def test_an_event_that_was_never_sent_tells_why() -> None:
    runner = Watched(policies=POLICIES)
    runner.feed(runner.event(eventId="old", occurredAt="2020-01-01T00:00:00Z"), {"eventId": "bad", "campaignId": 7})
    runner.run()
    [old], [bad] = (runner.finder.event(name)["events"] for name in ("old", "bad"))
    assert (old["outcome"], old["attempts"]) == ({"status": "expired", "reason": "too_old"}, 0)
    assert bad["outcome"] == {"status": "invalid", "reason": "schema"}


@pytest.mark.parametrize(
    "answer, how, status, message",
    [
        (Unreachable(detail="refused"), "not_delivered", None, "refused"),
        (Lost(detail="reset, 600111222"), "unknown", None, "reset, ***"),
        (Answered(status=500, retry_after_seconds=None, body=b'{"message":"oops"}'), "unknown", 500, "oops"),
        (Answered(status=404, retry_after_seconds=None, body=b"<html>"), "refused", 404, None),
        (Answered(status=403, retry_after_seconds=None, body=b'{"message":"no"}'), "denied", 403, "no"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Answer) else None,
)
def test_a_failure_is_kept_with_the_platforms_masked_words(
    answer: Answer, how: str, status: int | None, message: str | None
) -> None:
    runner = Watched(policies=POLICIES)
    runner.feed(runner.event())
    runner.run()
    assert failures_status(runner.recent) == [], "an acceptance is none"
    runner.platform = lambda _request: (answer, 0.1)
    runner.feed(runner.event(campaignId=8))
    runner.run(until=runner.time + 3.0)
    failure = failures_status(runner.recent)[-1]
    assert (failure["campaign"], failure["contacts"]) == ("8", 1)
    assert (failure["answer"], failure["status"], failure["message"]) == (how, status, message)
    runner.run(until=runner.time + 3_600.0)
    assert len(failures_status(runner.recent)) <= FAILURES_KEPT


def test_a_refused_send_that_was_halved_has_ended_and_its_halves_are_sends_of_their_own() -> None:
    def platform(request: Request) -> tuple[Answer, float]:
        refused = len(request.persons) > 1
        return (Answered(status=422, retry_after_seconds=None, body=b"{}"), 0.1) if refused else (OK, 0.1)

    runner = Watched(policies=POLICIES)
    runner.feed(runner.event())
    runner.run()
    runner.platform = platform
    runner.feed(*[runner.event(phone=f"+3460000010{number}") for number in range(2)])
    runner.run()
    newest = runner.finder.newest()["sends"]
    assert [(send["contacts"], send["state"], send["answer"]) for send in newest[:3]] == [
        (1, "ended", "accepted"),
        (1, "ended", "accepted"),
        (2, "ended", "refused"),
    ]


def test_the_rings_are_bounded_by_sends_and_by_events() -> None:
    lone = Policies(default=CampaignPolicy(window_seconds=0.0, max_contacts=1))
    runner = Watched(policies=lone)
    for _ in range(13):
        runner.feed(*[runner.event(phone=f"+346{number:08}") for number in range(1_000)])
        runner.run()
    assert len(runner.recent.newest(10 * SENDS_KEPT)) == SENDS_KEPT
    assert runner.event_state("e1") == [], "with one event in each, 7,692 outcomes are kept"
    assert runner.event_state("e13000") == [("ended", True, 1, ACCEPTED)]
    many = Watched(policies=Policies(default=CampaignPolicy(window_seconds=1.0, max_contacts=1_000)))
    for _ in range(OUTCOMES_KEPT // 1_000 + 1):
        many.feed(*[many.event(phone=f"+346{number:08}") for number in range(1_000)])
        many.run()
    assert many.event_state("e1") == []
    assert many.event_state("e50000") == [("ended", True, 1, ACCEPTED)]


def test_a_partition_that_was_lost_takes_its_events_with_it() -> None:
    runner = Watched(policies=POLICIES, partitions=(P0, P1), platform=answering(200))
    runner.feed(runner.event(eventId="a"))
    runner.feed(runner.event(eventId="b", phone="+34600000002"), partition=P1)
    runner.run(until=3.0)
    [send] = runner.finder.event("b")["sends"]
    runner.pipeline.drop(P1)
    assert [event["event_id"] for event in runner.finder.send(send["send_id"])["events"]] == ["a"]
    assert runner.event_state("b") == []
