"""The README is true: its commands run as they stand there, its examples are real, the pages behind it are generated."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from packaging.requirements import Requirement

import config.reference
import schemas.reference
from consumer.cli.main import COMMANDS
from consumer.demo.processes import free_port
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.topics import Expectations, create_topics
from consumer.edge.telemetry import metrics_page
from schemas.json_schema import json_schema
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.topics import Topics

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPERATORS = (ROOT / "deploy/README.md").read_text()
NOT_HERE = frozenset({"make test", "campaign-consumer demo --events 1000 --keep"})
"""Running the whole suite is what is going on, and its tests of the demo try `--keep`."""
SERVERS = {"campaign-consumer sandbox": "/v1/status", "campaign-consumer run": "/readyz"}
"""Commands that stay in their terminal, and the path that answers once they are ready."""
GENERATED_PAGES: Mapping[str, Callable[[], str]] = {
    "config/SETTINGS.md": config.reference.page,
    "deploy/METRICS.md": metrics_page.page,
    "schemas/RESULTS.md": schemas.reference.page,
}


def fenced(after: str, language: str) -> str:
    found = re.search(rf"<!-- {after} -->\n```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert found is not None, after
    return found[1]


class Block(NamedTuple):
    """The commands of one ```console block, and the heading that it stands under."""

    heading: str
    commands: Sequence[str]


def blocks() -> list[Block]:
    found: list[Block] = []
    heading = ""
    for part in re.finditer(
        r"^#+ ([^\n]*)$|^```console\n(.*?)^```", README + OPERATORS, flags=re.MULTILINE | re.DOTALL
    ):
        if part[1]:
            heading = part[1]
        else:
            lines = part[2].splitlines()
            assert all(line.startswith("$ ") for line in lines), lines
            found.append(Block(heading, [line.removeprefix("$ ") for line in lines]))
    return found


EVERY_COMMAND = [command for block in blocks() for command in block.commands]
ON_A_CLUSTER = [block for block in blocks() if block.heading == "Run it on your cluster"]
NEEDS_A_SERVICE = "Stopping a campaign"
"""Has a test of its own: `tests/campaigns/test_page.py`."""
READS_RESULTS = "Finding results"
ALONE = [
    command
    for block in blocks()
    for command in block.commands
    if block not in ON_A_CLUSTER
    and block.heading not in {NEEDS_A_SERVICE, READS_RESULTS}
    and command not in NOT_HERE
    and not command.startswith("export PATH=")
]


def environment(**more: str) -> Mapping[str, str]:
    """Return what a person's shell has after the README's `export PATH=...`."""
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(("CAMPAIGN_", "PYTEST_"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


@asynccontextmanager
async def relayed(port: int, target: int) -> AsyncIterator[bytearray]:
    """Pass on what comes to `port`, and its answers; yield what was asked."""
    heard = bytearray()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, copy: bytearray | None) -> None:
        while data := await source.read(65_536):
            if copy is not None:
                copy += data
            sink.write(data)
            await sink.drain()
        sink.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", target)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pump(reader, before, heard))
            tasks.create_task(pump(behind, writer, None))

    async with await asyncio.start_server(relay, "127.0.0.1", port):
        yield heard


async def shell(command: str, *, cwd: Path, **more: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "/bin/bash", "-c", command,
        cwd=cwd, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(240):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"{command}\n{said.decode()}"
    return said.decode()


@asynccontextmanager
async def serving(command: str, url: str, *, cwd: Path, **more: str) -> AsyncIterator[None]:
    """Run a command in a terminal of its own until it is no longer needed; then Ctrl-C, and it must end well."""
    process = await asyncio.create_subprocess_exec(
        "/bin/bash", "-c", f"exec {command}",
        cwd=cwd, env=environment(**more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    async def answers() -> bool:
        assert process.returncode is None, f"{command} ended with {process.returncode}"
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                return (await http.get(url)).is_success
            except httpx.TransportError:
                return False

    try:
        await eventually(answers, within_seconds=60, what=f"{command} answers at {url}")
        yield
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(40):
            assert await process.wait() == 0, command
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("file, page", GENERATED_PAGES.items())
def test_a_generated_page_is_what_the_code_says(file: str, page: Callable[[], str]) -> None:
    assert (ROOT / file).read_text() == page(), "run: make generate"


@pytest.mark.parametrize("file", GENERATED_PAGES)
def test_the_readme_leads_to_a_generated_page(file: str) -> None:
    assert f"({file})" in README


def test_every_command_is_in_the_command_table_and_no_other() -> None:
    described = re.findall(r"^\| `campaign-consumer (\S+)` \|", OPERATORS, flags=re.MULTILINE)
    assert sorted(described) == sorted(COMMANDS)


def test_every_dependency_is_explained_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    stated = [*project["dependencies"], *extras["demo"], *extras["otel"]]
    needed = {Requirement(each).name for each in stated}
    table = (ROOT / "consumer/ARCHITECTURE.md").read_text().partition("## What it is built on")[2]
    explained = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    assert explained - {"demo", "otel"} == needed


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len(README.splitlines()) <= 250


def test_the_page_about_events_has_every_field_and_says_which_are_required() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (\w+) \|", (ROOT / "schemas/README.md").read_text(), flags=re.MULTILINE))
    event = json_schema("event")
    inner = {"contact": event["$defs"]["Contact"], "send": event["$defs"]["SendOptions"]}
    fields = {*event["properties"], *(f"{name}.{field}" for name in inner for field in inner[name]["properties"])}
    assert rows == {field: "required" if field in event["required"] else "optional" for field in fields}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:deploy|config|schemas)/[\w./-]*)`", README))))
def test_what_the_readme_points_to_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("command", [each for each in ALONE if not each.startswith("campaign-consumer sandbox --port")])
async def test_a_command_runs_as_it_stands_in_the_readme(command: str) -> None:
    said = await shell(command, cwd=ROOT)
    assert said.strip()


@pytest.mark.parametrize("command", [each for each in ALONE if each.startswith("campaign-consumer sandbox --port")])
async def test_a_sandbox_with_faults_starts_as_it_stands_in_the_readme(command: str, tmp_path: Path) -> None:
    port = str(free_port())
    async with serving(command.replace("8080", port), f"http://127.0.0.1:{port}/v1/status", cwd=tmp_path):
        pass


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "command", [each for block in blocks() if block.heading == READS_RESULTS for each in block.commands]
)
async def test_results_are_looked_for_as_it_stands_in_the_page(
    command: str, kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    """All but following them, which ends with Ctrl-C alone."""
    names = {
        "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CAMPAIGN_KAFKA__RESULTS_TOPIC": await topics.create("results"),
    }
    await shell(command.replace(" --follow", ""), cwd=tmp_path, **names)


async def test_the_way_onto_a_cluster_of_yours_works_as_it_stands_in_the_readme(kafka: Cluster, tmp_path: Path) -> None:
    """Only the addresses differ, and the topics' names, since the suite's cluster has others' topics on it."""
    ports = {"8080": str(free_port()), "9464": str(free_port())}
    prefix = f"readme-{tmp_path.parent.name}-{ports['8080']}-"
    names = {
        "CAMPAIGN_HTTP__PORT": ports["9464"],
        "CAMPAIGN_KAFKA__GROUP_ID": prefix,
        "CAMPAIGN_KAFKA__EVENTS_TOPICS": f"{prefix}contact-events",
        "CAMPAIGN_KAFKA__RESULTS_TOPIC": f"{prefix}campaign-send-results",
        "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC": f"{prefix}contact-events-dead-letter",
    }
    await shell(fenced("event", "sh"), cwd=tmp_path)
    here = {"localhost:9092": kafka.bootstrap_servers, **ports}
    first, *terminals = [[substitute(command, here) for command in block.commands] for block in ON_A_CLUSTER]
    exports = [command.removeprefix("export ").partition("=") for command in first if command.startswith("export ")]
    names |= {name: value for name, _, value in exports}
    for command in first[len(exports) :]:
        assert "brokers" in await shell(command, cwd=tmp_path, **names)
    (sandbox,), (run,), inspect = terminals
    platform, service = f"http://127.0.0.1:{ports['8080']}", f"http://127.0.0.1:{ports['9464']}"
    async with (
        serving(sandbox, f"{platform}/v1/status", cwd=tmp_path, **names),
        serving(run, f"{service}/readyz", cwd=tmp_path, **names),
    ):
        for command in inspect:
            await shell(command, cwd=tmp_path, **names)

        async def texted() -> bool:
            async with httpx.AsyncClient(trust_env=False) as http:
                return bool((await http.get(f"{platform}/sandbox/summary")).json()["accepted"] > 900)

        await eventually(texted, within_seconds=60, what="the platform has accepted the contacts")


@pytest.mark.timeout(400)
async def test_the_upstream_service_gets_the_result_that_the_readme_shows(kafka: Cluster, tmp_path: Path) -> None:
    port, platform, relay = free_port(), free_port(), free_port()
    await create_topics(
        KafkaConnection(bootstrap_servers=tuple(kafka.bootstrap_servers.split(","))),
        Expectations(
            journals={"contact-events": "contact-events-journal"},
            results="campaign-send-results",
            dead_letter="contact-events-dead-letter",
            control="campaign-consumer-control",
        ),
    )
    names = {
        "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CAMPAIGN_API__URL": f"http://127.0.0.1:{relay}/v2/sms/send/list",
        "CAMPAIGN_API__SERVER_KEY": "sandbox-key",
        "CAMPAIGN_HTTP__PORT": str(port),
    }
    await shell(fenced("event", "sh"), cwd=tmp_path)
    (tmp_path / "upstream.py").write_text(fenced("upstream", "python"))
    sandbox = f"campaign-consumer sandbox --port {platform}"
    async with (
        serving(sandbox, f"http://127.0.0.1:{platform}/v1/status", cwd=tmp_path),
        relayed(relay, platform) as heard,
        serving("campaign-consumer run", f"http://127.0.0.1:{port}/readyz", cwd=tmp_path, **names),
    ):
        said = await shell(f"python upstream.py {kafka.bootstrap_servers} < event.json", cwd=tmp_path)
        (tmp_path / "event.json").write_text("{}")  # its result bears no event ID to be known by
        wrong = json.loads(await shell(f"python upstream.py {kafka.bootstrap_servers} < event.json", cwd=tmp_path))
    assert (wrong["status"], wrong["detail"][:17]) == ("invalid", "eventId: required")
    assert shape(json.loads(said)) == shape(json.loads(fenced("result", "json")))
    head, _, body = fenced("request", "http").strip().partition("\n\n")
    heard_head, _, heard_body = bytes(heard).decode().partition("\r\n\r\n")
    assert set(head.splitlines()) <= set(heard_head.split("\r\n"))
    assert heard_body == body


def substitute(command: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        command = command.replace(old, new)
    return command


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs from run to run: identities, instants, places."""
    patterns = {name: re.sub(r"[0-9a-f]", "x", result[name]) for name in ("resultId", "sendId")}
    instants = {name: re.sub(r"\d", "0", result[name])[:10] for name in result if name.endswith("At")}
    changing = {"source": sorted(result["source"]), "response": result["response"] | {"id": None}}
    return result | patterns | instants | changing


def test_there_is_a_shell_for_the_commands() -> None:
    assert shutil.which("bash"), "make needs it, too"
