"""Whether the service makes spans, as the environment's `OTEL_*` say. Reads no setting and makes no span itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from consumer.cli.main import MISUSED, Failure

if TYPE_CHECKING:
    from consumer.edge.telemetry.traces import RequestSpans

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OUR_PROTOCOL: Final = "http/protobuf"
FLUSH_SECONDS: Final = 2.0  # of the grace, if so much is left when everything has settled


def are_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a collector and does not switch traces off."""

    def said(name: str) -> str:
        return environ.get(name, "").strip().lower()

    exporters = [one.strip() for one in said("OTEL_TRACES_EXPORTER").split(",") if one.strip()]
    return any(map(said, ENDPOINTS)) and said("OTEL_SDK_DISABLED") != "true" and (not exporters or "otlp" in exporters)


def spans_of(
    *, url: str, group: str, version: str, environ: Mapping[str, str]
) -> "tuple[RequestSpans | None, str | None]":
    """Return what makes spans, None where nothing does; and what a person should know about that.

    Raises:
        Failure: a variable says what cannot be.
    """
    if not are_wanted(environ):
        return None, None
    protocol = next((environ[name].strip() for name in PROTOCOLS if environ.get(name, "").strip()), OUR_PROTOCOL)
    if protocol != OUR_PROTOCOL:
        return None, f"no traces: OTEL_EXPORTER_OTLP_PROTOCOL={protocol}, and only {OUR_PROTOCOL} is spoken here"
    try:
        from consumer.edge.telemetry.traces import RequestSpans
    except ImportError:
        return None, "no traces: a collector is named, but the extra is not installed: campaign-consumer[otel]"
    try:
        return RequestSpans(url=url, group=group, version=version), "requests are traced, as OTEL_* say"
    except ValueError as error:
        raise Failure(f"OTEL_* (environment): {error}", MISUSED) from None
