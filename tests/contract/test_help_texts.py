"""A metric's help text stands alone: Prometheus and Grafana show it without the metrics beside it."""

import re

import pytest

from consumer.edge.telemetry.metrics import Metrics

POINTING = re.compile(
    r"\b(it|they|them|these|those|ours?|us|we|one of which|as many|the (former|latter|same))\b", re.IGNORECASE
)
"""Words that mean something that was said before; `its` and `their` follow their noun closely enough."""
FEWEST_WORDS = 3
METRICS = Metrics()
EXPORTED = {family.documentation for family in METRICS.registry.collect()}
DOCUMENTED = {described.meaning for described in METRICS.described()}
"""The same, but for the process's own: those are the client library's words."""


def words(text: str) -> list[str]:
    """The words of a text that are no names of settings, values or metrics."""
    return re.findall(r"[\w']+", re.sub(r"`[^`]*`", "", text))


def points_elsewhere(text: str) -> bool:
    """Whether a text needs its neighbours, as far as a simple rule can tell."""
    return len(words(text)) < FEWEST_WORDS or POINTING.search(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Bytes charged for them",
        "A batch of them, until acknowledged",
        "As many may be open",
        "Times that it stopped for a person",
        "Claims of ours behind which a take-over reads the journal",
        "`BUFFER__MAX_EVENTS`",
        "Records read",
    ],
)
def test_a_text_that_needs_its_neighbours_is_found(text: str) -> None:
    assert points_elsewhere(text)


@pytest.mark.parametrize("text", sorted(EXPORTED | DOCUMENTED))
def test_a_help_text_stands_alone(text: str) -> None:
    assert not points_elsewhere(text)
