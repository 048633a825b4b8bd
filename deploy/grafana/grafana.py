"""What a dashboard is made of: queries, panels, rows, and the JSON that Grafana 11 or newer reads. Knows no panel of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

RUNBOOK: Final = "https://runbooks.example.com/campaign-consumer/RUNBOOK.md"
"""The same prefix as in the alert rules: put the address at which your people read the runbook in its place."""

SCHEMA_VERSION: Final = 39  # of Grafana 11.0; newer ones read it, and write a newer one
COLUMNS: Final = 24
HERE: Final = 'group=~"$group", instance=~"$instance"'
TOPIC: Final = f'{HERE}, topic=~"$topic"'
RATE: Final = "$__rate_interval"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

GREEN, YELLOW, RED, BLUE, PURPLE = "green", "yellow", "red", "blue", "purple"
Thresholds = Sequence[tuple[float | None, str]]
CALM: Final[Thresholds] = ((None, BLUE),)
"""A figure that is neither good nor bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One PromQL expression, and what its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; `heading` is where the runbook says what to do, empty for its beginning."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    heading: str = ""
    thresholds: Thresholds = CALM
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    words: Sequence[tuple[float, str, str]] = ()
    """What values are called: value, text, colour."""
    maximum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of panels that answer one question."""

    title: str
    panels: Sequence[Panel]


def above(warning: float, critical: float) -> Thresholds:
    """Return thresholds for a figure that is bad when it is large."""
    return ((None, GREEN), (warning, YELLOW), (critical, RED))


def total(metric: str, *, by: str = "", where: str = HERE) -> str:
    """Return a sum over instances."""
    return f"sum{_by(by)}({metric}{{{where}}})"


def highest(metric: str, *, by: str = "", where: str = HERE) -> str:
    """Return the highest of all instances."""
    return f"max{_by(by)}({metric}{{{where}}})"


def per_second(metric: str, *, by: str = "", where: str = HERE) -> str:
    """Return the rate of a counter, added up over instances."""
    return f"sum{_by(by)}(rate({metric}{{{where}}}[{RATE}]))"


def quantile(share: float, histogram: str, *, by: str = "", where: str = HERE) -> str:
    """Return a quantile of a histogram over all instances."""
    inner = f"sum by ({', '.join(filter(None, ('le', by)))}) (rate({histogram}_bucket{{{where}}}[{RATE}]))"
    return f"histogram_quantile({share}, {inner})"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""


def median_and_99th(histogram: str, by: str = "") -> Sequence[Query]:
    """Return the usual two quantiles, by a label if there is one."""
    named = f"{{{{{by}}}}}, " if by else ""
    return [
        Query(expression=quantile(0.5, histogram, by=by), legend=f"{named}median"),
        Query(expression=quantile(0.99, histogram, by=by), legend=f"{named}99 %"),
    ]


WHO_IS_TEXTED: Final = Panel(
    title="Who is texted",
    description="Everybody, unless an instance rehearses: DELIVERY__DRY_RUN texts nobody, DELIVERY__TEST_RECIPIENTS those on its list alone.",
    unit="none",
    kind="stat",
    width=COLUMNS,
    queries=[Query(expression=f"max(2 * campaign_dry_run{{{HERE}}} + (campaign_test_recipients{{{HERE}}} > bool 0))")],
    heading="campaigndryruninforce",
    thresholds=((None, GREEN), (1, PURPLE)),
    words=[
        (0, "everybody", GREEN),
        (1, "TEST RECIPIENTS ALONE", PURPLE),
        (2, "DRY RUN: NOBODY", PURPLE),
        (3, "DRY RUN: NOBODY", PURPLE),
    ],
)
"""Stands at the top of every dashboard: nobody shall take a rehearsal for the real thing."""


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    heading = f"#{panel.heading}" if panel.heading else ""
    custom: dict[str, Any] = {}
    if panel.kind == "timeseries":
        custom = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.thresholds is CALM else "dashed"},
        }
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.thresholds],
        },
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "custom": custom,
        "mappings": [
            {
                "type": "value",
                "options": {
                    f"{value:g}": {"text": text, "color": colour, "index": index}
                    for index, (value, text, colour) in enumerate(panel.words)
                },
            }
        ]
        if panel.words
        else [],
    }
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "links": [{"title": "What to do", "url": f"{RUNBOOK}{heading}", "targetBlank": True}],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "stat":
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "background",
                "graphMode": "none",
                "textMode": "auto",
            }
        case "state-timeline":
            return {"showValue": "never", "mergeValues": True, "rowHeight": 0.8, "legend": {"showLegend": False}}
        case _:
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }


def _height(panel: Panel) -> int:
    if panel.kind == "stat" and panel.width == COLUMNS:  # a banner
        return 3
    return 4 if panel.kind == "stat" and panel.width < COLUMNS // 2 else 7


def _panels(rows: Sequence[Row]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
                "panels": [],
            }
        )
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            height = _height(panel)
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            made.append(_panel(panel, len(made) + 1, {"x": left, "y": top, "w": panel.width, "h": height}))
            left, tallest = left + panel.width, max(tallest, height)
        top += tallest
    return made


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """Return a variable whose values a query finds; all of them are chosen at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }


def dashboard(title: str, uid: str, description: str, variables: Sequence[dict[str, Any]], rows: Sequence[Row]) -> Any:
    """Return a dashboard as Grafana reads it."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["campaign-consumer"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [{"title": "Runbook", "type": "link", "url": RUNBOOK, "targetBlank": True, "icon": "doc"}],
        "templating": {"list": [source, *variables]},
        "annotations": {"list": []},
        "panels": _panels(rows),
    }
