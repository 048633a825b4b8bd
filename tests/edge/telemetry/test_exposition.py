"""Promises about the formats in which Prometheus reads us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest as their_text
from prometheus_client.openmetrics.exposition import generate_latest as their_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from consumer.core.terms import SendId
from consumer.edge.telemetry.exposition import Format, encode, negotiated
from consumer.edge.telemetry.meters import Counters, Described, Distribution, GaugeReading, GaugeReadings
from consumer.edge.telemetry.telemetry import Telemetry
from tests.edge.support import HandClock, accept, request, telemetry
from tests.edge.telemetry.test_metrics import everything

VALUES = st.floats(min_value=0)


def families(label: str, meaning: str, value: float) -> CollectorRegistry:
    registry = CollectorRegistry()
    counted = Described(name="campaign_x_bytes_total", kind="counter", labels=("why", "a"), meaning=meaning)
    counters = Counters(counted)
    counters.add((label, 1), value)
    measured = Described(name="campaign_y_seconds", kind="histogram", labels=("why",), meaning=meaning)
    distribution = Distribution(measured, bounds=(0.005, 1, 86_400, 10_000_000))
    distribution.observe((label,), value)
    read = Described(name="campaign_z", kind="gauge", labels=(), meaning=meaning)
    reading: GaugeReading[float] = GaugeReading(described=read, read=lambda now: [((), now)])
    readings = GaugeReadings([reading])
    readings.bind(lambda: -value)
    for family in (counters, distribution, readings):
        registry.register(family)
    return registry


@given(st.text(), st.text(), VALUES)
def test_whatever_stands_in_labels_and_meanings_the_bytes_are_those_of_prometheus_own_client(
    label: str, meaning: str, value: float
) -> None:
    registry = families(label, meaning, value)
    assert encode(registry.collect(), Format.TEXT) == their_text(registry)
    assert encode(registry.collect(), Format.OPENMETRICS) == their_openmetrics(registry)  # type: ignore[no-untyped-call]


def test_the_whole_of_a_services_metrics_is_written_as_prometheus_own_client_would() -> None:
    metrics = list(everything().metrics.registry.collect())  # one snapshot: the process's own figures move

    class Snapshot:
        def collect(self) -> list[object]:
            return list(metrics)

    assert encode(metrics, Format.TEXT) == their_text(Snapshot())  # type: ignore[arg-type]
    assert encode(metrics, Format.OPENMETRICS) == their_openmetrics(Snapshot())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "accept, chosen",
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("application/json", Format.TEXT),
        ("text/plain;version=0.0.4", Format.TEXT),
        ("text/plain;version=1.0.0", Format.TEXT),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", Format.OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3", Format.OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.1", Format.TEXT),
        ("application/openmetrics-text;q=0,text/plain;version=1.0.0;q=0.1", Format.TEXT),
        ("application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0", Format.OPENMETRICS),
        ("application/openmetrics-text;version=9.9.9", Format.TEXT),
        ("application/openmetrics-text;version=oops", Format.TEXT),
        ("application/openmetrics-text;q=nan;;=,;", Format.TEXT),
    ],
)
def test_prometheus_gets_the_format_it_asks_for_and_text_when_it_asks_for_nonsense(accept: str, chosen: Format) -> None:
    assert negotiated(accept) is chosen


SLOW, QUICK = "0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1234", "0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1235"


def with_exemplars(quick: str = QUICK) -> Telemetry:
    told = telemetry()
    for send_id, delays in ((quick, (0.25, 0.5, 1.75)), (SLOW, (1.5, 40.0)), ("later", (0.1, 45.0))):
        accept(told, replace(request(421), send_id=SendId(send_id)), *delays)
    return told


def test_the_slowest_contact_of_a_send_names_the_send_in_its_bucket_for_openmetrics_alone() -> None:
    told = with_exemplars()
    _, body = told.exposition("application/openmetrics-text;version=1.0.0")
    found = {
        sample.labels["le"]: sample.exemplar
        for family in openmetrics_families(body.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    }
    assert {end: (one.labels, one.value) for end, one in found.items()} == {
        "2.0": ({"send_id": QUICK}, 1.75),
        "60.0": ({"send_id": "later"}, 45.0),
    }
    assert {
        family for family in body.decode().splitlines() if " # {" in family and "acceptance_delay" not in family
    } == set()
    assert float(found["2.0"].timestamp) == HandClock().now().wall
    assert b" # {" not in told.exposition("")[1]
    assert b"send_id" not in told.exposition("")[1]


def test_exemplars_are_written_as_prometheus_own_client_would() -> None:
    metrics = list(with_exemplars('a"send\\of\nlines').metrics.registry.collect())
    families = [family for family in metrics if family.name == "campaign_acceptance_delay_seconds"]

    class Snapshot:
        def collect(self) -> list[object]:
            return list(families)

    assert b" # {" in encode(families, Format.OPENMETRICS)
    assert encode(families, Format.OPENMETRICS) == their_openmetrics(Snapshot())  # type: ignore[no-untyped-call]
    assert encode(families, Format.TEXT) == their_text(Snapshot())  # type: ignore[arg-type]
