"""The Helm chart says what the service says: its settings, its version, its rules. What Helm makes of it: tests/deploy."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from config.catalogue import leaves
from consumer.service.verdict import VerdictCause
from tests.support import chart

VALUES: dict[str, Any] = YAML(typ="safe", pure=True).load(chart.CHART / "values.yaml")
SCHEMA: dict[str, Any] = json.loads((chart.CHART / "values.schema.json").read_text())
LARGEST_CONFIG_MAP_BYTES = 1024**2


def wrong(values: dict[str, Any]) -> str:
    """What the schema says against values; empty if nothing."""
    return "\n".join(error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors({**VALUES, **values}))


@pytest.mark.parametrize("name", sorted(chart.made()))
def test_what_the_chart_takes_from_elsewhere_is_up_to_date(name: str) -> None:
    assert (chart.CHART / name).read_text() == chart.made()[name], "run: make generate"


def test_the_chart_holds_no_copy_of_what_is_gone() -> None:
    held = {str(file.relative_to(chart.CHART)) for file in (chart.CHART / "files").rglob("*.*")}
    assert held == set(chart.copies())


def test_the_dashboards_fit_into_one_config_map() -> None:
    assert sum(len(text.encode()) for text in chart.copies().values()) < LARGEST_CONFIG_MAP_BYTES


def test_the_causes_by_which_nobody_scales_exist() -> None:
    (named,) = re.findall(
        r"join \"\|\" \(list(.*?)\)", (chart.CHART / "templates/scaledobject.yaml").read_text(), re.DOTALL
    )
    causes = re.findall(r'"(\w+)"', named)
    assert len(causes) > 1
    assert set(causes) <= set(VerdictCause)


def keys(table: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from keys(value, (*above, name))
        else:
            yield (*above, name)


def test_every_value_has_a_comment_that_explains_it() -> None:
    explained = {value.path for value in chart.values((chart.CHART / "values.yaml").read_text())}
    bare = [
        path for path in keys(VALUES) if not any(path[:length] in explained - {("config",)} for length in range(1, 9))
    ]
    assert bare == []


def test_every_setting_but_the_secret_ones_can_be_set_as_in_the_example() -> None:
    example = tomllib.loads((chart.ROOT / "config/example.toml").read_text())
    assert wrong({"config": example}) == ""
    for path, leaf in leaves(number="421"):
        settings: Any = "1" if leaf.unit else leaf.default
        for name in reversed(path):
            settings = {name: settings}
        refused = leaf.secret or path in chart.SET_BY_THE_CHART
        assert bool(re.search("Additional properties|do not match", wrong({"config": settings}))) is refused, path


@pytest.mark.parametrize(
    "values",
    [
        {"config": {"kafka": {"grup_id": "x"}}},
        {"config": {"api": {"server_key": "in the open"}}},
        {"config": {"shutdown": {"grace": "20 sec"}}},
        {"config": {"buffer": {"max_bytes": "256 Mi"}}},
        {"config": {"campaigns": {"otp": {"window": {"duration": 0}}}}},
        {"config": {"delivery": {"answers": {"5000": "refused"}}}},
        {"kind": "DaemonSet"},
        {"partitions": 0},
        {"shutdownMarginSeconds": 5},
        {"probes": {"readiness": {"path": "/"}}},
        {"image": {"digest": "latest"}},
        {"extraEnv": [{"name": "CAMPAIGN_KAFKA__GROUP_ID", "value": "x"}]},
        {"replicaCount": 3},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_the_schema(values: dict[str, Any]) -> None:
    assert wrong(values)
