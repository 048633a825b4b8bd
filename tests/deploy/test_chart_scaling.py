"""By what KEDA scales: lag in seconds, unless something holds the service back that more instances do not cure."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.helm import everything, minimal, of_kind

TARGET_SECONDS = 60
OURS = 'namespace="ours",pod="release-campaign-consumer-{}"'


def trigger() -> dict[str, Any]:
    (found,) = of_kind(everything(), "ScaledObject")["spec"]["triggers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "series, expected",
    [
        ({}, None),
        (
            {
                f"campaign_lag_seconds{{{OURS.format(0)},partition='0'}}": 7,
                f"campaign_lag_seconds{{{OURS.format(1)}}}": 150,
            },
            150,
        ),
        ({f"campaign_lag_seconds{{{OURS.format(0)}}}": 0}, 0),
        ({'campaign_lag_seconds{namespace="ours",pod="other-0"}': 150}, None),
        (
            {
                f"campaign_lag_seconds{{{OURS.format(0)}}}": 150,
                f'campaign_verdict_cause{{{OURS.format(0)},cause="behind"}}': 1,
                f'campaign_verdict_cause{{{OURS.format(0)},cause="platform_pauses"}}': 0,
            },
            150,
        ),
        (
            {
                f"campaign_lag_seconds{{{OURS.format(0)}}}": 900,
                f"campaign_lag_seconds{{{OURS.format(1)}}}": 1,
                f'campaign_verdict_cause{{{OURS.format(0)},cause="platform_pauses"}}': 0,
                f'campaign_verdict_cause{{{OURS.format(1)},cause="platform_pauses"}}': 1,
            },
            TARGET_SECONDS,
        ),
    ],
    ids=["nobody is scraped", "the oldest", "idle", "somebody else's", "behind", "held back"],
)
def test_the_query_answers_with_lag_or_with_the_target_while_the_service_is_held_back(
    series: dict[str, float], expected: float | None, tmp_path: Path
) -> None:
    rule = {"record": "scaled_by", "expr": trigger()["metadata"]["query"]}
    samples = [] if expected is None else [{"labels": "scaled_by", "value": expected}]
    documents = {
        "rules.yaml": {"groups": [{"name": "scaling", "rules": [rule]}]},
        "test.yaml": {
            "rule_files": ["rules.yaml"],
            "tests": [
                {
                    "interval": "15s",
                    "input_series": [{"series": name, "values": f"{value}x4"} for name, value in series.items()],
                    "promql_expr_test": [{"expr": "scaled_by", "eval_time": "30s", "exp_samples": samples}],
                }
            ],
        },
    }
    for name, document in documents.items():
        YAML(typ="safe").dump(document, tmp_path / name)
    command = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_answer_on_target_changes_no_number() -> None:
    assert trigger()["metadata"]["threshold"] == str(TARGET_SECONDS)
    assert trigger()["metricType"] == "Value"


def test_what_is_scraped_says_to_which_group_it_belongs() -> None:
    (endpoint,) = of_kind(everything(), "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "group", "replacement": "campaign-consumer"}]
    named = minimal(**{"monitor.enabled": True, "config.kafka.group_id": "otp"})
    (endpoint,) = of_kind(named, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"][0]["replacement"] == "otp"
