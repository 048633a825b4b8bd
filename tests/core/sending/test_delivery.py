"""From a closed window to its outcome: proofs, last looks, halving, budgets, and partitions that leave meanwhile."""

from math import ceil, log2

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.entries import Intent, Returned
from consumer.core.outcome import Reason, Status
from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import Answer, Answered, Lost, Unreachable, Withholding
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.delivery import PROOF_LASTS_SECONDS
from consumer.core.sending.send import Send
from consumer.core.terms import JournalOffset
from tests.core.makers import P0, P1, at
from tests.core.runner import OK, Request, Runner, accepting


def refusing(status: int = 422) -> Answered:
    return Answered(status=status, retry_after_seconds=None, body=b'{"message":"bad contact"}')


def policies(**changes: object) -> Policies:
    return Policies(default=CampaignPolicy(**({"window_seconds": 1.0} | changes)))  # type: ignore[arg-type]


def let_in(runner: Runner) -> None:
    """Have the first contact behind us."""
    runner.feed(runner.event(phone="+34699999999"))
    runner.run()
    assert runner.pipeline.access.state(at(runner.time)) is AccessState.OPEN
    runner.requests.clear()


def people(runner: Runner, count: int) -> list[dict[str, object]]:
    return [runner.event(phone=f"+346000{number:05}") for number in range(count)]


# ---------------------------------------------------------------------------------------------------------- halving


@given(st.integers(1, 130), st.data())
def test_halving_finds_exactly_the_refused_contacts_in_few_requests_and_spends_no_budget(
    count: int, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=5))
    runner = Runner(policies=policies(max_attempts=1))
    let_in(runner)

    def platform(request: Request) -> tuple[Answer, float]:
        return (refusing() if any(offset - 1 in bad for _, offset in request.offsets) else OK), 0.01

    runner.platform = platform
    runner.feed(*people(runner, count))
    runner.run()
    for number in range(count):
        verdict = runner.results[0, number + 1]
        rejected = (Status.REJECTED, Reason.CONTACT_REFUSED)
        assert (verdict.status, verdict.reason) == (rejected if number in bad else (Status.ACCEPTED, None))
        assert not verdict.possible_duplicate
    depth = ceil(log2(count)) if count > 1 else 0
    assert len(runner.requests) <= 1 + 2 * len(bad) * depth
    accepted = [place for request in runner.requests for place in request.offsets if place[1] - 1 not in bad]
    assert sum(verdict.attempts for verdict in runner.results.values()) >= len(accepted) + 1


def test_before_the_first_2xx_a_refused_request_is_halved_until_somebody_gets_through() -> None:
    runner = Runner(
        policies=policies(),
        platform=lambda request: ((refusing() if (0, 3) in request.offsets else OK), 0.01),
    )
    runner.feed(*people(runner, 8))
    runner.run()
    assert [offset for (_, offset), verdict in runner.results.items() if verdict.status is Status.REJECTED] == [3]
    assert len(runner.results) == 8


def test_a_wrong_address_burns_nothing_and_is_asked_ever_more_rarely() -> None:
    runner = Runner(policies=policies(), platform=lambda _request: (refusing(404), 0.01))
    runner.feed(*people(runner, 40))
    runner.run(until=1800.0)
    assert runner.results == {}
    assert len(runner.requests) <= 30 * 5
    runner.platform = accepting
    runner.run()
    assert all(verdict.status is Status.ACCEPTED for verdict in runner.results.values())
    assert len(runner.results) == 40


def test_a_refused_key_settles_nobody_and_everybody_goes_out_once_it_is_mended() -> None:
    runner = Runner(policies=policies())
    let_in(runner)
    runner.platform = lambda _request: (refusing(401), 0.01)
    runner.feed(*people(runner, 10), *[runner.event(campaignId=2, phone=f"+34611{number:06}") for number in range(10)])
    runner.run(until=3_000.0)
    assert len(runner.results) == 1
    assert runner.pipeline.access.state(at(runner.time)) is AccessState.STOPPED
    runner.platform = accepting
    runner.run()
    assert {verdict.status for verdict in runner.results.values()} == {Status.ACCEPTED}
    assert len(runner.results) == 21


def test_sends_that_join_others_while_they_wait_for_a_slot_keep_to_the_limits() -> None:
    limits = CampaignPolicy(window_seconds=0.0, max_contacts=5, max_bytes=1024)
    runner = Runner(policies=Policies(default=limits, max_concurrency=1))
    let_in(runner)
    runner.platform = lambda _request: (OK, 10.0)
    for number in range(60):
        words = {"text": "x" * (10 if number < 30 else 300)}
        contact = {"phoneE164": f"+346000{number % 20:05}", "customFields": words}
        runner.feed(runner.event(contact=contact, priority="immediate"))
        runner.run(until=runner.time + 0.01)
    runner.run()
    assert len(runner.results) == 61
    assert max(len(request.offsets) for request in runner.requests) == limits.max_contacts
    assert max(request.size_bytes for request in runner.requests) <= limits.max_bytes
    assert all(len(set(request.persons)) == len(request.persons) for request in runner.requests)


# ---------------------------------------------------------------------------------------------------------- budgets


def test_attempts_that_count_run_out_and_those_that_do_not_go_on_until_their_age_is_over() -> None:
    runner = Runner(policies=policies(max_attempts=3, max_age_seconds=100.0, backoff_max_seconds=5.0))
    let_in(runner)
    runner.platform = lambda request: (refusing(408 if request.campaign == 1 else 429), 0.01)
    runner.feed(runner.event(), runner.event(campaignId=2))
    runner.run()
    assert (runner.results[0, 1].status, runner.results[0, 1].reason) == (Status.FAILED, Reason.RETRIES_EXHAUSTED)
    assert runner.results[0, 1].attempts == 3
    assert (runner.results[0, 2].status, runner.results[0, 2].reason) == (Status.FAILED, Reason.RETRY_AGE)
    assert runner.results[0, 2].attempts > 3
    last = max(request.at for request in runner.requests)
    assert last <= 1.1 + 1.0 + 100.0 + 0.1


def test_neither_attempts_nor_age_run_out_while_the_platform_has_asked_for_a_pause() -> None:
    """It asks for ten minutes each time: a minute of trying is not over before the tenth time and more."""
    runner = Runner(policies=policies(max_age_seconds=60.0, max_attempts=2))
    let_in(runner)
    runner.platform = lambda _request: (Answered(status=429, retry_after_seconds=600.0, body=b"{}"), 10.0)
    began_at = runner.time
    runner.feed(runner.event())
    runner.run()
    verdict = runner.results[0, 1]
    assert (verdict.status, verdict.reason, verdict.attempts) == (Status.FAILED, Reason.RETRY_AGE, 7)
    assert runner.time - began_at > 3_600.0


@pytest.mark.parametrize("asked, longest", [(1e9, 86_400.0), (float("inf"), 86_400.0), (-5.0, 1.0)])
def test_a_pause_that_makes_no_sense_is_bounded(asked: float, longest: float) -> None:
    runner = Runner(policies=policies())
    let_in(runner)
    answers: list[Answer] = [Answered(status=429, retry_after_seconds=asked, body=b"{}"), OK]
    runner.platform = lambda _request: (answers.pop(0), 0.01)
    runner.feed(runner.event())
    runner.run()
    first, second = (request.at for request in runner.requests)
    assert longest - 1.0 <= second - first <= longest + 0.1


@pytest.mark.parametrize("status, waits", [(429, {1}), (503, {1, 2})])
def test_nothing_goes_out_while_the_platform_asked_for_a_pause_of_a_campaign_or_of_everybody(
    status: int, waits: set[int]
) -> None:
    runner = Runner(policies=policies())
    let_in(runner)
    runner.platform = lambda _request: (Answered(status=status, retry_after_seconds=20.0, body=b"{}"), 0.01)
    runner.feed(runner.event())
    runner.run(until=runner.time + 3.0)
    paused_at = runner.requests[-1].at
    runner.platform = accepting
    runner.feed(runner.event(phone="+34600000002", priority="immediate"), runner.event(campaignId=2))
    runner.run()
    for campaign in (1, 2):
        next_at = min(each.at for each in runner.requests if each.campaign == campaign and each.at != paused_at)
        assert (next_at >= paused_at + 20.0) is (campaign in waits)


def test_a_platform_that_cannot_be_reached_uses_up_no_attempts() -> None:
    runner = Runner(policies=policies(max_attempts=2))
    let_in(runner)
    runner.platform = lambda _request: (Unreachable(detail="refused"), 0.01)
    runner.feed(runner.event())
    runner.run(until=600.0)
    runner.platform = accepting
    runner.run()
    assert (runner.results[0, 1].status, runner.results[0, 1].attempts) == (Status.ACCEPTED, 1)
    assert {entry.started for entry in runner.said(Returned)} == {False}


def test_lost_answers_are_repeated_and_marked_and_then_given_up() -> None:
    runner = Runner(policies=policies(lost_answer_repeats=2))
    let_in(runner)
    answers: list[Answer] = [Lost(detail="reset"), OK]
    runner.platform = lambda _request: (answers.pop(0), 0.01)
    runner.feed(runner.event())
    runner.run()
    verdict = runner.results[0, 1]
    assert (verdict.status, verdict.possible_duplicate, verdict.attempts) == (Status.ACCEPTED, True, 2)
    runner.platform = lambda _request: (Lost(detail="reset"), 0.01)
    runner.feed(runner.event())
    runner.run()
    verdict = runner.results[0, 2]
    assert (verdict.status, verdict.reason, verdict.attempts) == (Status.IN_DOUBT, Reason.ANSWER_LOST, 3)
    assert runner.said(Returned) == [], "an attempt of unknown fate is never called returned"


# -------------------------------------------------------------------------------------------------------- last looks


def proven(runner: Runner) -> Send:
    """Go on to where a request of two members may start, and has no connection yet."""
    runner.feed(runner.event(phone="+34600000001", expires_in=30.0), runner.event(phone="+34600000002"))
    commands = runner.pipeline.turn(at(runner.time))
    while not commands.posts:
        for lane, values in commands.appends:
            runner.journal[lane.partition].extend(values)
            base = JournalOffset(len(runner.journal[lane.partition]) - len(values))
            runner.pipeline.appended(lane, base, at(runner.time))
        if not commands.appends:
            assert commands.wake_at is not None
            runner.time = commands.wake_at
        commands = runner.pipeline.turn(at(runner.time))
    (send,) = commands.posts
    return send


def held_up(runner: Runner, seconds: float) -> tuple[Withholding | None, list[Request]]:
    """Let the next request have its connection so many seconds late; return what the last look said."""
    send = proven(runner)
    runner.time += seconds
    said = runner.pipeline.last_look(send, at(runner.time))
    if said is not None:
        runner._post(send)  # noqa: SLF001
    return said, runner.requests


def test_a_request_whose_proof_is_old_proves_its_partition_again_before_it_starts() -> None:
    runner = Runner(policies=policies())
    let_in(runner)
    said, requests = held_up(runner, PROOF_LASTS_SECONDS + 0.01)
    assert said is Withholding.STALE_PROOF
    assert requests == []
    runner.run()
    assert len(requests) == 1
    assert [entry.attempt for entry in runner.said(Intent)[-2:]] == [1, 2]
    assert [(entry.attempt, entry.started) for entry in runner.said(Returned)] == [(1, False)]
    assert {verdict.attempts for verdict in runner.results.values()} == {1}


def test_a_request_is_not_started_for_a_partition_that_left_after_its_proof() -> None:
    runner = Runner(policies=policies())
    let_in(runner)
    send = proven(runner)
    runner.pipeline.drop(P0)
    assert runner.pipeline.last_look(send, at(runner.time)) is Withholding.NOT_OURS
    runner._post(send)  # noqa: SLF001
    runner.run()
    assert runner.requests == []
    assert not runner.pipeline.delivery.any_out


def test_no_request_starts_at_or_after_a_members_deadline_and_the_others_go_without_it() -> None:
    runner = Runner(policies=policies())
    let_in(runner)
    began_at = runner.time
    said, requests = held_up(runner, 29.0)
    assert runner.time == pytest.approx(began_at + 30.0)
    assert said is Withholding.EXPIRED
    runner.run()
    assert (runner.results[0, 1].status, runner.results[0, 1].reason) == (Status.EXPIRED, Reason.DEADLINE)
    assert [request.offsets for request in requests] == [[(0, 2)]]


def test_a_deadline_that_comes_while_all_slots_are_taken_settles_in_time() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=0.0), max_concurrency=1))
    let_in(runner)
    runner.platform = lambda _request: (OK, 500.0)
    runner.feed(runner.event(phone="+34600000001"))
    runner.run(until=runner.time + 1.0)
    runner.feed(runner.event(phone="+34600000002", expires_in=10.0, send={"flash": True}))
    runner.run(until=runner.time + 12.0)
    assert (runner.results[0, 2].status, runner.results[0, 2].reason) == (Status.EXPIRED, Reason.DEADLINE)
    assert len(runner.requests) == 1


# ---------------------------------------------------------------------------------------------- partitions that leave


def shared(answer: Answer) -> Runner:
    """One request is out for a person of each of two partitions; its answer comes in ten seconds."""
    runner = Runner(policies=policies(), partitions=[P0, P1])
    let_in(runner)
    runner.platform = lambda _request: (answer, 10.0)
    runner.feed(runner.event(phone="+34600000001"))
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    runner.run(until=runner.time + 2.0)
    assert [sorted(request.offsets) for request in runner.requests] == [[(0, 1), (1, 0)]]
    return runner


def test_an_answer_settles_whoever_is_still_ours_and_nobody_of_a_partition_that_left() -> None:
    runner = shared(OK)
    runner.pipeline.drop(P1)
    runner.take(P1, process="me")
    runner.run()
    assert runner.results[0, 1].status is Status.ACCEPTED
    assert (1, 0) not in runner.results
    assert not runner.pipeline.delivery.any_out
    runner.platform = accepting
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    runner.run()
    assert runner.results[1, 0].possible_duplicate


def test_a_refusal_of_two_contacts_is_not_read_as_one_contacts_because_the_other_left() -> None:
    runner = shared(refusing())
    runner.pipeline.drop(P1)
    runner.platform = accepting  # the answer to the one that is out is decided
    runner.run()
    assert [request.offsets for request in runner.requests[1:]] == [[(0, 1)]]
    assert runner.results[0, 1].status is Status.ACCEPTED


def test_items_of_an_answer_settle_the_members_of_each_partition_that_is_still_ours() -> None:
    body = orjson.dumps({"data": {"errors": [{"phoneE164": "+34600000001", "message": "contact is disabled"}]}})
    runner = shared(Answered(status=200, retry_after_seconds=None, body=body))
    runner.pipeline.drop(P1)
    runner.take(P1, process="me")
    runner.run()
    assert runner.results[0, 1].status is Status.REJECTED
    assert (1, 0) not in runner.results


def test_a_request_that_has_not_started_when_a_partition_leaves_goes_out_without_its_members() -> None:
    runner = Runner(policies=policies(), partitions=[P0, P1])
    let_in(runner)
    runner.feed(runner.event(phone="+34600000001"))
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    runner.run(until=runner.time + 0.5)
    runner.sick.add(P1)
    runner.run(until=runner.time + 1.0)
    assert runner.requests == []
    runner.pipeline.drop(P1)
    runner.run()
    assert [request.offsets for request in runner.requests] == [[(0, 1)]]
    assert not runner.pipeline.delivery.any_out
    assert [(entry.attempt, entry.started) for entry in runner.said(Returned)] == [(1, False)]


def test_an_urgent_message_also_hurries_an_earlier_one_that_is_out_or_waits_to_be_tried_again() -> None:
    slots = Policies(default=CampaignPolicy(window_seconds=0.0), max_concurrency=1)
    runner = Runner(policies=slots)
    let_in(runner)
    answers: list[Answer] = [OK, refusing(408)]
    runner.platform = lambda _request: (answers.pop(0) if answers else OK, 5.0)
    runner.feed(runner.event(campaignId=9), runner.event(), runner.event(phone="+34600000002"))
    runner.run(until=runner.time + 7.0)  # the first took the slot; the two others wait together
    assert [offset for _, offset in runner.requests[-1].offsets] == [2, 3]
    runner.feed(runner.event(priority="immediate"))
    runner.feed(*[runner.event(phone=f"+3461000{number:04}", campaignId=2 + number) for number in range(6)])
    runner.run()
    order = [[offset for _, offset in request.offsets] for request in runner.requests]
    assert order[:4] == [[1], [2, 3], [5], [2, 3]], "tried again before the others once its back-off is over"
    assert order[5] == [4], "one other may take the slot while the outcome is written down"
