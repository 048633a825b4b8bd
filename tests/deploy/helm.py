"""Renders the chart, and finds things in what came out. Judges nothing."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.chart import CHART

HELM = Path(sys.prefix) / "bin/helm"
VALUES = Path(__file__).parent / "values"
KUBERNETES = "1.34"
"""The schemas, and the cluster that Helm is told of."""

Manifest = dict[str, Any]


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False, timeout=60)


class RefusedError(AssertionError):
    """Helm did not render."""


def render(*names: str, **values: Any) -> list[Manifest]:
    """The manifests for these files of values, with further values on top."""
    files = [argument for name in names for argument in ("--values", f"{VALUES}/{name}.yaml")]
    more = [argument for name, value in values.items() for argument in ("--set-json", f"{name}={json.dumps(value)}")]
    done = run_helm(
        "template", "release", str(CHART), "--namespace", "ours", "--kube-version", KUBERNETES, *files, *more
    )
    if done.returncode:
        raise RefusedError(done.stderr)
    return [manifest for manifest in YAML(typ="safe").load_all(done.stdout) if manifest is not None]


@cache
def rendered(*names: str) -> list[Manifest]:
    """The same, once for all; nobody changes it."""
    return render(*names)


def everything() -> list[Manifest]:
    return copy.deepcopy(rendered("everything"))


def minimal(**values: Any) -> list[Manifest]:
    return render("minimal", **values) if values else copy.deepcopy(rendered("minimal"))


def of_kind(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def workload(manifests: list[Manifest]) -> Manifest:
    (found,) = (manifest for manifest in manifests if manifest["kind"] in {"StatefulSet", "Deployment"})
    return found


def pod_specs(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            yield manifest["spec"]
        elif "template" in manifest["spec"] if "spec" in manifest else False:
            yield manifest["spec"]["template"]["spec"]
