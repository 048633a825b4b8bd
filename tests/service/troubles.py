"""Puts a running service into trouble in five ways, one after the other, and asks everybody how it stands. Breaks a broker.

Whoever is asked names the same causes, and nobody once it is over. A voice that needs more than the service itself, as a
browser, is handed in.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson
from prometheus_client.parser import text_string_to_metric_families

from consumer.core.journal.takeover import OUR_MARK
from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.demo.surroundings import plain_environment
from consumer.sandbox.client import SandboxClient
from consumer.sandbox.server import SEND_PATH, Sandbox
from tests.service.events import urgent, written
from tests.service.harness import Instance, Stage, stage_on
from tests.service.test_inspect import inspect, move_the_group, ran, until_stopped
from tests.support.eventually import eventually

SECONDS = 60.0
KNOWN, UNKNOWN = 7, 421
"""Campaigns: one that the platform knows all the time, and one that it does not know for a while."""

GRADES = ("good", "warn", "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How the service stands, as somebody says it."""

    grade: str
    causes: frozenset[str]

    @classmethod
    def told(cls, grade: str, causes: Iterable[str]) -> Self:
        """What is named here, but for lateness: that comes with time, whatever the trouble is."""
        return cls(grade=grade, causes=frozenset(causes) - {"behind"})


Voice = Callable[[Instance], Awaitable[Truth]]


async def status_says(service: Instance) -> Truth:
    return _truth_of((await service.status())["verdict"])


def _truth_of(verdict: Mapping[str, Any]) -> Truth:
    return Truth.told(verdict["grade"], [one["cause"] for one in verdict["causes"]])


async def metrics_say(service: Instance) -> Truth:
    families = text_string_to_metric_families((await service.get("/metrics")).text)
    samples = [sample for family in families if "_verdict_" in family.name for sample in family.samples]
    (grade,) = [sample.value for sample in samples if sample.name == "campaign_verdict_grade"]
    return Truth.told(
        GRADES[int(grade)], [sample.labels["cause"] for sample in samples if sample.labels and sample.value]
    )


async def top_says(service: Instance) -> Truth:
    code, out, err = await ran("top", "--once", "--json", "--url", service.url, environment=plain_environment())
    assert (code, err) == (0, "")
    return _truth_of(orjson.loads(out)["verdict"])


VOICES: tuple[Voice, ...] = (status_says, metrics_say, top_says)
"""Everybody who says how the service stands, in causes; those who are asked cheaply come first."""


@dataclass(slots=True)
class Scene:
    """The service, and around it what can be broken."""

    stage: Stage
    service: Instance
    platform_port: int
    voices: tuple[Voice, ...] = VOICES
    number: int = 0

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[SandboxClient]:
        """A platform, for as long as it is there."""
        async with (
            Sandbox(port=self.platform_port, server_key=self.stage.sandbox.server_key) as sandbox,
            SandboxClient(sandbox.url) as ask,
        ):
            yield ask

    async def publish(self, campaign: int = KNOWN) -> None:
        """Publish an event; nobody waits for its result."""
        self.number += 1
        await self.stage.publish([written(urgent(campaign, self.number), partition=1)])

    async def until_all_say(self, grade: str, *causes: str) -> str:
        """Wait until everybody names these causes and no others; return the sentence."""
        truth = Truth(grade=grade, causes=frozenset(causes))

        async def all_say() -> bool:
            for voice in self.voices:
                if await voice(self.service) != truth:
                    return False
            return True

        await eventually(all_say, within_seconds=SECONDS, what=f"everybody says {truth}")
        return str((await self.service.status())["verdict"]["sentence"])

    async def until_all_is_well(self) -> None:
        """Wait until nobody names anything, and both probes are content."""
        await self.until_all_say("good")
        for path in ("/healthz", "/readyz"):
            assert (await self.service.get(path)).is_success

    async def until_logged(self, grade: str, *causes: str) -> None:
        """Wait until the last line about the verdict says this."""

        async def is_logged() -> bool:
            last = self.service.lines("the verdict changed")[-1:]
            return [(line["grade"], line["causes"]) for line in last] == [(grade, list(causes))]

        await eventually(is_logged, within_seconds=SECONDS, what=f"the log says {grade} because of {causes}")

    async def reasons(self) -> str:
        """What `/readyz` fails for; `/healthz` is content all the time."""
        assert (await self.service.get("/healthz")).is_success
        answer = await self.service.get("/readyz")
        assert answer.status_code == 503, answer.text
        return answer.text


@asynccontextmanager
async def scene_on(kafka: ApacheKafka, folder: Path) -> AsyncIterator[Scene]:
    """A service with two partitions, one of which is stopped from the beginning."""
    async with stage_on(kafka, folder, partitions=2) as stage:
        await stage.publish([written(urgent(KNOWN, 1_000 + n)) for n in range(2)])
        await move_the_group(stage, {0: 1}, metadata=OUR_MARK)  # a commit of ours, and no journal to be asked
        port = free_port()
        service = await stage.launch({"API__URL": f"http://127.0.0.1:{port}{SEND_PATH}"})
        yield Scene(stage, service, port)


async def five_troubles(scene: Scene, kafka: ApacheKafka) -> None:
    """Let each trouble come and go; ends the service."""
    async with scene.platform() as ask:
        await _a_stopped_partition(scene)
        await _an_unknown_campaign(scene, ask)
        await _a_refused_key(scene, ask)
    await _no_platform(scene)
    async with scene.platform():
        await scene.until_all_is_well()
        await _no_broker(scene, kafka)
        assert await scene.service.stop() == 0


async def _a_stopped_partition(scene: Scene) -> None:
    stopped = f"{scene.stage.events}:0"
    assert "--accept" in await until_stopped(scene.service)
    assert await scene.until_all_say("bad", "partitions_stopped") == "stopped: 1 of 2 partitions"
    assert f"partition {stopped} is stopped" in await scene.reasons()
    assert (await inspect(scene.stage, "--accept", stopped, "--yes"))[0] == 0
    await scene.until_all_is_well()


async def _an_unknown_campaign(scene: Scene, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "refuse_campaign", "campaign": UNKNOWN})
    await scene.publish(UNKNOWN)
    sentence = await scene.until_all_say("bad", "campaigns_refused")
    assert f"the platform rejects campaign {UNKNOWN} (404) since" in sentence
    assert (await scene.service.get("/readyz")).is_success, "the others are sent"
    await ask.clear_faults()
    await scene.publish(UNKNOWN)
    await scene.until_all_is_well()


async def _a_refused_key(scene: Scene, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "status", "status": 401})
    await scene.publish()
    sentence = await scene.until_all_say("bad", "platform_refuses")
    assert sentence.startswith("held back by the platform: it refuses us (401) since ")
    assert "CAMPAIGN_API__SERVER_KEY" in await scene.reasons()
    await ask.clear_faults()
    await scene.until_all_is_well()


async def _no_platform(scene: Scene) -> None:
    await scene.publish()
    sentence = await scene.until_all_say("bad", "platform_unreachable")
    assert sentence.startswith("held back by the platform: it cannot be reached since ")
    assert ", 1 event waits, next try in " in sentence
    assert "CAMPAIGN_API__URL" in await scene.reasons()
    await scene.until_logged("bad", "platform_unreachable")


async def _no_broker(scene: Scene, kafka: ApacheKafka) -> None:
    await kafka.kill_broker()
    assert "held back by the brokers" in await scene.until_all_say("bad", "brokers")
    assert "no broker can be reached" in await scene.reasons()
    await scene.until_logged("bad", "brokers")
    await kafka.start_broker()
    await scene.until_all_is_well()
    await scene.until_logged("good")
