"""The Dockerfile and the compose file: what they say is run and checked, as far as that goes without containers."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from ruamel.yaml import YAML

from consumer import __version__
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.topic_findings import FewCopiesInSync
from consumer.edge.kafka.topics import Expectations, examine
from tests.support.cluster import Cluster
from tests.support.topics import Topics

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "deploy/compose.yaml")


class Instruction(NamedTuple):
    stage: int
    name: str
    text: str


def instructions() -> Iterator[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE)
    stage = -1
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, rest = line.split(maxsplit=1)
            stage += name == "FROM"
            yield Instruction(stage, name, " ".join(rest.split()))


def only(name: str, *, stage: int = 1) -> str:
    (found,) = (each.text for each in instructions() if (each.stage, each.name) == (stage, name))
    return found


class Bare(NamedTuple):
    """A folder in which the image's build stage has been run. `/opt` and `/build` lie inside it."""

    folder: Path

    def inside(self, text: str) -> str:
        return text.replace("/opt/", f"{self.folder}/opt/")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run as the image would: its PATH, and no other environment than a container has."""
        environment = {"PATH": f"{self.folder}/opt/campaign-consumer/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    bare = Bare(tmp_path_factory.mktemp("image"))
    build, tools = bare.folder / "build", bare.folder / "tools"
    for folder in (build, tools, bare.folder / "opt"):
        folder.mkdir()
    (tools / "python").symlink_to(sys.executable)
    environment = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    for step in instructions():
        if step.stage == 0 and step.name == "COPY":
            *sources, target = step.text.split()
            for source in sources:
                _copy(ROOT / source, build / target)
        if step.stage == 0 and step.name == "RUN":
            done = subprocess.run(
                ["/bin/sh", "-c", bare.inside(step.text)],
                cwd=build, env=environment, capture_output=True, text=True, check=False, timeout=240,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    return bare


def _copy(source: Path, target: Path) -> None:
    """Do what COPY does: a folder's content goes into the target, a file into the target folder."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(exist_ok=True, parents=True)
        shutil.copy(source, target)


def test_the_images_own_steps_make_a_command_that_runs(bare: Bare) -> None:
    done = bare.run(*json.loads(only("ENTRYPOINT")), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


def test_the_images_command_runs_the_service(bare: Bare) -> None:
    done = bare.run(*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD")), "--help")
    assert done.returncode == 0, done.stderr


def test_the_image_holds_what_the_lock_names_and_no_tool_to_change_it(bare: Bare) -> None:
    done = bare.run(
        "python", "-c", "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    )
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "deploy/locks/run.txt").read_text(), flags=re.MULTILINE))
    installed = {name.replace("_", "-") for name in done.stdout.split()}
    assert "campaign-consumer" in installed
    assert installed - {"campaign-consumer"} <= {name.replace("_", "-") for name in locked}
    assert "pip" not in installed


class Health(BaseHTTPRequestHandler):
    status: ClassVar[HTTPStatus] = HTTPStatus.OK

    def do_GET(self) -> None:
        found = self.path == "/healthz"
        self.send_response(self.status if found else HTTPStatus.NOT_FOUND)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class calls it that
        """Say nothing."""


@pytest.mark.parametrize("status, healthy", [(HTTPStatus.OK, True), (HTTPStatus.SERVICE_UNAVAILABLE, False)])
def test_the_images_health_check_agrees_with_healthz(status: HTTPStatus, *, healthy: bool) -> None:
    class Answer(Health):
        pass

    Answer.status = status
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = _check_health(server.server_port)
        finally:
            server.shutdown()
            thread.join()
    assert (done.returncode == 0) is healthy


def test_the_images_health_check_fails_where_nobody_answers() -> None:
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        port = server.server_port
    assert _check_health(port).returncode != 0


def _check_health(port: int) -> subprocess.CompletedProcess[bytes]:
    command = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    assert command[0] == "python"
    environment = os.environ | {"CAMPAIGN_HTTP__PORT": str(port)}
    return subprocess.run([sys.executable, *command[1:]], env=environment, capture_output=True, check=False, timeout=30)


def test_the_image_does_not_run_as_root() -> None:
    assert int(only("USER").split(":")[0]) > 0


def test_everything_the_image_is_built_from_reaches_the_builder() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {
        source for step in instructions() if (step.stage, step.name) == (0, "COPY") for source in step.text.split()[:-1]
    }
    assert all(any(source == each or source.startswith(f"{each}/") for each in let_through) for source in sources)


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
