"""Topics that are deleted and permissions that are missing: one line says what to do, at the start or at /readyz."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.arithmetic import RecordPlace
from tests.chaos.load import SETTINGS, events
from tests.chaos.tools import ACLS, CONFIGS, run_tool
from tests.service.harness import Instance, Settings, Stage, stage_on
from tests.service.test_inspect import inspect
from tests.support.eventually import eventually
from tests.support.listeners import Listener, add_listener, free_address
from tests.support.records import write

FAILED = 1
ENOUGH_SECONDS = 60.0
USER, PASSWORD = "service", "correct horse"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256")


async def last_words(instance: Instance) -> str:
    """The one line for people that a failed service ends with."""
    assert await instance.ended() == FAILED
    lines = instance.last_words()
    assert len(lines) == 1, lines
    return lines[0]


async def named_at_readyz(service: Instance, *words: str) -> None:
    """Wait until /readyz says all of that in one reason; the process goes on, and is healthy."""

    async def is_named() -> bool:
        answer = await service.get("/readyz")
        reasons: list[str] = answer.json()["reasons"]
        return any(all(word in reason for word in words) for reason in reasons)

    await eventually(is_named, within_seconds=ENOUGH_SECONDS, what=f"/readyz names {words}")
    assert (await service.get("/healthz")).is_success


async def test_a_deleted_journal_or_results_topic_is_named_until_it_is_there_again(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path) as stage:
        service = await stage.start(SETTINGS)
        await stage.results.until(await stage.publish(events(8, partitions=1)))
        await stage.topics.delete(stage.journal)
        places = await stage.publish(events(8, partitions=1))
        await named_at_readyz(service, stage.journal, "create it")
        await stage.topics.create_named(stage.journal)
        await named_at_readyz(service, "its journal ends before what was proven", "--accept")
        assert (await inspect(stage, "--accept", f"{stage.events}:0", "--yes"))[0] == 0
        await stage.results.until(places)

        await stage.ask.set_faults({"fault": "hold", "name": "until the topic is gone"})
        await stage.publish(events(8, partitions=1))
        await stage.ask.wait(in_flight=1)
        await stage.topics.delete(stage.results_topic)
        await stage.ask.clear_faults()
        await named_at_readyz(service, stage.results_topic, "create it")
        await stage.topics.create_named(stage.results_topic)
        await service.until_ready()
        assert await service.stop() == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A broker that lets the service do only what it is granted, and how the service gets in."""

    kafka: ApacheKafka
    address: str

    def settings(self, mechanism: str, password: str = PASSWORD) -> Settings:
        return {
            **SETTINGS,
            "KAFKA__BOOTSTRAP_SERVERS": self.address,
            "KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA__SASL_MECHANISM": mechanism,
            "KAFKA__SASL_USERNAME": USER,
            "KAFKA__SASL_PASSWORD": password,
        }

    async def grant(self, *arguments: str) -> None:
        await run_tool(self.kafka, ACLS, "--add", "--allow-principal", f"User:{USER}", *arguments)

    async def take_back(self, *arguments: str) -> None:
        await run_tool(self.kafka, ACLS, "--remove", "--force", "--allow-principal", f"User:{USER}", *arguments)

    async def grant_all(self, stage: Stage) -> None:
        """Grant what deploy/README.md says that the service needs, and nothing more."""
        read, write, describe = (("--operation", operation) for operation in ("Read", "Write", "Describe"))
        journal, results, letters = (
            ("--topic", topic) for topic in (stage.journal, stage.results_topic, stage.dead_letter_topic)
        )
        async with asyncio.TaskGroup() as tools:
            for grant in (
                (*read, *describe, "--topic", stage.events),
                (*read, *write, *describe, *journal),
                (*write, *describe, *results, *letters),
                (*read, *describe, "--topic", stage.control),
                (*read, "--group", stage.group),
            ):
                tools.create_task(self.grant(*grant))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded() -> AsyncIterator[Guarded]:
    """Whoever comes without a password may do everything: brokers and tests. The service comes with one."""
    address = free_address()
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    listener = Listener(
        name="GUARDED",
        address=address,
        protocol="SASL_PLAINTEXT",
        settings={
            "listener.name.guarded.sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.guarded.plain.sasl.jaas.config": plain,
            "listener.name.guarded.scram-sha-256.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
        },
    )
    async with ApacheKafka(settings=settings) as kafka:
        await add_listener(kafka, listener)
        credentials = f"SCRAM-SHA-256=[password={PASSWORD}]"
        user = ("--entity-type", "users", "--entity-name", USER)
        await run_tool(kafka, CONFIGS, "--alter", *user, "--add-config", credentials)
        yield Guarded(kafka=kafka, address=address)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_missing_permission_is_named_and_those_documented_are_enough(guarded: Guarded, tmp_path: Path) -> None:
    async with stage_on(guarded.kafka, tmp_path) as stage:
        refused = await stage.launch(guarded.settings("PLAIN", password="battery staple"))
        said = await last_words(refused)
        assert "__SASL_PASSWORD" in said
        assert "battery" not in said

        nothing_granted = await stage.launch(guarded.settings("PLAIN"))
        assert "grant it" in await last_words(nothing_granted)

        await guarded.grant_all(stage)
        for mechanism in MECHANISMS:
            service = await stage.start(guarded.settings(mechanism))
            await stage.results.until(await stage.publish(events(8, partitions=1)))
            assert await service.stop() == 0

        service = await stage.start(guarded.settings(MECHANISMS[0]))
        write_journal = ("--operation", "Write", "--topic", stage.journal)
        await guarded.take_back(*write_journal)
        waiting = await stage.publish(events(8, partitions=1))
        await named_at_readyz(service, f"partition {stage.events}:0 is stopped", "TopicAuthorizationFailed", "WRITE")
        await guarded.grant(*write_journal)
        await stage.results.until(waiting)
        assert await service.stop() == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_an_events_topic_that_is_gone_or_refused_at_work_is_named_while_the_others_are_read(
    guarded: Guarded, tmp_path: Path
) -> None:
    async with stage_on(guarded.kafka, tmp_path) as stage:
        other = await stage.topics.create("events", partitions=2)
        await stage.topics.create_named(f"{other}-journal", partitions=2)
        read, describe = (("--operation", operation, "--topic", other) for operation in ("Read", "Describe"))
        await guarded.grant_all(stage)
        await guarded.grant_all(replace(stage, events=other))
        settings = {**guarded.settings(MECHANISMS[0]), "KAFKA__EVENTS_TOPICS": f"{stage.events},{other}"}
        await guarded.take_back(*read)
        assert "READ" in await last_words(await stage.launch(settings)), "at the start it is a mistake"
        await guarded.grant(*read)
        service = await stage.start(settings)

        async def others_go_on() -> None:
            await stage.results.until(await stage.publish(events(8, partitions=1)))

        async def publish_there() -> list[RecordPlace]:
            records = [replace(record, partition=1) for record in events(8, partitions=1)]
            return [RecordPlace(*place) for place in await write(guarded.kafka.bootstrap_servers, other, records)]

        await stage.topics.delete(other)
        await named_at_readyz(service, other, "does not exist", "create it")
        await others_go_on()
        await stage.topics.create_named(other, partitions=2)
        await stage.results.until(await publish_there())
        await service.until_ready()

        for permissions in ((read,), (read, describe)):
            for permission in permissions:
                await guarded.take_back(*permission)
            await named_at_readyz(service, other, "TopicAuthorizationFailed", "READ")
            waiting = await publish_there()
            await others_go_on()
            for permission in permissions:
                await guarded.grant(*permission)
            await stage.results.until(waiting)
            await service.until_ready()
        assert 1 <= len(service.lines("an events topic cannot be read")) <= 3, "each time is told once at most"
        assert await service.stop() == 0
