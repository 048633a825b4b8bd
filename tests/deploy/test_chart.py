"""What Helm makes of the chart: valid for Kubernetes and the operators, and what the service needs to be run well."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from config import load
from config.durations import parse_duration
from tests.deploy.helm import (
    KUBERNETES,
    VALUES,
    Manifest,
    RefusedError,
    everything,
    minimal,
    of_kind,
    pod_specs,
    render,
    rendered,
    run_helm,
    workload,
)
from tests.support import chart
from tests.support.chart import CHART

CRDS = Path(sys.prefix) / "share/campaign-consumer-crds"
ON_CUSTOM_RESOURCES = {"monitoring.coreos.com/v1", "keda.sh/v1alpha1"}
CHART_VALUES: dict[str, Any] = YAML(typ="safe", pure=True).load(CHART / "values.yaml")
OTHERS: dict[str, Any] = YAML(typ="safe", pure=True).load(VALUES / "others.yaml")
SERVER_KEY = "campaign_api__server_key"


def environment(container: Manifest) -> dict[str, str]:
    """What the process gets to see; a field of the pod is its value's name."""
    return {
        each["name"]: each["value"] if "value" in each else each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in container["env"]
    }


def settings_of(container: Manifest, folder: Path, **secrets: str) -> Any:
    """The service's settings in this container."""
    for name, value in ({SERVER_KEY: "key"} | secrets).items():
        (folder / name).write_text(value)
    return load(None, environment(container) | {"CAMPAIGN_SECRETS_DIR": str(folder)})


# ------------------------------------------------------------------------------------------------ valid


@pytest.mark.parametrize("names", [(), ("minimal",), ("everything",)], ids=" ".join)
def test_helm_finds_nothing_wrong_with_the_chart(names: tuple[str, ...]) -> None:
    files = [argument for name in names for argument in ("--values", f"{VALUES}/{name}.yaml")]
    done = run_helm("lint", "--strict", "--kube-version", KUBERNETES, *files, str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


class Case(NamedTuple):
    names: tuple[str, ...]
    values: dict[str, Any]


SETS = {
    "minimal": Case(("minimal",), {}),
    "stateful": Case(("minimal",), {"kind": "StatefulSet", "replicas": 3}),
    "defaults": Case(
        ("minimal",), {name: CHART_VALUES[name] for name in CHART_VALUES if name not in {"config", "secretName"}}
    ),
    "everything": Case(("everything",), {}),
    "service monitor": Case(("everything",), {"monitor": {"enabled": True, "kind": "ServiceMonitor"}}),
    "closed": Case(("everything",), {"networkPolicy.ingressFrom": []}),
}


@pytest.mark.parametrize("case", list(SETS.values()), ids=list(SETS))
def test_every_manifest_is_valid_for_kubernetes_and_the_operators(case: Case) -> None:
    manifests = render(*case.names, **case.values)
    assert workload(manifests)
    for manifest in manifests:
        if manifest["apiVersion"] in ON_CUSTOM_RESOURCES:
            jsonschema.Draft202012Validator(schema_of(manifest["kind"])).validate(manifest)
        else:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a custom resource; a field that it does not know is a mistake."""
    for file in CRDS.glob(f"*_{kind.lower()}s.yaml"):
        definition = YAML(typ="safe").load(file)["spec"]
        if definition["names"]["kind"] == kind:
            (version,) = (each for each in definition["versions"] if each["storage"])
            schema: dict[str, Any] = _strict(version["schema"]["openAPIV3Schema"])
            return schema
    raise AssertionError(f"{CRDS} has no {kind}")


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(value) for name, value in schema.items()}
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        of_any_kind = made["properties"].keys() <= {"apiVersion", "kind", "metadata", "spec", "status"}
        if not made.get("x-kubernetes-preserve-unknown-fields") and not of_any_kind:
            made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize(
    "kind, path",
    [
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0)),
        ("ScaledObject", ("spec", "triggers", 0)),
        ("PrometheusRule", ("spec", "groups", 0)),
    ],
)
def test_a_field_that_an_operator_does_not_know_is_found(kind: str, path: tuple[str | int, ...]) -> None:
    manifest = of_kind(everything(), kind)
    place: Any = manifest
    for step in path:
        place = place[step]
    place["every"] = "15s"
    with pytest.raises(jsonschema.ValidationError, match="every"):
        jsonschema.Draft202012Validator(schema_of(kind)).validate(manifest)


# ------------------------------------------------------------------------------------------------ used, and refused


def leaves_of(table: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        if (
            isinstance(value, dict)
            and isinstance(_at(CHART_VALUES, (*above, name)), dict)
            and _at(CHART_VALUES, (*above, name))
        ):
            yield from leaves_of(value, (*above, name))
        else:
            yield (*above, name), value


def _at(table: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        table = table[name]
    return table


ON_TOP: dict[tuple[str, ...], dict[str, Any]] = {
    ("replicas",): {"autoscaling.enabled": False},
    ("image", "tag"): {"image.digest": ""},
}
"""Where a value counts only beside another."""


@pytest.mark.parametrize(
    "path, value", list(leaves_of(OTHERS)), ids=lambda each: ".".join(each) if isinstance(each, tuple) else ""
)
def test_every_value_is_used(path: tuple[str, ...], value: Any) -> None:
    beside = ON_TOP.get(path, {})
    assert render("everything", **beside) != render("everything", **beside, **{".".join(path): value})


def test_another_value_is_tried_for_each() -> None:
    assert [path for path, _ in leaves_of(OTHERS)] == [path for path, _ in leaves_of(CHART_VALUES)]


@pytest.mark.parametrize(
    "values, why",
    [
        ({"config.api.url": ""}, "config.api.url: set the platform's whole endpoint URL"),
        ({"config.kafka.bootstrap_servers": []}, "config.kafka.bootstrap_servers: name the brokers"),
        ({"secretName": ""}, "secretName: name a Secret with the key campaign_api__server_key"),
        ({"replicas": 13}, "replicas: 13 instances, 12 partitions"),
        ({"config.kafka.grup_id": "x"}, "grup_id"),
        ({"config.api.server_key": "in the open"}, "server_key"),
        ({"kind": "DaemonSet"}, "kind"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_wrong_value_is_refused_before_anything_is_changed(values: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=why.replace(".", r"\.")):
        minimal(**values)


# ------------------------------------------------------------------------------------------------ what it means


def test_the_service_understands_every_setting_as_it_was_meant(tmp_path: Path) -> None:
    (container,) = workload(everything())["spec"]["template"]["spec"]["containers"]
    settings = settings_of(container, tmp_path, campaign_kafka__sasl_password="password")
    assert settings.kafka.bootstrap_servers == ("kafka-0.kafka:9092", "kafka-1.kafka:9094")
    assert settings.kafka.events_topics == ("contact-events", "otp-events")
    assert settings.kafka.max_event_age_seconds == 36 * 3600
    assert settings.window.duration_seconds == 1.5
    assert settings.deduplication.max_entries == 2_000_000
    assert settings.delivery.answers == {500: "not_delivered"}
    assert set(settings.campaigns) == {421, 2**63 - 1}
    assert settings.campaigns[2**63 - 1].delivery.expires_after_seconds == 300
    assert (settings.http.host, settings.http.port) == ("::", 9500)
    assert settings.kafka.group_instance_id == "metadata.name"


def test_a_secret_is_read_as_kubernetes_mounts_it(tmp_path: Path) -> None:
    """Links into a folder of a moment, and beside the settings whatever else the Secret holds."""
    (moment := tmp_path / "..2026_11_24_15_40_19.1234567890").mkdir()
    for name, value in {"campaign_http__token": "token", "ca.pem": "a certificate"}.items():
        (moment / name).write_text(value)
        (tmp_path / name).symlink_to(f"..data/{name}")
    (tmp_path / "..data").symlink_to(moment.name)
    (container,) = workload(minimal())["spec"]["template"]["spec"]["containers"]
    token = settings_of(container, tmp_path).http.token
    assert token.get_secret_value() == "token"


@pytest.mark.parametrize("name", ["minimal", "everything"])
def test_check_accepts_the_environment_of_every_container(name: str, tmp_path: Path) -> None:
    for key in (SERVER_KEY, *(["campaign_kafka__sasl_password"] if name == "everything" else [])):
        (tmp_path / key).write_text("secret\n")
    for spec in pod_specs(rendered(name)):
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            seen = environment(container)
            assert seen["CAMPAIGN_SECRETS_DIR"] == container["volumeMounts"][0]["mountPath"]
            done = subprocess.run(
                [sys.executable, "-m", "consumer", "check"],
                env={"PATH": os.environ["PATH"]} | seen | {"CAMPAIGN_SECRETS_DIR": str(tmp_path)},
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")


def test_only_pods_that_keep_their_name_are_static_members() -> None:
    (static,) = workload(everything())["spec"]["template"]["spec"]["containers"]
    (other,) = workload(minimal())["spec"]["template"]["spec"]["containers"]
    assert environment(static)["CAMPAIGN_KAFKA__GROUP_INSTANCE_ID"] == "metadata.name"
    assert "CAMPAIGN_KAFKA__GROUP_INSTANCE_ID" not in environment(other)


def test_nothing_but_the_workload_takes_a_members_name() -> None:
    for manifest in everything():
        if manifest["kind"] in {"Job", "Pod"}:
            assert "GROUP_INSTANCE_ID" not in json.dumps(manifest)


@pytest.mark.parametrize("grace", [20, 20.5, "20", "20s", "250ms", "25500ms", "1.5m", "2m", "1h", " 30 s "])
def test_the_pod_gets_ten_seconds_more_than_the_services_grace(grace: float | str) -> None:
    spec = workload(minimal(**{"config.shutdown.grace": grace}))["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == math.ceil(parse_duration(grace)) + 10


def test_no_pod_may_do_more_than_it_must() -> None:
    specs = [*pod_specs(everything()), *pod_specs(minimal())]
    assert len(specs) == 3 + 2
    for spec in specs:
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_service_would_not_start_with_the_links_of_a_service_of_its_name(tmp_path: Path) -> None:
    """So the pods have none."""
    (container,) = workload(minimal())["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "CAMPAIGN_CONSUMER_SERVICE_HOST", "value": "10.0.0.1"})
    with pytest.raises(Exception, match="CAMPAIGN_CONSUMER_SERVICE_HOST"):
        settings_of(container, tmp_path)


def test_probes_ask_where_a_restart_helps_and_readiness_where_somebody_should_look() -> None:
    (container,) = workload(everything())["spec"]["template"]["spec"]["containers"]
    asked = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    (port,) = container["ports"]
    assert (port["name"], port["containerPort"]) == ("http", 9500)
    assert all(container[f"{kind}Probe"]["httpGet"]["port"] == "http" for kind in asked)


def test_never_more_instances_than_partitions() -> None:
    scaled = of_kind(everything(), "ScaledObject")["spec"]
    assert scaled["maxReplicaCount"] == 24
    assert scaled["minReplicaCount"] <= scaled["maxReplicaCount"]
    assert scaled["scaleTargetRef"]["name"] == workload(everything())["metadata"]["name"]
    assert "replicas" not in workload(everything())["spec"], "two would set it"
    few = of_kind(render("everything", partitions=1), "ScaledObject")["spec"]
    assert (few["minReplicaCount"], few["maxReplicaCount"]) == (1, 1)


def test_the_network_policy_lets_out_to_the_ports_that_are_configured() -> None:
    egress = of_kind(everything(), "NetworkPolicy")["spec"]["egress"]
    ports = [{each["port"] for each in rule["ports"]} for rule in egress]
    assert ports == [{53}, {9092, 9094}, {8443}, {4318}]
    plain = of_kind(minimal(networkPolicy={"enabled": True}), "NetworkPolicy")["spec"]["egress"]
    assert [{each["port"] for each in rule["ports"]} for rule in plain] == [{53}, {9092}, {443}]


def test_every_selector_finds_the_services_pods_and_no_others() -> None:
    manifests = everything()
    labels = workload(manifests)["spec"]["template"]["metadata"]["labels"]
    job = of_kind(manifests, "Job")["spec"]["template"]["metadata"]["labels"]
    test = of_kind(manifests, "Pod")["metadata"]["labels"]
    for kind in ("StatefulSet", "PodDisruptionBudget", "PodMonitor"):
        wanted = of_kind(manifests, kind)["spec"]["selector"]["matchLabels"].items()
        assert wanted <= labels.items()
        assert not wanted <= job.items()
        assert not wanted <= test.items()
    assert of_kind(manifests, "Service")["spec"]["selector"].items() <= labels.items()
    for pod in (labels, job, test):
        assert of_kind(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= pod.items()
    assert of_kind(manifests, "StatefulSet")["spec"]["serviceName"] == of_kind(manifests, "Service")["metadata"]["name"]


def test_a_service_monitor_finds_the_service_and_no_other_does() -> None:
    manifests = render(*SETS["service monitor"].names, **SETS["service monitor"].values)
    wanted = of_kind(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    assert wanted <= of_kind(manifests, "Service")["metadata"]["labels"].items()


def test_the_job_comes_before_the_release_and_makes_topics_for_every_partition() -> None:
    job = of_kind(everything(), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert [each["args"] for each in spec["initContainers"]] == [["topics", "--partitions", "24"]]
    assert [each["args"] for each in spec["containers"]] == [["check", "--connect"]]
    assert spec["volumes"][0]["secret"]["secretName"] == "admin-keys"
    assert "serviceAccountName" not in spec, "the release's own is not there yet"


def test_rules_and_dashboards_are_those_of_the_checkout() -> None:
    manifests = everything()
    rules = YAML(typ="safe").load((chart.ROOT / "deploy/prometheus/rules.yaml").read_text())
    assert of_kind(manifests, "PrometheusRule")["spec"] == rules
    dashboards = of_kind(manifests, "ConfigMap")["data"]
    assert dashboards == {file.name: file.read_text() for file in (chart.ROOT / "deploy/grafana").glob("*.json")}
    assert dashboards


def test_links_to_the_runbook_lead_where_people_read_it() -> None:
    manifests = render("everything", runbookUrl="https://git.example.org/deploy")
    for made in (of_kind(manifests, "PrometheusRule")["spec"], of_kind(manifests, "ConfigMap")["data"]):
        text = json.dumps(made)
        assert "https://git.example.org/deploy/RUNBOOK.md#campaign" in text
        assert "runbooks.example.com" not in text
