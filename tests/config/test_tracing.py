"""Requests are traced where a collector is named and nothing says no; what keeps that from happening is told."""

import sys

import pytest

from consumer.cli.main import Failure
from consumer.cli.tracing import are_wanted, spans_of

THERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
URL = "https://eu.example.com/v2/sms/send/list"


@pytest.mark.parametrize(
    "environ, wanted",
    [
        ({}, False),
        (THERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9"}, False),
        ({**THERE, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**THERE, "OTEL_SDK_DISABLED": "false"}, True),
        ({**THERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**THERE, "OTEL_TRACES_EXPORTER": "console, otlp"}, True),
    ],
)
def test_the_environment_says_whether_requests_are_traced(environ: dict[str, str], wanted: bool) -> None:  # noqa: FBT001
    assert are_wanted(environ) is wanted
    if not wanted:
        assert spans_of(url=URL, group="g", version="1", environ=environ) == (None, None)


def test_another_protocol_than_ours_is_told_and_costs_the_traces() -> None:
    spans, note = spans_of(url=URL, group="g", version="1", environ={**THERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert spans is None
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in str(note)


def test_a_missing_extra_is_told_and_costs_the_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "consumer.edge.telemetry.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    spans, note = spans_of(url=URL, group="g", version="1", environ=THERE)
    assert spans is None
    assert "campaign-consumer[otel]" in str(note)


def test_a_variable_that_says_what_cannot_be_is_a_mistake_in_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    with pytest.raises(Failure, match="OTEL_") as raised:
        spans_of(url=URL, group="g", version="1", environ=THERE)
    assert raised.value.exit_code == 2
