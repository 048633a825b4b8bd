"""Alerts and runbook are one: each alert has its page, in all its parts, and speaks of metrics that exist."""

import re
from pathlib import Path
from typing import Any

import pytest

from consumer.edge.telemetry.metrics import Metrics
from consumer.service.verdict import RUNBOOK as HEADINGS
from consumer.service.verdict import VerdictCause
from tests.support.commands import command_lines, take
from tests.support.rules import RUNBOOK_URL, alerts, names_in, rules

PAGE = (Path(__file__).parents[2] / "deploy/RUNBOOK.md").read_text()
SECTIONS = dict(re.findall(r"^## (Campaign\w+)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
PARTS = ["What it means", "How to see it", "What to do", "What not to do", "How to know that it is over"]
NAMES = sorted({rule["alert"] for rule in alerts()})

METRICS = {
    described.name + suffix
    for described in Metrics().described()
    for suffix in (("_bucket", "_count", "_sum") if described.kind == "histogram" else ("",))
}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
COMMAND_LINES = command_lines(PAGE)

every_alert = pytest.mark.parametrize(
    "rule", alerts(), ids=lambda rule: f"{rule['alert']}-{rule['labels'].get('case', 'only')}"
)


def test_every_alert_has_its_heading_and_every_heading_its_alert() -> None:
    assert sorted(SECTIONS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_the_runbook_has_all_its_parts(name: str) -> None:
    assert re.findall(r"^\*\*([A-Z][a-z ]+)\.\*\*", SECTIONS[name], flags=re.MULTILINE) == PARTS


@every_alert
def test_an_alert_says_how_grave_it_is_how_bad_and_where_to_read_on(rule: dict[str, Any]) -> None:
    said = rule["annotations"]

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert said.keys() == {"summary", "description", "runbook_url"}
    assert said["runbook_url"] == RUNBOOK_URL + rule["alert"].lower()
    assert "$value" in said["summary"] or "$labels.instance" in said["summary"] or "$labels.cause" in said["summary"]


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_speaks_of_metrics_that_exist(rule: dict[str, Any]) -> None:
    assert names_in(rule["expr"]) <= METRICS | RECORDED


def test_nothing_is_recorded_that_no_alert_reads() -> None:
    assert set().union(*(names_in(rule["expr"]) for rule in rules())) >= RECORDED


@pytest.mark.parametrize("cause, name", list(HEADINGS.items()))
def test_an_alert_fires_for_each_cause_that_the_verdict_sends_to_it(cause: VerdictCause, name: str) -> None:
    expressions = [rule["expr"] for rule in alerts() if rule["alert"] == name]
    measured = {
        VerdictCause.PARTITIONS_STOPPED: "campaign_partitions",
        VerdictCause.CAMPAIGNS_REFUSED: "campaign_refused_campaign_seconds",
        VerdictCause.URGENT_BEHIND: "campaign_urgent_late_seconds",
        VerdictCause.BEHIND: "campaign:lag_seconds:max",
        VerdictCause.HOLDS: "campaign_hold_age_seconds",
    }
    assert any(measured.get(cause, cause.value) in expression for expression in expressions)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_of_the_runbook_is_one_of_ours(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("events.jsonl", "plan.json"):  # made by those who read it
        (tmp_path / file).touch()
    take(line)


def test_the_runbook_is_full_of_commands() -> None:
    assert len(COMMAND_LINES) > len(NAMES)
