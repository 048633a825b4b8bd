"""Parked records of every kind: in transactions, held and released, displaced, compacted away; nothing lost or doubled."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.arithmetic import RecordPlace
from tests.chaos.judge import assert_in_order, judge
from tests.chaos.load import HOLD, RESEND, SEAT, SETTINGS, SLOTS
from tests.service.events import event, written
from tests.service.harness import Instance, Settings, Stage, stage_on
from tests.service.test_holds import campaigns
from tests.support.eventually import eventually
from tests.support.records import Written, read_all

SMALL = {**SETTINGS, **SEAT, "BUFFER__MAX_EVENTS": "300"}
SLOW = {"fault": "latency", "seconds": [1.0, 1.5]}
PARTITIONS, PERSONS, EACH = 2, 900, 2
IN_A_TRANSACTION = 90
MOST = 800
"""So many are parked, at least, while operators hold everything: nothing gets done before the test has looked."""


COMPACTED = {"cleanup.policy": "compact", "segment.ms": "10", "min.cleanable.dirty.ratio": "0.0"}


def backlog() -> list[Written]:
    """Many events of each person, some immediate."""
    campaigns_ = RESEND + HOLD
    return [
        written(
            event(
                campaigns_[person % len(campaigns_)],
                300_000 + person,
                **({"priority": "immediate"} if (person + number) % 9 == 0 else {}),
            ),
            partition=person % PARTITIONS,
            key=b"customer-%d" % person,
        )
        for number in range(EACH)
        for person in range(PERSONS)
    ]


async def publish_in_transactions(stage: Stage, records: Sequence[Written]) -> int:
    """Write them in transactions of which every second one is aborted; return how many nobody may ever read."""
    aborted = 0
    async with AIOKafkaProducer(
        bootstrap_servers=stage.kafka.bootstrap_servers, transactional_id=f"upstream-of-{stage.events}"
    ) as producer:
        for number, start in enumerate(range(0, len(records), IN_A_TRANSACTION)):
            await producer.begin_transaction()
            sent = [
                await producer.send(stage.events, record.value, record.key, partition=record.partition)
                for record in records[start : start + IN_A_TRANSACTION]
            ]
            places = [await one for one in sent]
            if number % 2:
                await producer.abort_transaction()
                aborted += len(places)
            else:
                await producer.commit_transaction()
                stage.published.update({RecordPlace(place.partition, place.offset): None for place in places})
    return aborted


async def with_most_parked(stage: Stage, settings: Settings) -> Instance:
    """Start an instance while everything is held, and return once most is parked and the platform is slow."""
    await stage.ask.set_faults(SLOW)
    await campaigns(stage, "hold", "--all", "--reason", "wrong template")
    instance = await stage.start(settings)

    async def most_is_parked() -> bool:
        return bool((await instance.status())["buffer"]["parked"] >= MOST)

    await eventually(most_is_parked, within_seconds=30.0, what="most is parked")
    return instance


async def release_all(stage: Stage) -> None:
    await campaigns(stage, "release", "--all")


async def test_parked_records_of_transactions_are_held_released_and_read_once(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=PARTITIONS) as stage:
        assert await publish_in_transactions(stage, [*backlog(), *backlog()]) > MOST
        first = await with_most_parked(stage, SMALL)
        await release_all(stage)
        await first.until_settled(SLOTS)
        await campaigns(stage, "hold", str(RESEND[0]), str(HOLD[0]), "--reason", "wrong template")
        await first.until_obeys(2)
        await first.kill()

        last = await stage.start(SMALL)
        await campaigns(stage, "hold", str(RESEND[1]), "--reason", "wrong template")
        await campaigns(stage, "release", str(RESEND[0]))
        await last.until_obeys(2)
        await campaigns(stage, "release", str(RESEND[1]), str(HOLD[0]))
        await stage.ask.clear_faults()
        await stage.results.until(stage.published)

        await judge(stage)
        await assert_in_order(stage)
        assert await last.stop() == 0


@pytest.mark.parametrize("policy", ["keep_latest", "keep_first"])
async def test_who_is_parked_with_others_for_the_same_person_is_sent_or_superseded(
    breakable: ApacheKafka, tmp_path: Path, policy: str
) -> None:
    settings = {**SMALL, "DELIVERY__SAME_CONTACT": policy}
    async with stage_on(breakable, tmp_path, partitions=PARTITIONS) as stage:
        await stage.publish(backlog())
        first = await with_most_parked(stage, settings)
        await release_all(stage)
        await first.until_settled(SLOTS)
        await first.kill()
        last = await stage.start(settings)
        await stage.ask.clear_faults()
        results = await stage.results.until(stage.published)

        statuses = Counter(result["status"] for result in results)
        assert statuses["superseded"] > 0
        assert statuses.keys() <= {"accepted", "superseded", "in_doubt"}
        place_of = {result["eventId"]: place for place, result in stage.results.at.items()}
        for place, result in stage.results.at.items():
            if result["status"] == "superseded":
                stays = place_of[result["related"]["eventId"]]
                assert (stays.offset > place.offset) is (policy == "keep_latest")
        await judge(stage)
        await assert_in_order(stage)
        assert await last.stop() == 0


@asynccontextmanager
async def busy_cleaner(kafka: ApacheKafka) -> AsyncIterator[None]:
    """Let the brokers compact what can be compacted all the time: they take breaks of 15 s otherwise."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        for settings in ({"log.cleaner.backoff.ms": "50"}, {}):
            await admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", settings)])
            if settings:
                yield
    finally:
        await admin.close()


async def test_parked_records_that_compaction_takes_away_hold_up_nothing(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    """They were read, and are gone before their turn: nobody can know what they said."""
    async with stage_on(breakable, tmp_path, partitions=PARTITIONS) as stage, busy_cleaner(breakable):
        await stage.publish(backlog())
        service = await with_most_parked(stage, SMALL)
        await stage.topics.alter(stage.events, COMPACTED)
        await stage.publish(backlog()[-PERSONS:])
        await stage.publish(backlog()[-PERSONS:])

        async def most_is_gone() -> bool:
            left = await read_all(stage.kafka.bootstrap_servers, stage.events)
            return len(left) <= len(stage.published) - MOST

        await eventually(most_is_gone, within_seconds=30.0, what="most is compacted away")
        await stage.ask.clear_faults()
        await release_all(stage)

        async def all_is_done() -> bool:
            return bool((await service.status())["lag"] == 0)

        await eventually(all_is_done, within_seconds=60.0, what="an end of the lag")
        await stage.results.catch_up()
        left = {
            RecordPlace(one.partition, one.offset)
            for one in await read_all(stage.kafka.bootstrap_servers, stage.events)
        }
        assert left <= stage.results.at.keys()
        assert len(stage.results.at) < len(stage.published)
        stage.published = dict.fromkeys(stage.results.at)
        await stage.account()
        await assert_in_order(stage)
        assert await service.stop() == 0
