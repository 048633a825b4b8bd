"""Rates come from two statuses of one process, and from nothing else."""

from typing import Any

from consumer.top.rates import RateMeter, rates_between

BOUNDS = (0.5, 5.0)


def status(count: int, *, normal: tuple[int, ...] = (0, 0, 0), member: str = "a") -> dict[str, Any]:
    return {
        "member": member,
        "totals": {"records_read": count, "results": 2 * count},
        "acceptance": {"bounds": BOUNDS, "normal": normal, "immediate": (1, 0, 0)},
    }


def test_rates_are_by_the_second_between_two_statuses() -> None:
    rates = rates_between(status(100), status(150, normal=(50, 49, 1)), 2.0)
    assert rates.per_second == {"records_read": 25.0, "results": 50.0}
    assert rates.acceptance == {"normal": {0.5: 0.5, 0.99: 5.0}}


def test_what_took_longer_than_every_bound_has_none() -> None:
    rates = rates_between(status(0), status(0, normal=(0, 0, 4)), 1.0)
    assert rates.acceptance == {"normal": {0.5: float("inf"), 0.99: float("inf")}}


def test_one_status_alone_and_one_that_lacks_the_counts_have_no_rates() -> None:
    assert RateMeter().take(status(5), 1.0).per_second == {}
    assert rates_between({}, status(5), 1.0).per_second == {}
    assert rates_between(status(5), {"totals": None, "acceptance": None}, 1.0).per_second == {}


def test_rates_are_over_the_last_ten_seconds() -> None:
    meter = RateMeter()
    rates = [meter.take(status(100 if second > 4 else 0), float(second)).per_second for second in range(20)]
    assert rates[4]["records_read"] == 0
    assert rates[5]["records_read"] == 100 / 5
    assert rates[14]["records_read"] == 100 / 10
    assert rates[15]["records_read"] == 0


def test_a_restart_begins_anew() -> None:
    meter = RateMeter()
    meter.take(status(1_000), 1.0)
    assert meter.take(status(5), 2.0).per_second == {}
    assert meter.take(status(7), 3.0).per_second["records_read"] == 2.0
    assert meter.take(status(70, member="b"), 4.0).per_second == {}
