"""The dashboards of deploy/grafana as values: their panels, and the queries that these ask. Runs no Grafana."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "grafana"
NAMES: Final = ("campaign-consumer.json", "upstream.json")


class Asked(NamedTuple):
    """A query of a panel, as Grafana sends it with everything chosen."""

    dashboard: str
    panel: str
    expression: str


def read(name: str) -> dict[str, Any]:
    """Return a dashboard."""
    document: dict[str, Any] = json.loads((FOLDER / name).read_text("utf-8"))
    return document


def panels(name: str) -> list[dict[str, Any]]:
    """Return a dashboard's panels, without its rows."""
    return [panel for panel in read(name)["panels"] if panel["type"] != "row"]


def asked(*, rate_interval: str) -> Iterator[Asked]:
    """Yield every query; `rate_interval` stands in the place of each range."""
    for name in NAMES:
        for panel in panels(name):
            for target in panel["targets"]:
                yield Asked(name, panel["title"], filled(target["expr"], rate_interval=rate_interval))


def filled(expression: str, *, rate_interval: str) -> str:
    """Return an expression as Grafana sends it: every variable stands for all its values."""
    ranged = re.sub(r"\[(?:\$__rate_interval|\$__range|1h)\]", f"[{rate_interval}]", expression)
    return re.sub(r"\$(?:group|instance|topic|campaign)\b", ".*", ranged)
