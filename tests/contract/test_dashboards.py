"""The dashboards are what their program writes, and every panel tells what it shows, in which unit, and what to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.edge.telemetry.meters import Distribution
from consumer.edge.telemetry.metrics import Metrics
from tests.support.dashboards import FOLDER, NAMES, asked, panels, read
from tests.support.rules import RUNBOOK_URL, names_in

RUNBOOK = Path(__file__).parents[2] / "deploy" / "RUNBOOK.md"


def test_they_are_what_their_program_writes() -> None:
    program = "import json, dashboards; print(json.dumps(dashboards.dashboards()))"
    printed = subprocess.run([sys.executable, "-c", program], cwd=FOLDER, check=True, capture_output=True, timeout=60)
    assert {name: read(name) for name in NAMES} == json.loads(printed.stdout), "run: make generate"


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_explains_itself(name: str) -> None:
    for panel in panels(name):
        defaults, title = panel["fieldConfig"]["defaults"], panel["title"]
        assert len(panel["description"]) > 40, title
        assert defaults["unit"], title
        assert defaults["thresholds"]["steps"][0]["value"] is None, title
        (link,) = panel["links"]
        assert f"{link['url']}#".startswith(RUNBOOK_URL), title
        assert panel["datasource"]["uid"] == "${datasource}", title


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_begins_with_a_banner_in_a_colour_of_its_own_that_tells_a_rehearsal(name: str) -> None:
    banner, *others = panels(name)
    (query,) = banner["targets"]
    (mapping,) = banner["fieldConfig"]["defaults"]["mappings"]
    colours = {value: one["color"] for value, one in mapping["options"].items()}

    assert names_in(query["expr"]) == {"campaign_dry_run", "campaign_test_recipients"}
    assert banner["gridPos"] == {"x": 0, "y": 1, "w": 24, "h": 3}
    assert banner["options"]["colorMode"] == "background"
    assert colours == {"0": "green", "1": "purple", "2": "purple", "3": "purple"}
    assert "purple" not in json.dumps(others)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_panel_links_to_is_there(name: str) -> None:
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)}
    for panel in panels(name):
        _, _, heading = panel["links"][0]["url"].partition("#")
        assert not heading or heading in headings, panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_lie_over_one_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(name)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_every_metric_that_is_asked_for_exists() -> None:
    known = {described.name for described in Metrics().described()}
    for family in Metrics().families():
        if isinstance(family, Distribution):
            known |= {f"{family.described.name}_{part}" for part in ("bucket", "sum", "count")}
    for query in asked(rate_interval="5m"):
        assert names_in(query.expression) <= known, query


def test_nothing_but_bounded_labels_tells_series_apart() -> None:
    text = json.dumps([read(name) for name in NAMES])
    assert not re.search(r"phone|event_?id|offset=", text, re.IGNORECASE)


def test_every_row_that_the_runbook_names_is_there() -> None:
    rows = {panel["title"] for panel in read("campaign-consumer.json")["panels"] if panel["type"] == "row"}
    named = set(re.findall(r"Dashboard: \*([^*]+)\*", RUNBOOK.read_text("utf-8")))
    assert named
    assert named <= rows
