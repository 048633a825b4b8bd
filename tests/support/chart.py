"""Writes what the Helm chart takes from elsewhere: settings, comments, rules, dashboards, version. Never runs Helm.

`python -m tests.support.chart` writes all of it; `made()` says what the files must be.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML

from config.catalogue import CATALOGUE, Leaf, Table
from config.catalogue import Path as SettingPath
from config.durations import BYTES_IN, SECONDS_IN, Unit
from config.kinds import KeyRule
from consumer import __version__

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy/helm/campaign-consumer"
SET_BY_THE_CHART: Final = frozenset({("kafka", "group_instance_id")})
"""Settings that no value may set: each pod has one of its own."""
LONGEST_DEFAULT: Final = 60

PAGE_HEAD: Final = """\
# Helm chart: campaign-consumer

Made from `values.yaml` by `make generate`. What the service needs and how it behaves: [Running it](../../README.md).

## Install

Build the image (`deploy/Dockerfile`) and push it where the cluster finds it. Keep the secrets in a Secret of your own; each key is the
whole name of a setting in lower case:

```sh
kubectl create secret generic campaign-consumer --from-file=campaign_api__server_key=./server-key
```

Write down what is yours:

```yaml
# mine.yaml
config:
  kafka:
    bootstrap_servers: [kafka-0.kafka:9092, kafka-1.kafka:9092]
  api:
    url: https://eu.example.com/v2/sms/send/list
    field_names:
      scheduled_at: scheduleAt
  campaigns:
    421:
      delivery:
        expires_after: 5m
secretName: campaign-consumer
image:
  repository: registry.example.com/campaign-consumer
```

```sh
helm upgrade --install campaign-consumer deploy/helm/campaign-consumer --values mine.yaml
helm test campaign-consumer
```

## What is in it, and why

- **A Job before each install and upgrade** creates the topics that are missing and checks the configuration. If it fails, no pod is
  changed; `kubectl logs job/<name>-before-release --all-containers` says why. A rollback does not wait for it.
- **StatefulSet**: each pod keeps its name, and the name is its static membership in the group. A pod that restarts within
  `config.kafka.session_timeout` gets its partitions back, and nobody else's work is interrupted. The price: when a node dies, its
  partitions wait for that time. Settings stand in the pod itself, so a pod that restarts has those of its revision.
- **Probes**: startup and liveness ask `/healthz`, which fails only where a restart helps. Readiness asks `/readyz`, which fails whenever
  this instance cannot work, also because brokers or the platform are away. No Service sends requests to the pods, so readiness stops no
  work. It halts a rollout at the first pod that does not get to work, and shows in `kubectl get pods`.
- **Termination**: `terminationGracePeriodSeconds` is `config.shutdown.grace`, rounded up, and `shutdownMarginSeconds`. A pod that is
  killed earlier leaves requests of unknown outcome.
- **PodDisruptionBudget**: one pod at a time. Pods that are not ready may always be evicted, because while the platform is away none is
  ready.
- **Security**: user 10001, no privilege, no capability, `RuntimeDefault` seccomp, a root file system that cannot be written to, no token
  of the API server, no service links (a Service called `campaign-...` would put a variable into the pod that looks like a setting).
  It fits the Pod Security Standard `restricted`.
- **NetworkPolicy**: in from the namespace `monitoring`; out to DNS, the brokers' ports and the platform's. The Job before an install runs
  before there is a policy.
- **ScaledObject**: instances by lag in seconds, never more than partitions. While the platform, the brokers or an operator hold the
  service back, their number stays, because more instances would not help.
- **Rules and dashboards** are copies of `deploy/prometheus/rules.yaml` and `deploy/grafana/*.json`.

`helm test` runs `campaign-consumer check --connect`: brokers, topics, journals, platform and server key. Nobody is texted.

## Values

Settings of the service have names of their own: any of [SETTINGS.md](../../../config/SETTINGS.md) may stand under `config`, in lower
case, one level for each `__`. `values.schema.json` refuses what does not exist. Secrets are refused there; they come from `secretName`.

| value | default | meaning |
|---|---|---|
"""


class Value(NamedTuple):
    """One documented value of `values.yaml`."""

    path: tuple[str, ...]
    default: object
    meaning: str


def values(text: str) -> Iterator[Value]:
    """Yield each key of `values.yaml` that has a comment right above it. A blank line parts a comment from what follows."""
    loaded = YAML(typ="safe", pure=True).load(text)
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if said := re.fullmatch(r" *# (.*)", line):
            comment.append(said[1])
            continue
        if key := re.match(r"( *)([A-Za-z_]+):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                yield Value(tuple(path), _at(loaded, path), " ".join(comment))
        comment = []


def _at(tables: Any, path: list[str]) -> object:
    for name in path:
        tables = tables[name]
    return tables


def page() -> str:
    """Return the chart's README."""
    described = list(values((CHART / "values.yaml").read_text()))
    above = {value.path[:-1] for value in described}
    rows = [
        f"| `{'.'.join(value.path)}` | {'' if value.path in above else _default(value.default)} | {value.meaning} |\n"
        for value in described
    ]
    return PAGE_HEAD + "".join(rows)


def _default(value: object) -> str:
    text = json.dumps(value)
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "see `values.yaml`"


def schema() -> str:
    """Return `values.schema.json`: written by hand but for `config`, which has the service's settings."""
    written = json.loads((CHART / "values.schema.json").read_text())
    written["properties"]["config"] = _settings(CATALOGUE, ())
    return json.dumps(written, indent=2) + "\n"


def _settings(table: Table, above: SettingPath) -> dict[str, Any]:
    members = {
        name: _settings(node, (*above, name)) if isinstance(node, Table) else _setting(node)
        for name, node in table.members.items()
        if (*above, name) not in SET_BY_THE_CHART and not (isinstance(node, Leaf) and node.secret)
    }
    made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": members}
    if table.entry is not None and table.key_rule is not None:
        entry = _settings(table.entry, above) if isinstance(table.entry, Table) else _setting(table.entry)
        made["patternProperties"] = {_keys(table.key_rule): entry}
    return made


def _keys(rule: KeyRule) -> str:
    return f"^[1-9][0-9]{{{len(str(rule.lowest)) - 1},{len(str(rule.highest)) - 1}}}$"


def _setting(leaf: Leaf) -> dict[str, Any]:
    number = {"type": "number", "minimum": 0}
    forms: list[dict[str, Any]]
    match leaf:
        case Leaf(unit=Unit.SECONDS):
            forms = [number, {"type": "string", "pattern": _quantity("|".join(SECONDS_IN))}]
        case Leaf(unit=Unit.BYTES):
            units = "|".join("".join(f"[{letter.upper()}{letter.lower()}]" for letter in unit) for unit in BYTES_IN)
            forms = [number, {"type": "string", "pattern": _quantity(units)}]
        case Leaf(default=bool()):
            forms = [{"type": "boolean"}]
        case Leaf(default=int() | float()):
            forms = [number]
        case Leaf(default=tuple()):
            forms = [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]
        case _:
            forms = [{"type": "string"}, {"type": "number"}, {"type": "array"}]
    # null leaves a setting out: so a default of the chart is taken back
    return {"description": leaf.description, "anyOf": [*forms, {"type": "null"}]}


def _quantity(units: str) -> str:
    return rf"^\s*([Nn][Oo][Nn][Ee]|[0-9]+(\.[0-9]+)?\s*({units})?)\s*$"


def chart_file() -> str:
    """Return `Chart.yaml` with the service's version."""
    written = (CHART / "Chart.yaml").read_text()
    return re.sub(r"^appVersion: .*$", f"appVersion: {__version__}", written, flags=re.MULTILINE)


def copies() -> Mapping[str, str]:
    """Return the files that the chart holds copies of, by their place in it. Helm packages nothing from outside."""
    rules, dashboards = ROOT / "deploy/prometheus/rules.yaml", sorted((ROOT / "deploy/grafana").glob("*.json"))
    return {
        **({"files/rules.yaml": rules.read_text()} if rules.exists() else {}),
        **{f"files/dashboards/{dashboard.name}": dashboard.read_text() for dashboard in dashboards},
    }


def made() -> Mapping[str, str]:
    """Return what the chart's files must be, by their place in it."""
    return {"README.md": page(), "values.schema.json": schema(), "Chart.yaml": chart_file(), **copies()}


def write() -> None:
    """Write every file; a copy whose original is gone goes."""
    files = made()
    for old in (CHART / "files").rglob("*.*"):
        if str(old.relative_to(CHART)) not in files:
            old.unlink()
    for name, text in files.items():
        (CHART / name).parent.mkdir(parents=True, exist_ok=True)
        (CHART / name).write_text(text)


if __name__ == "__main__":
    write()
