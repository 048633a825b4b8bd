"""What the chart would run is run here: the Job before a release, then a pod, with a broker and the platform's sandbox."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from consumer.demo.processes import free_port
from tests.deploy.helm import Manifest, of_kind, render, workload
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

KEY = "chart-key"
POD = "release-campaign-consumer-0"


@asynccontextmanager
async def started(arguments: list[str], environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the image's command with these arguments, and nothing in the environment that a container would not have."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer", *arguments),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def environment_of(container: Manifest, secrets: Path) -> dict[str, str]:
    """What the container would have; the Secret is mounted elsewhere."""
    seen = {each["name"]: each.get("value", POD) for each in container["env"]}
    return seen | {"CAMPAIGN_SECRETS_DIR": str(secrets)}


async def test_the_job_makes_topics_and_the_pod_gets_ready_and_ends_within_its_grace(
    kafka: Cluster, tmp_path: Path
) -> None:
    group, port = f"chart-{uuid.uuid4().hex[:12]}", free_port()
    (tmp_path / "campaign_api__server_key").write_text(KEY)
    async with started(["sandbox", "--port", "0", "--server-key", KEY], {}) as platform:
        assert platform.stdout is not None
        config = {
            "kafka": {
                "bootstrap_servers": kafka.bootstrap_servers.split(","),
                "group_id": group,
                "events_topics": [group],
                "results_topic": f"{group}-results",
                "dead_letter_topic": f"{group}-dead",
            },
            "api": {"url": (await platform.stdout.readline()).decode().split()[-1]},
            "http": {"port": port},
        }
        manifests = render(
            "minimal", kind="StatefulSet", beforeRelease={"enabled": True, "connect": True}, config=config
        )
        job = of_kind(manifests, "Job")["spec"]["template"]["spec"]
        for container in [*job["initContainers"], *job["containers"]]:
            async with started(container["args"], environment_of(container, tmp_path)) as step:
                _, complaints = await step.communicate()
                assert (step.returncode, complaints.decode()) == (0, ""), container["args"]

        spec = workload(manifests)["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        async with started(container["args"], environment_of(container, tmp_path)) as pod:
            await until_probed(container, port)
            pod.send_signal(signal.SIGTERM)
            async with asyncio.timeout(spec["terminationGracePeriodSeconds"]):
                said, _ = await pod.communicate()
            assert pod.returncode == 0, said.decode()


async def until_probed(container: Manifest, port: int) -> None:
    """Ask as the kubelet does, the startup's probe first; each gets as long as it has there."""
    async with httpx.AsyncClient() as client:

        async def succeeds(probe: dict[str, Any]) -> bool:
            try:
                answer = await client.get(f"http://127.0.0.1:{port}{probe['httpGet']['path']}")
            except httpx.TransportError:
                return False
            return answer.is_success

        startup = container["startupProbe"]
        seconds = startup["periodSeconds"] * startup["failureThreshold"]
        await eventually(lambda: succeeds(startup), within_seconds=seconds, what="the startup probe succeeds")
        assert await succeeds(container["livenessProbe"])
        ready = container["readinessProbe"]
        await eventually(lambda: succeeds(ready), within_seconds=60, what="the readiness probe succeeds")
