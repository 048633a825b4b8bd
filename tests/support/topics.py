"""Topics for tests, each under a name of its own. Never deletes what it did not create."""

import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from tests.support.eventually import eventually

_READY_SECONDS = 30.0


class Topics:
    """Use as `async with Topics(bootstrap_servers) as topics`; tests ask for the fixture `topics`."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        self._copies = 1

    async def __aenter__(self) -> Self:
        await self._admin.start()
        cluster = await self._admin.describe_cluster()
        self._copies = min(3, len(cluster["brokers"]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._admin.close()

    async def create(self, purpose: str, *, partitions: int = 1, settings: Mapping[str, str] | None = None) -> str:
        """Create a topic, `purpose` and something unique being its name, and give the name once all have leaders.

        With three brokers, each has a copy.
        """
        name = f"{purpose}-{uuid.uuid4().hex[:12]}"
        await self.create_named(name, partitions=partitions, settings=settings)
        return name

    async def create_named(self, name: str, *, partitions: int = 1, settings: Mapping[str, str] | None = None) -> None:
        """Create a topic under this very name, which is unique already (a journal's, say)."""
        wanted = NewTopic(name, partitions, self._copies, topic_configs=dict(settings or {}))
        _raise_errors(await self._admin.create_topics([wanted]))
        await self._until_led(name, partitions)

    async def grow(self, name: str, *, partitions: int) -> None:
        """Give a topic more partitions, and return once all have leaders."""
        answer = await self._admin.create_partitions({name: NewPartitions(partitions)})
        _raise_errors(answer)
        await self._until_led(name, partitions)

    async def alter(self, name: str, settings: Mapping[str, str]) -> None:
        """Give a topic these settings, and its brokers' own for all others."""
        await self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(settings))])

    async def delete(self, name: str) -> None:
        """Delete a topic; clients may see it for a moment longer."""
        _raise_errors(await self._admin.delete_topics([name]))

    async def _until_led(self, name: str, partitions: int) -> None:
        async def led() -> bool:
            (described,) = await self._admin.describe_topics([name])
            leaders = [partition["leader"] for partition in described["partitions"]]
            return len(leaders) == partitions and min(leaders) >= 0

        await eventually(led, within_seconds=_READY_SECONDS, what=f"a leader for each partition of {name}")


def _raise_errors(answer: object) -> None:
    for attribute in ("topic_errors", "topic_error_codes"):
        for topic, code, *words in getattr(answer, attribute, ()):
            if code:
                raise for_code(code)(f"{topic}: {', '.join(map(str, words)) or 'no reason given'}")
