"""What a result tells of an instant lies in its millisecond and never after it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.outcome import Status
from consumer.core.platform.answer import Answer
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.results.result import result_value
from consumer.core.terms import Instant, millisecond_of
from schemas.instants import instant_of, text_of
from tests.core.makers import at
from tests.core.runner import OK, Request, Runner

INSTANTS = st.floats(min_value=1e9, max_value=4e9)  # 2001 to 2096


@given(INSTANTS)
def test_an_instant_is_told_by_the_millisecond_in_which_it_lies(instant: float) -> None:
    told = millisecond_of(Instant(instant))
    assert told <= instant < told + 0.001001
    assert instant_of(text_of(told)) == told


@given(st.integers(1_000_000_000_000, 4_000_000_000_000))
def test_a_whole_millisecond_is_told_as_it_is(milliseconds: int) -> None:
    instant = instant_of(text_of(milliseconds / 1000.0))
    assert millisecond_of(Instant(instant)) == instant
    assert text_of(millisecond_of(Instant(instant))) == text_of(instant)


def answers(_request: Request) -> tuple[Answer, float]:
    return OK, 0.0001


def told(runner: Runner, offset: int) -> list[float]:
    """When a record arrived, was sent and had its outcome, as its result says."""
    result = orjson.loads(result_value(runner.records[0, offset], runner.results[0, offset]))
    instants = [result[name] for name in ("receivedAt", "dispatchedAt", "completedAt")]
    return [instant_of(one) for one in instants if one is not None]


@pytest.mark.parametrize("fraction", [0.0002, 0.0005, 0.00071, 0.00089])
def test_no_result_tells_of_an_instant_that_had_not_come(fraction: float) -> None:
    """Both records arrive, and one is sent and answered, within one millisecond."""
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=0.0)), platform=answers)
    runner.time = 5.0 + fraction
    runner.feed(runner.event(), {"eventId": "no event"})
    runner.run()
    began_at = at(5.0).wall
    assert told(runner, 0) == [began_at] * 3
    assert told(runner, 1) == [began_at] * 2


def test_a_request_that_started_before_a_deadline_is_told_to_have_started_before_it() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=0.0)), platform=answers)
    event = runner.event(expires_in=5.0)
    runner.time = 4.9997
    runner.feed(event)
    runner.run()
    assert runner.results[0, 0].status is Status.ACCEPTED
    assert told(runner, 0)[1] < instant_of(event["expiresAt"])
