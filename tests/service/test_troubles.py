"""One running service is put into trouble in five ways: whoever is asked names the same cause, and nobody once it is over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from consumer.core.journal.takeover import OUR_MARK
from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.processes import free_port
from consumer.sandbox.client import SandboxClient
from consumer.sandbox.server import SEND_PATH, Sandbox
from tests.service.events import urgent, written
from tests.service.harness import Instance, Stage, stage_on
from tests.service.test_inspect import inspect, move_the_group, until_stopped
from tests.support.eventually import eventually
from tests.support.kafka_proxy import Api, KafkaProxy, Question, What

SECONDS = 60.0
KNOWN, UNKNOWN = 7, 421
"""Campaigns: one that the platform knows all the time, and one that it does not know for a while."""

GRADES = ("good", "warn", "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How the service stands, as somebody says it."""

    grade: str
    causes: frozenset[str]


Voice = Callable[[Instance], Awaitable[Truth]]


async def status_says(service: Instance) -> Truth:
    verdict = (await service.status())["verdict"]
    return Truth(grade=verdict["grade"], causes=frozenset(one["cause"] for one in verdict["causes"]))


async def metrics_say(service: Instance) -> Truth:
    families = text_string_to_metric_families((await service.get("/metrics")).text)
    samples = [sample for family in families if "_verdict_" in family.name for sample in family.samples]
    (grade,) = [sample.value for sample in samples if sample.name == "campaign_verdict_grade"]
    causes = frozenset(sample.labels["cause"] for sample in samples if sample.labels and sample.value)
    return Truth(grade=GRADES[int(grade)], causes=causes)


VOICES: tuple[Voice, ...] = (status_says, metrics_say)
"""Everybody who says how the service stands, in causes."""


@dataclass(slots=True)
class Scene:
    """The service, and around it what can be broken."""

    stage: Stage
    service: Instance
    platform_port: int
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
            return all([await voice(self.service) == truth for voice in VOICES])

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


@pytest_asyncio.fixture
async def scene(breakable: ApacheKafka, tmp_path: Path) -> AsyncIterator[Scene]:
    """A service with two partitions, one of which is stopped from the beginning."""
    async with stage_on(breakable, tmp_path, partitions=2) as stage:
        await stage.publish([written(urgent(KNOWN, 1_000 + n)) for n in range(2)])
        await move_the_group(stage, {0: 1}, metadata=OUR_MARK)  # a commit of ours, and no journal to be asked
        port = free_port()
        service = await stage.launch({"API__URL": f"http://127.0.0.1:{port}{SEND_PATH}"})
        yield Scene(stage, service, port)


async def test_five_troubles_one_after_the_other_are_one_truth_for_everybody_and_so_is_their_end(
    scene: Scene, breakable: ApacheKafka
) -> None:
    service, stopped = scene.service, f"{scene.stage.events}:0"
    async with scene.platform() as ask:
        assert "--accept" in await until_stopped(service)
        assert await scene.until_all_say("bad", "partitions_stopped") == "stopped: 1 of 2 partitions"
        assert f"partition {stopped} is stopped" in await scene.reasons()
        assert (await inspect(scene.stage, "--accept", stopped, "--yes"))[0] == 0
        await scene.until_all_is_well()

        await ask.set_faults({"fault": "refuse_campaign", "campaign": UNKNOWN})
        await scene.publish(UNKNOWN)
        sentence = await scene.until_all_say("bad", "campaigns_refused")
        assert f"the platform rejects campaign {UNKNOWN} (404) since" in sentence
        assert (await service.get("/readyz")).is_success, "the others are sent"
        await ask.clear_faults()
        await scene.publish(UNKNOWN)
        await scene.until_all_is_well()

        await ask.set_faults({"fault": "status", "status": 401})
        await scene.publish()
        sentence = await scene.until_all_say("bad", "platform_refuses")
        assert sentence.startswith("held back by the platform: it refuses us (401) since ")
        assert "CAMPAIGN_API__SERVER_KEY" in await scene.reasons()
        await ask.clear_faults()
        await scene.until_all_is_well()

    await scene.publish()
    sentence = await scene.until_all_say("bad", "platform_unreachable")
    assert sentence.startswith("held back by the platform: it cannot be reached since ")
    assert ", 1 event waits, next try in " in sentence
    assert "CAMPAIGN_API__URL" in await scene.reasons()
    await scene.until_logged("bad", "platform_unreachable")

    async with scene.platform():
        await scene.until_all_is_well()

        await breakable.kill_broker()
        assert "held back by the brokers" in await scene.until_all_say("bad", "brokers")
        assert "no broker can be reached" in await scene.reasons()
        await scene.until_logged("bad", "brokers")
        await breakable.start_broker()
        await scene.until_all_is_well()
        await scene.until_logged("good")
        assert await service.stop() == 0


def writes_to(topic: str, question: Question) -> bool:
    return question.says(Api.PRODUCE, topic)


async def test_a_journal_or_results_that_are_not_acknowledged_are_told_apart(
    breakable: ApacheKafka, proxy: KafkaProxy, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path) as stage:
        service = await stage.start({"KAFKA__BOOTSTRAP_SERVERS": proxy.address})
        scene = Scene(stage, service, 0)
        for topic, cause in ((stage.results_topic, "results_unacknowledged"), (stage.journal, "journal_unsure")):
            hold = proxy.hold(What.ANSWER, partial(writes_to, topic))
            await stage.publish([written(urgent(KNOWN, 1))])
            async with asyncio.timeout(SECONDS):
                await hold.struck.wait()

            async def is_named(cause: str = cause) -> bool:
                return cause in (await status_says(service)).causes

            await eventually(is_named, within_seconds=SECONDS, what=f"{cause} is named")
            assert (await service.get("/healthz")).is_success
            proxy.release()
            await scene.until_all_is_well()
        await stage.results.until(stage.published)
        assert await service.stop() == 0
