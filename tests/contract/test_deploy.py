"""The compose file and the commands that create topics: what they say is checked, as far as that goes without containers."""

import re
import uuid
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.topic_findings import FewCopiesInSync
from consumer.edge.kafka.topics import Expectations, examine
from tests.support.cluster import Cluster
from tests.support.topics import Topics

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "deploy/compose.yaml")


def test_every_service_that_is_waited_for_exists_and_can_be_waited_for() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}"


def test_every_file_that_is_mounted_is_there() -> None:
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / "deploy" / source).exists(), name
            else:
                assert source in COMPOSE["volumes"], name


def test_prometheus_scrapes_the_service_and_tells_its_group() -> None:
    (job,) = YAML(typ="safe", pure=True).load(ROOT / "deploy/prometheus/prometheus.yaml")["scrape_configs"]
    (static,) = job["static_configs"]
    (target,) = static["targets"]
    host, _, port = target.partition(":")
    published = COMPOSE["services"][host]["ports"]
    assert f"127.0.0.1:{port}:{port}" in published
    assert static["labels"] == {"group": "campaign-consumer"}


def test_grafana_looks_where_prometheus_is() -> None:
    (source,) = YAML(typ="safe", pure=True).load(ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml")[
        "datasources"
    ]
    host = source["url"].removeprefix("http://").partition(":")[0]
    assert host in COMPOSE["services"]
    (provider,) = YAML(typ="safe", pure=True).load(ROOT / "deploy/grafana/provisioning/dashboards/files.yaml")[
        "providers"
    ]
    mounted = {volume.split(":")[1] for volume in COMPOSE["services"]["grafana"]["volumes"]}
    assert {f"{provider['options']['path']}/{name}" for name in ("campaign-consumer.json", "upstream.json")} <= mounted


def test_the_service_gets_ten_seconds_more_than_its_grace_before_it_is_killed() -> None:
    service = COMPOSE["services"]["service"]
    grace = int(service["environment"]["CAMPAIGN_SHUTDOWN__GRACE"].removesuffix("s"))
    assert int(service["stop_grace_period"].removesuffix("s")) >= grace + 10


def test_compose_makes_every_topic_with_as_many_partitions_as_its_journal() -> None:
    (script,) = COMPOSE["services"]["topics"]["command"]
    assert set(re.findall(r"^\s*create (\S+)", script, flags=re.MULTILINE)) == {
        "contact-events",
        "contact-events-journal",
        "campaign-send-results",
        "contact-events-dead-letter",
        "campaign-consumer-control",
    }
    assert "cleanup.policy=delete" in script
    assert re.search(r"create campaign-consumer-control --partitions 1 .*cleanup.policy=compact", script)


async def test_the_topics_that_operators_are_told_to_create_are_fit_for_the_service(
    kafka: Cluster, topics: Topics
) -> None:
    """As they stand in the page, save for the replication, which one broker cannot have."""
    page = (ROOT / "deploy/README.md").read_text().replace("\\\n", " ")
    commands = re.findall(
        r"^kafka-topics.sh .* --create --topic (\S+)\s+--partitions (\d+)(.*)$", page, flags=re.MULTILINE
    )
    prefix = f"{uuid.uuid4().hex[:8]}-"
    for name, partitions, rest in commands:
        settings = dict(setting.split("=") for setting in re.findall(r"--config (\S+)", rest))
        settings["min.insync.replicas"] = "1"
        await topics.create_named(prefix + name, partitions=int(partitions), settings=settings)
    found = await examine(
        KafkaConnection(bootstrap_servers=tuple(kafka.bootstrap_servers.split(","))),
        Expectations(
            journals={f"{prefix}contact-events": f"{prefix}contact-events-journal"},
            results=f"{prefix}campaign-send-results",
            dead_letter=f"{prefix}contact-events-dead-letter",
            control=f"{prefix}campaign-consumer-control",
        ),
    )
    assert {type(finding) for finding in found} <= {FewCopiesInSync}
