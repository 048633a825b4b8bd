"""Promises about counting: nothing is lost in a batch, and what Prometheus reads is what was told."""

from collections.abc import Sequence
from operator import mul

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from consumer.edge.telemetry.meters import (
    COUNTED_TOGETHER,
    Counters,
    Described,
    Distribution,
    GaugeReading,
    GaugeReadings,
)

BOUNDS = (0.01, 0.1, 1.0, 10.0)
VALUES = st.one_of(st.sampled_from(BOUNDS), st.floats(min_value=0, max_value=100, allow_nan=False))
MANY = st.builds(mul, st.lists(VALUES, min_size=1, max_size=8), st.integers(1, COUNTED_TOGETHER))


def described(name: str, kind: str, *labels: str) -> Described:
    return Described(name=name, kind=kind, labels=labels, meaning="x")


def distribution() -> Distribution:
    return Distribution(described("campaign_x_seconds", "histogram"), bounds=BOUNDS)


def buckets(collector: Distribution | Histogram) -> dict[tuple[str, str], float]:
    [metric] = collector.collect()
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for sample in metric.samples
        if not sample.name.endswith(("_created", "_sum"))
    }


def total(collector: Distribution | Histogram) -> float:
    [metric] = collector.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_sum"))


@given(st.lists(st.one_of(st.lists(VALUES), MANY), max_size=8))
def test_a_batch_counts_like_its_values_one_by_one_in_prometheus_own_histogram(batches: list[list[float]]) -> None:
    ours, theirs = distribution(), Histogram("campaign_x_seconds", "x", buckets=BOUNDS, registry=None)
    for batch in batches:
        ours.observe_all((), batch)
        for value in batch:
            theirs.observe(value)
    assert buckets(ours) == buckets(theirs)
    assert total(ours) == pytest.approx(total(theirs))


@given(MANY)
def test_values_count_alike_alone_and_together(values: list[float]) -> None:
    single, batch = distribution(), distribution()
    for value in values:
        single.observe((), value)
    batch.observe_all((), values)
    assert buckets(single) == buckets(batch)
    assert total(single) == pytest.approx(total(batch))


@pytest.mark.parametrize("values", [[-3.0], [-3.0, 0.5], [-3.0, 0.5] * COUNTED_TOGETHER])
def test_clocks_that_disagree_never_make_a_sum_go_back(values: Sequence[float]) -> None:
    ours = distribution()
    ours.observe_all((), values)
    for value in values:
        ours.observe((), value)
    assert total(ours) == 2 * sum(max(value, 0) for value in values)
    assert buckets(ours)["campaign_x_seconds_count", ""] == 2 * len(values)


def test_a_counter_never_goes_back() -> None:
    with pytest.raises(AssertionError):
        Counters(described("campaign_x_total", "counter")).add((), -1)


def test_known_label_values_stand_at_zero_from_the_start_so_that_the_first_rare_one_is_an_increase() -> None:
    registry = CollectorRegistry()
    registry.register(Counters(described("campaign_x_total", "counter", "why"), known=[("rare",)]))
    assert registry.get_sample_value("campaign_x_total", {"why": "rare"}) == 0


def test_totals_by_one_label_add_up_all_others() -> None:
    counters = Counters(described("campaign_x_total", "counter", "status", "reason"))
    counters.add(("accepted", None), 2)
    counters.add(("accepted", "odd"), 3)
    counters.add(("failed", None), 4)
    assert counters.totals("status") == {"accepted": 5, "failed": 4}


def test_gauges_are_read_once_a_scrape_and_not_at_all_before_somebody_is_bound() -> None:
    asked: list[None] = []

    def source() -> float:
        asked.append(None)
        return 7.0

    gauges: list[GaugeReading[float]] = [
        GaugeReading(described=described(f"campaign_{n}", "gauge"), read=lambda now: [((), now)]) for n in "ab"
    ]
    readings = GaugeReadings(gauges)
    registry = CollectorRegistry()
    registry.register(readings)
    assert registry.get_sample_value("campaign_a") is None
    readings.bind(source)
    list(registry.collect())
    assert len(asked) == 1
    assert registry.get_sample_value("campaign_b") == 7
