"""The rules of deploy/prometheus as values, and the same ones for people in a hurry. Runs no Prometheus."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULES_TEST = ROOT / "deploy" / "prometheus" / "rules_test.yaml"
RUNBOOK_URL = "https://runbooks.example.com/campaign-consumer/RUNBOOK.md#"
"""What stands before the heading in the rules as they are shipped."""

_DURATION = r"\d+(?:ms|[smhd])"


@cache
def read(path: Path) -> dict[str, Any]:
    """Return what stands in a YAML file; nobody changes it."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return document


def rules() -> Iterator[dict[str, Any]]:
    """Yield every rule, recording or alerting, in the order of the file."""
    for group in read(RULES)["groups"]:
        yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    """Return every rule that may fire; several may share a name, and their `case` tells them apart."""
    return [rule for rule in rules() if "alert" in rule]


def names_in(expression: str) -> set[str]:
    """Return the names of our metrics and recordings in an expression."""
    return set(re.findall(r"\bcampaign[_:][a-z0-9_:]+", re.sub(r'"[^"]*"', "", expression)))


SOON = {"1m", "2m"}
"""How long a trouble lasts before somebody is called for it; other alerts give it more time to be explained."""


def quickened(*, window: str, wait: str, long_wait: str) -> dict[str, Any]:
    """Return the rules with every range and offset `window` long, and with `wait` or `long_wait` for each `for`."""
    document = copy.deepcopy(read(RULES))
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(rf"(\[|offset ){_DURATION}", rf"\g<1>{window}", rule["expr"])
            if "for" in rule:
                rule["for"] = wait if rule["for"] in SOON else long_wait
    return document
