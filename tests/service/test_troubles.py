"""A service in trouble says so in one voice: five troubles one after the other, and what the brokers leave unanswered."""

import asyncio
from functools import partial
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.service.events import urgent, written
from tests.service.harness import stage_on
from tests.service.troubles import KNOWN, SECONDS, Scene, five_troubles, scene_on, status_says
from tests.support.eventually import eventually
from tests.support.kafka_proxy import Api, KafkaProxy, Question, What


async def test_five_troubles_one_after_the_other_are_one_truth_for_everybody_and_so_is_their_end(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with scene_on(breakable, tmp_path) as scene:
        await five_troubles(scene, breakable)


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
