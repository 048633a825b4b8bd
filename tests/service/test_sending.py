"""What people and dashboards are told of a platform that does not let us in, in numbers. Time is virtual."""

from collections.abc import Callable

import pytest

from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import Answer, Answered, Exchange, Unreachable
from consumer.core.platform.control import ControlRecord
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.send import Send
from consumer.core.sending.settle import Decision
from consumer.core.terms import Now, Offset
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.facts import StopWhy
from consumer.service.sending import next_try_at, why_not_sending
from consumer.service.verdict import VerdictCause
from tests.core.makers import P0, at
from tests.core.operators import Operator
from tests.core.runner import OK, Request, Runner, accepting
from tests.edge.support import HandClock, telemetry

HOUR = 3_600.0
LONE = Policies(default=CampaignPolicy(window_seconds=0.0, max_contacts=1))


def answering(status: int, retry_after: float | None = None) -> Callable[[Request], tuple[Answer, float]]:
    return lambda _request: (Answered(status=status, retry_after_seconds=retry_after, body=b"{}"), 0.01)


def gone(_request: Request) -> tuple[Answer, float]:
    return Unreachable(detail="refused"), 0.001


def let_in(told: Telemetry) -> Runner:
    """A process that has had its first 2xx, and tells of all that it hears."""
    runner = Runner(policies=LONE)
    teller, answered = EngineTelemetry(told, runner.pipeline), runner.pipeline.answered

    def heard(send: Send, exchange: Exchange, now: Now) -> Decision:
        members = list(send.members)
        decision = answered(send, exchange, now)
        teller.answered(send, members, exchange, decision, now)
        return decision

    runner.pipeline.answered = heard  # type: ignore[method-assign]
    runner.feed(runner.event(campaignId=9))
    runner.run()
    return runner


def reasons(runner: Runner, control_trouble: str | None = None) -> list[str]:
    """What keeps it from sending, in words."""
    return [one.sentence for one in why_not_sending(runner.pipeline, at(runner.time), control_trouble=control_trouble)]


def stops(told: Telemetry) -> dict[str, float]:
    return {why: count for why, count in told.metrics.dispatch_stops.totals("why").items() if count}


@pytest.mark.parametrize("platform, why", [(answering(403), StopWhy.DENIED), (gone, StopWhy.UNREACHABLE)])
def test_a_stop_is_counted_once_however_many_probes_it_takes(
    platform: Callable[[Request], tuple[Answer, float]], why: StopWhy
) -> None:
    told = telemetry(HandClock())
    runner = let_in(told)
    assert stops(told) == {}
    for stop in (1, 2):
        runner.platform = platform
        runner.feed(*[runner.event(phone=f"+346{number:08}") for number in range(5)])
        posted = runner.posted
        runner.run(until=runner.time + HOUR)
        assert runner.posted - posted > 50
        assert stops(told) == {why.value: stop}
        runner.platform = accepting
        runner.run()


@pytest.mark.parametrize(
    "platform, state",
    [
        (answering(403), AccessState.STOPPED),
        (gone, AccessState.UNREACHABLE),
        (answering(503, retry_after=2 * HOUR), AccessState.PAUSED),
    ],
)
def test_since_is_when_it_came_to_be_so_and_no_probe_moves_it(
    platform: Callable[[Request], tuple[Answer, float]], state: AccessState
) -> None:
    runner = let_in(telemetry(HandClock()))
    access = runner.pipeline.access
    runner.platform = platform
    began_at = runner.time
    runner.feed(*[runner.event(phone=f"+346{number:08}") for number in range(5)])
    for minutes in (1, 10, 60):
        runner.run(until=began_at + 60.0 * minutes)
        runner.time = began_at + 60.0 * minutes
        assert access.state(at(runner.time)) is state
        since = access.since_at(at(runner.time))
        assert since is not None
        assert 0.0 <= since - at(began_at).wall <= 1.0
    runner.platform = accepting
    runner.run()
    assert access.state(at(runner.time)) is AccessState.OPEN


def test_take_overs_count_the_contacts_whose_owner_was_lost() -> None:
    told = telemetry(HandClock())
    for unknown in (0, 3, 4):
        told.partition_owned(P0, seconds=0.1, watermark=Offset(1), unknown_attempts=unknown)
    assert told.metrics.unknown.totals("reason")["owner_lost"] == 7


@pytest.mark.parametrize(
    "platform, words",
    [
        (answering(401), "refuses us (401) since"),
        (answering(402), "refuses us (402) since"),
        (answering(403), "check what the key's role may do"),
        (answering(407), "check user and password in CAMPAIGN_API__PROXY, or HTTPS_PROXY"),
        (gone, "cannot be reached since"),
        (answering(503, retry_after=HOUR), "asked for a pause until"),
        (answering(429, retry_after=HOUR), "asked for a pause of campaign 1 until"),
    ],
)
def test_whatever_keeps_us_from_sending_is_named_until_it_is_over(
    platform: Callable[[Request], tuple[Answer, float]], words: str
) -> None:
    runner = let_in(telemetry(HandClock()))
    assert reasons(runner) == []
    runner.platform = platform
    runner.feed(*[runner.event(phone=f"+346{number:08}") for number in range(5)])
    runner.run(until=runner.time + 60.0)
    (reason,) = reasons(runner)
    assert words in reason
    runner.platform = accepting
    runner.run()
    assert reasons(runner) == []


@pytest.mark.parametrize("platform", [answering(401), gone, answering(503)])
def test_no_request_goes_out_before_the_next_try_that_is_told(
    platform: Callable[[Request], tuple[Answer, float]],
) -> None:
    runner = let_in(telemetry(HandClock()))
    runner.platform = platform
    runner.feed(*[runner.event(campaignId=1 + number % 2, phone=f"+346{number:08}") for number in range(3)])
    runner.run(until=runner.time + 20.0)
    before = runner.posted
    for _ in range(20):
        runner.hear()
        now = at(runner.time)
        next_try = next_try_at(runner.pipeline, now)
        assert next_try is not None
        assert next_try > now.steady
        (trouble, *_) = why_not_sending(runner.pipeline, now)
        assert trouble.next_try_at == pytest.approx(now.wall + next_try - now.steady)
        posted = runner.posted
        runner.run(until=next_try - 0.001)
        assert runner.posted == posted
        runner.run(until=next_try + 0.1)
    assert runner.posted > before + 5


def test_a_platform_that_answers_429_alone_holds_us_back_and_one_that_accepts_others_does_not() -> None:
    runner = let_in(telemetry(HandClock()))
    slow = answering(429)
    for alone in (True, False):
        runner.platform = slow if alone else lambda request: (OK, 0.01) if request.campaign == 9 else slow(request)
        runner.feed(*[runner.event(campaignId=10 + number) for number in range(3)])
        for number in range(40):
            runner.feed(*[] if alone else [runner.event(campaignId=9, phone=f"+347{number:08}")])
            runner.run(until=runner.time + 1.0)
        (trouble,) = why_not_sending(runner.pipeline, at(runner.time))
        assert (trouble.cause, trouble.grade, trouble.unready) == (
            (VerdictCause.PLATFORM_PAUSES, "bad", True) if alone else (VerdictCause.CAMPAIGNS_THROTTLED, "warn", False)
        )
        assert ("held back by the platform: 429" in trouble.headline) is alone
        runner.platform = accepting
        runner.run()
        assert reasons(runner) == []


def test_refused_campaigns_are_named_while_their_events_wait_and_a_crowd_is_counted() -> None:
    runner = let_in(telemetry(HandClock()))
    refused = answering(403)
    runner.platform = lambda request: (OK, 0.01) if request.campaign == 9 else refused(request)
    runner.feed(*[runner.event(campaignId=10 + number) for number in range(8)])
    for number in range(20):
        runner.feed(runner.event(campaignId=9, phone=f"+347{number:08}"))
        runner.run(until=runner.time + 1.0)
    (reason,) = reasons(runner)
    assert " and 3 more, though others get through" in reason
    runner.platform = accepting
    runner.run()
    assert reasons(runner) == []


def test_a_control_topic_that_is_not_read_is_named_and_so_is_a_hold_which_is_no_reason_to_be_unready() -> None:
    runner = Runner(policies=LONE, hears=False)
    assert reasons(runner) == ["no request starts before the control topic is read"]
    runner.hear()
    Operator(runner).hold(None)
    (hold,) = why_not_sending(runner.pipeline, at(0))
    assert (hold.cause, hold.grade, hold.unready) == (VerdictCause.HOLDS, "warn", False)
    runner.time = 10.0
    runner.feed(runner.event())
    runner.run(until=20.0)
    runner.time = 20.0
    reason, *_ = reasons(runner)
    assert "the control topic cannot be read since" in reason
    reason, *_ = reasons(runner, control_trouble="topic 'g-control' does not exist")
    assert "topic 'g-control' does not exist" in reason


def test_a_record_of_the_control_topic_that_nobody_can_read_is_named() -> None:
    runner = Runner(policies=LONE)
    now = at(0)
    runner.pipeline.stops.heard([ControlRecord(17, 0, b"hold/421", b"{")], now.steady, now)
    (reason,) = reasons(runner)
    assert "record at offset 17 cannot be read: no JSON" in reason
