"""Encodes metric families as Prometheus text or OpenMetrics, whichever the scraper asks for. Owns no metric.

The output equals that of the Prometheus client's encoders (a test compares them), in a quarter of the time. A scrape is
encoded on the event loop, where it delays heartbeats and urgent events.
"""

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import assert_never

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString


class Format(Enum):
    """The supported formats; a value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


SPOKEN = {
    ("application/openmetrics-text", ""): Format.OPENMETRICS,
    ("application/openmetrics-text", "1.0.0"): Format.OPENMETRICS,
    ("text/plain", ""): Format.TEXT,
    ("text/plain", "0.0.4"): Format.TEXT,
}
"""Media types and versions."""

_WEIGHT = re.compile(r"[01](\.\d{0,3})?")


def render(registry: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """Return content type and body in the format that an `Accept` header asks for; text where it names no supported one."""
    chosen = negotiated(accept)
    return chosen.value, encode(registry.collect(), chosen)


def negotiated(accept: str) -> Format:
    """Return the supported format with the highest weight in an `Accept` header."""
    chosen, most = Format.TEXT, 0.0
    for entry in accept.split(","):
        media, *rest = (part.strip().lower() for part in entry.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        spoken = SPOKEN.get((media, parameters.get("version", "")))
        wanted = parameters.get("q", "1")
        weight = float(wanted) if _WEIGHT.fullmatch(wanted) else 0.0
        if spoken is not None and weight > most:
            chosen, most = spoken, weight
    return chosen


def encode(families: Iterable[Metric], chosen: Format) -> bytes:
    """Return counters, gauges and histograms, encoded in the chosen format."""
    lines: list[str] = []
    for family in families:
        lines += _head(family, chosen)
        for sample in family.samples:
            labels = _labels(tuple(sample.labels.items())) if sample.labels else ""
            exemplar = _exemplar(sample.exemplar) if sample.exemplar and chosen is Format.OPENMETRICS else ""
            lines.append(f"{sample.name}{labels} {floatToGoString(sample.value)}{exemplar}\n")  # type: ignore[no-untyped-call]
    if chosen is Format.OPENMETRICS:
        lines.append("# EOF\n")
    return "".join(lines).encode()


def _head(family: Metric, chosen: Format) -> list[str]:
    meaning = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    match chosen:
        case Format.TEXT:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            return [f"# HELP {name} {meaning}\n", f"# TYPE {name} {family.type}\n"]
        case Format.OPENMETRICS:
            meaning = meaning.replace('"', r"\"")
            unit = [f"# UNIT {family.name} {family.unit}\n"] if family.unit else []
            return [f"# HELP {family.name} {meaning}\n", f"# TYPE {family.name} {family.type}\n", *unit]
        case _:
            assert_never(chosen)


@lru_cache(maxsize=8192)  # as many series as a member with hundreds of partitions has; each scrape needs them again
def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    texts = (f'{name}="{_escaped(value)}"' for name, value in sorted(labels))
    return f"{{{','.join(texts)}}}"


def _exemplar(exemplar: Exemplar) -> str:
    labels = _labels.__wrapped__(tuple(exemplar.labels.items()))  # each is another one: nothing to be remembered
    return f" # {labels} {floatToGoString(exemplar.value)} {exemplar.timestamp}"  # type: ignore[no-untyped-call]


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
