"""The rules that are shipped say what they should: promtool plays them, and every alert is seen to fire and to be silent."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rules import RULES, RULES_TEST, alerts, read

Played = tuple[str, str | None]
"""An alert's name, and the case that tells rules of that name apart."""


def promtool(*arguments: str | Path) -> None:
    command = ["promtool", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def fired() -> Iterator[Played]:
    for test in read(RULES_TEST)["tests"]:
        for check in test["alert_rule_test"]:
            yield from ((check["alertname"], each["exp_labels"].get("case")) for each in check["exp_alerts"])


def test_promtool_finds_the_rules_in_order() -> None:
    promtool("check", "rules", RULES)


def test_every_alert_fires_and_is_silent_as_it_should() -> None:
    promtool("test", "rules", RULES_TEST)


@pytest.mark.parametrize("name, case", [(rule["alert"], rule["labels"].get("case")) for rule in alerts()])
def test_an_alert_is_seen_to_fire_and_to_be_silent(name: str, case: str | None) -> None:
    checks = [check for test in read(RULES_TEST)["tests"] for check in test["alert_rule_test"]]
    silent = [
        check
        for check in checks
        if check["alertname"] == name and case not in {each["exp_labels"].get("case") for each in check["exp_alerts"]}
    ]

    assert (name, case) in set(fired())
    assert silent


def test_the_prometheus_to_try_out_is_configured_as_it_should(tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yaml"
    text = (RULES.parent / "prometheus.yaml").read_text("utf-8")
    configuration.write_text(text.replace("/etc/prometheus/rules.yaml", str(RULES)))
    promtool("check", "config", configuration)
