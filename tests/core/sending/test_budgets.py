"""The bounds on repeats count over all owners, sends and requests of an event: nothing starts one of them anew."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consumer.core.journal.entries import Checkpoint
from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answer, Answered, Lost
from consumer.core.policy import BreakerPolicy, CampaignPolicy, Policies
from tests.core.makers import NEVER_OPEN, P0, at
from tests.core.runner import Request, Runner

POLICIES = Policies(
    default=CampaignPolicy(
        window_seconds=0.0, max_attempts=6, lost_answer_repeats=3, backoff_base_seconds=1.0, backoff_max_seconds=1.0
    ),
    breaker=NEVER_OPEN,
)

Silent = Callable[[Request], tuple[Answer, float]]


def always(answer: Answer) -> Silent:
    """A platform that says the same to everybody, a tenth of a second later."""
    return lambda _request: (answer, 0.1)


def status(number: int) -> Answer:
    return Answered(status=number, retry_after_seconds=None, body=b"{}")


def started(answer: Answer) -> Runner:
    """A process that has had its first 2xx, from a platform that says nothing but this from now on."""
    runner = Runner(policies=POLICIES)
    runner.feed(runner.event(phone="+34600000009"))
    runner.run()
    runner.requests.clear()
    runner.platform = always(answer)
    return runner


def kill(runner: Runner, *documents: dict[str, Any]) -> None:
    """Let the owner die with nothing written down, and the next one read the same records."""
    runner.pipeline.drop(P0)
    runner.answers.clear()
    runner.take(P0, start=1, process=f"successor at {runner.time}")
    runner.feed(*documents, first=1)


LOST, GATEWAY, TIMEOUT = Lost(detail="reset"), status(504), status(408)


@pytest.mark.parametrize(
    "answer, requests, ending",
    [
        (LOST, 4, (Status.IN_DOUBT, Reason.ANSWER_LOST)),
        (GATEWAY, 6, (Status.IN_DOUBT, Reason.SERVER_ERROR)),
        (TIMEOUT, 6, (Status.FAILED, Reason.RETRIES_EXHAUSTED)),
    ],
    ids=["lost answers", "504", "408"],
)
@pytest.mark.parametrize("kills", [0, 1, 2])
def test_a_kill_starts_no_budget_anew(answer: Answer, requests: int, ending: tuple[Status, Reason], kills: int) -> None:
    """Each owner has some answers and writes a checkpoint; then it dies in its back-off."""
    runner = started(answer)
    event = runner.event()
    runner.feed(event)
    for _ in range(kills):
        before = len(runner.requests)
        while len(runner.requests) == before or runner.answers:
            runner.run(until=runner.time + 0.2)
        runner.checkpoint()
        kill(runner, event)
    runner.run()
    verdict = runner.results[0, 1]
    assert len(runner.requests) == verdict.attempts == requests
    assert (verdict.status, verdict.reason) == ending


def test_an_attempt_whose_owner_was_lost_counts_as_a_lost_answer() -> None:
    """The platform never answers at all, and each owner dies while its request is out."""
    runner = started(LOST)
    runner.platform = lambda _request: (LOST, 1e6)
    event = runner.event()
    runner.feed(event)
    runner.run(until=runner.time + 1.0)
    while (0, 1) not in runner.results:
        kill(runner, event)
        runner.run(until=runner.time + 1.0)
    verdict = runner.results[0, 1]
    assert len(runner.requests) == verdict.attempts == 4
    assert (verdict.status, verdict.reason) == (Status.IN_DOUBT, Reason.OWNER_LOST)


def test_a_platform_without_time_costs_no_attempt_whoever_owns_the_partition() -> None:
    runner = started(status(503))
    event = runner.event()
    runner.feed(event)
    for _ in range(5):
        runner.run(until=runner.time + 5.0)
        kill(runner, event)
    assert len(runner.requests) > POLICIES.default.max_attempts
    runner.platform = always(Answered(status=200, retry_after_seconds=None, body=b"{}"))
    runner.run()
    assert runner.results[0, 1].status is Status.ACCEPTED


def test_hours_of_a_platform_that_fails_cost_those_alone_whose_requests_have_asked() -> None:
    policies = replace(POLICIES, default=replace(POLICIES.default, max_contacts=10), breaker=BreakerPolicy())
    runner = Runner(policies=policies)
    runner.feed(runner.event(phone="+34600000009"))
    runner.run()
    runner.platform, asked = always(GATEWAY), len(runner.requests)
    people = [runner.event(phone=f"+346001{person:05d}") for person in range(1_000)]
    runner.feed(*people)
    runner.run(until=runner.time + 3 * 3600.0)
    asked = len(runner.requests) - asked
    doubted = [verdict for verdict in runner.results.values() if verdict.status is Status.IN_DOUBT]
    assert len(doubted) == len(runner.results) - 1
    assert {verdict.attempts for verdict in doubted} == {POLICIES.default.max_attempts}
    assert 0 < len(doubted) <= 10 * asked / POLICIES.default.max_attempts < len(people) / 2

    runner.platform = always(Answered(status=200, retry_after_seconds=None, body=b"{}"))
    runner.run()
    assert len(runner.results) == 1 + len(people)
    assert sum(one.status is Status.ACCEPTED for one in runner.results.values()) == 1 + len(people) - len(doubted)


def test_who_was_tried_for_too_long_is_not_tried_longer_by_the_next_owner() -> None:
    runner = started(status(503))
    event = runner.event()
    runner.feed(event)
    runner.run(until=runner.time + 1800.0)
    kill(runner, event)
    runner.run()
    verdict = runner.results[0, 1]
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.RETRY_AGE)
    assert 3600.0 <= runner.time < 3640.0


def test_a_halving_starts_no_budget_anew() -> None:
    """Two people share a send whose answers are lost twice; then it is refused, and each goes on alone."""
    said = iter([LOST, LOST, status(400)])
    runner = started(LOST)
    runner.platform = lambda _request: (next(said, LOST), 0.1)
    runner.feed(runner.event(), runner.event(phone="+34600000002"))
    runner.run()
    for offset in (1, 2):
        mine = [request for request in runner.requests if (0, offset) in request.offsets]
        assert len(mine) == runner.results[0, offset].attempts == 5, "two lost ones, the refused one, and two more"
        assert runner.results[0, offset].status is Status.IN_DOUBT


def test_members_with_other_histories_end_each_by_its_own() -> None:
    """One was tried by an owner that is gone; the other shares its next send and goes on for longer."""
    runner = started(LOST)
    runner.platform = lambda _request: (LOST, 1e6)
    first = runner.event()
    runner.feed(first)
    runner.run(until=runner.time + 1.0)
    kill(runner, first)
    runner.run(until=runner.time + 1.0)
    kill(runner, first, runner.event(phone="+34600000002"))
    runner.platform = always(LOST)
    runner.run()
    assert runner.results[0, 1].attempts == runner.results[0, 2].attempts == 4
    assert [len(request.offsets) for request in runner.requests] == [1, 1, 2, 2, 1, 1]


def test_an_answer_that_comes_while_a_checkpoint_is_out_is_told_by_the_next_one() -> None:
    """Else its attempt would count as a lost answer with the next owner, of which there may be fewer."""
    runner = started(GATEWAY)
    runner.feed(runner.event())
    while not runner.answers:
        runner.run(until=runner.time + 0.01)
    runner.sick.add(P0)
    runner.pipeline.want_checkpoints(at(runner.time))
    runner.run(until=runner.time + 0.2)
    assert not runner.answers
    runner.heal(P0)
    runner.checkpoint()
    (doubted,) = runner.said(Checkpoint)[-1].doubted
    assert (doubted.lost, doubted.answers_lost) == (1, 0)
