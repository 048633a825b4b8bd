"""The Dockerfile: its steps are run in a bare folder, and what they install is run as the image would."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar, NamedTuple

import httpx
import pytest

from consumer import __version__
from consumer.demo.processes import free_port
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]


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

    def environment(self, **more: str) -> dict[str, str]:
        """What a container has, and nothing else: what the image sets, and `more`."""
        stated = dict(each.split("=", maxsplit=1) for each in shlex.split(only("ENV")))
        path = self.inside(stated.pop("PATH")).replace("$PATH", "/usr/bin:/bin")
        return {"PATH": path, "HOME": "/nonexistent", **stated, **more}

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image would, to its end."""
        environment = self.environment(**more)
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    @asynccontextmanager
    async def running(self, *command: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a command as the image would; at the end it gets the image's signal, and has to end well."""
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=self.environment(**more), stdout=asyncio.subprocess.PIPE
        )
        try:
            yield process
            process.send_signal(signal.Signals[only("STOPSIGNAL")])
            async with asyncio.timeout(40):
                await process.communicate()
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def files(self) -> set[Path]:
        """Everything that the image holds."""
        return set(self.folder.rglob("*"))


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


async def test_what_the_image_installs_starts_is_healthy_and_ends_and_writes_nothing(
    bare: Bare, kafka: Cluster
) -> None:
    """With the image's own commands: topics are created, the configuration is checked, the service runs."""
    installed, group, port = bare.files(), f"image-{uuid.uuid4().hex[:12]}", free_port()
    entry = json.loads(only("ENTRYPOINT"))
    async with bare.running(*entry, "sandbox", "--port", "0", "--server-key", "image-key") as platform:
        assert platform.stdout is not None
        settings = {
            "CAMPAIGN_API__SERVER_KEY": "image-key",
            "CAMPAIGN_API__URL": (await platform.stdout.readline()).decode().split()[-1],
            "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "CAMPAIGN_KAFKA__GROUP_ID": group,
            "CAMPAIGN_KAFKA__EVENTS_TOPICS": group,
            "CAMPAIGN_KAFKA__RESULTS_TOPIC": f"{group}-results",
            "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC": f"{group}-dead",
            "CAMPAIGN_HTTP__PORT": str(port),
        }
        for command in (("topics", "--partitions", "2"), ("check", "--connect")):
            done = await asyncio.to_thread(bare.run, *entry, *command, **settings)
            assert (done.returncode, done.stderr) == (0, "")

        health = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
        async with bare.running(*entry, *json.loads(only("CMD")), **settings), httpx.AsyncClient() as client:

            async def healthy() -> bool:
                return (await asyncio.to_thread(bare.run, *health, **settings)).returncode == 0

            async def ready() -> bool:
                return (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success

            await eventually(healthy, within_seconds=60, what="the image's health check succeeds")
            await eventually(ready, within_seconds=60, what="/readyz succeeds")
    assert bare.files() == installed


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
