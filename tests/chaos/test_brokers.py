"""Brokers that restart, go away, lose a leader or are cut off under load: the service waits, says so, and goes on."""

import asyncio
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from consumer.demo.apache_kafka import ApacheKafka
from tests.chaos.judge import judge
from tests.chaos.load import LATENCY, SETTINGS, Load
from tests.chaos.profile import OUTAGE_SECONDS, SHORT_STALL_SECONDS, let_last
from tests.service.harness import START_SECONDS, Instance, stage_on
from tests.support.eventually import eventually
from tests.support.kafka_proxy import KafkaProxy


async def test_a_service_outlives_a_restart_of_its_broker_and_the_absence_of_all(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=3) as stage:
        await stage.ask.set_faults(LATENCY)
        service = await stage.start(SETTINGS)
        async with Load(stage, per_second=200):
            await service.until_settled(200)
            await breakable.stop_broker()
            await breakable.start_broker()
            await settle_more(service, 200)

            await breakable.kill_broker()
            async with asyncio.TaskGroup() as both:
                both.create_task(let_last(OUTAGE_SECONDS))
                both.create_task(until_unready(service))
            assert (await service.get("/healthz")).is_success, "a restart of the service would not help"
            await breakable.start_broker()
            await service.until_ready()
            await settle_more(service, 200)
        await stage.results.until(stage.published)

        assert len(service.lines("started")) == 1
        assert await service.stop() == 0
        await judge(stage)


async def settle_more(service: Instance, count: int) -> None:
    """Return once the service has found so many outcomes more than by now."""
    results: dict[str, int] = (await service.status())["results"]
    await service.until_settled(sum(results.values()) + count)


async def until_unready(service: Instance) -> None:
    """Return once the service says that no broker answers."""

    async def says_so() -> bool:
        assert service.exit_code is None
        answer = await service.get("/readyz")
        return answer.status_code == 503 and "no broker can be reached" in answer.text

    await eventually(says_so, within_seconds=START_SECONDS, what="a service that is not ready")


async def test_a_killed_leader_costs_a_moment_and_nothing_else(three_breakable: ApacheKafka, tmp_path: Path) -> None:
    async with stage_on(three_breakable, tmp_path, partitions=3) as stage:
        await stage.ask.set_faults(LATENCY)
        service = await stage.start(SETTINGS)
        async with Load(stage, per_second=200):
            await service.until_settled(200)
            await three_breakable.kill_broker(await leader_of(three_breakable, stage.journal))
            await settle_more(service, 600)
        await stage.results.until(stage.published)

        assert len(service.lines("started")) == 1
        await judge(stage)


async def leader_of(kafka: ApacheKafka, topic: str) -> int:
    """The broker that leads the topic's first partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return next(int(partition["leader"]) for partition in described["partitions"] if partition["partition"] == 0)


async def test_a_service_whose_network_stalls_is_replaced_and_comes_back(
    breakable: ApacheKafka, proxy: KafkaProxy, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=4) as stage:
        await stage.ask.set_faults(LATENCY)
        behind = await stage.start({**SETTINGS, "KAFKA__BOOTSTRAP_SERVERS": proxy.address})
        beside = await stage.start(SETTINGS)
        await behind.until_owns(2)
        async with Load(stage, per_second=200):
            await behind.until_settled(100)
            proxy.stall()
            await let_last(SHORT_STALL_SECONDS)
            proxy.release()
            await settle_more(behind, 100)

            proxy.stall()
            await beside.until_owns(4)
            proxy.release()
            await behind.until_owns(2)
            await settle_more(behind, 100)
        await stage.results.until(stage.published)

        await judge(stage)
