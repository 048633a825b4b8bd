"""Rate limits: never more than asked for, never less than there is room for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.rate_limit import BURST_SECONDS, RateLimit
from consumer.core.terms import NEVER
from tests.core.makers import at

RATES = st.sampled_from([0.5, 1.0, 3.0, 20.0, 100.0, 1_000.0, 25_000.0])


def starts(limit: RateLimit, *, seconds: float, units: int = 1, begin: float = 0.0) -> list[float]:
    """When somebody who has always more to start does so."""
    time = begin
    found: list[float] = []
    while True:
        free_at = limit.free_at(at(time))
        time = max(time, free_at - at(0).steady)
        if time > begin + seconds:
            return found
        assert limit.free_at(at(time)) <= at(time).steady, "what was promised for this instant is free now"
        limit.take(units, at(time))
        found.append(time)


@given(RATES, st.sampled_from([1, 7, 500]))
def test_in_no_span_more_starts_than_the_rate_and_a_tenth_of_a_second_allow(rate: float, units: int) -> None:
    times = starts(RateLimit(rate), seconds=min(30.0, 2_000 * units / rate), units=units)
    most = max(units, rate * BURST_SECONDS + units - 1)
    for first in range(0, len(times), max(1, len(times) // 40)):
        for last in range(first, len(times), max(1, len(times) // 40)):
            span = times[last] - times[first]
            assert (last - first + 1) * units <= rate * span + most + 1e-3


@given(RATES, st.sampled_from([1, 7, 500]))
def test_all_that_the_rate_allows_does_start(rate: float, units: int) -> None:
    seconds = 200 * units / rate
    assert len(starts(RateLimit(rate), seconds=seconds, units=units)) * units >= 0.99 * rate * seconds


def test_a_rate_of_nothing_lets_nothing_start_until_there_is_one() -> None:
    limit = RateLimit(10.0)
    limit.change(0.0, at(0))
    assert limit.free_at(at(0)) == NEVER
    limit.change(10.0, at(5))
    assert limit.free_at(at(5)) <= at(5).steady


def test_what_has_started_stays_counted_when_the_rate_changes() -> None:
    limit = RateLimit(100.0)
    limit.take(50, at(0))
    limit.change(10.0, at(0))
    assert limit.free_at(at(0)) - at(0).steady == pytest.approx(5.0)


def test_a_rest_is_no_credit() -> None:
    limit = RateLimit(10.0)
    assert len(starts(limit, seconds=1.0, begin=1_000.0)) <= 11
