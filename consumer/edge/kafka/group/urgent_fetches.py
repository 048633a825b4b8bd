"""Fetches of their own for urgent topics, over connections of their own. Chooses no partition, hands out no record.

A client has one fetch in flight for each broker. The answer may hold 16 MiB of other topics, which all has to arrive
first; and for a tenth of a second after that, nothing more is asked of that broker while part of the answer is unread.
"""

from collections.abc import Collection
from typing import Any, Final

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, TopicPartition

from consumer.edge.kafka.clients import client_of

_APART: Final = 2**32
"""Added to a broker's number where it is asked for urgent topics: the client keeps account of its fetches by number."""

_URGENT_CONNECTIONS: Final = 2
"""The connections' group; the client's own groups are 0 and 1."""


class BrokerApart(int):
    """A broker's number with `_APART` added. The client's log lines name the broker."""

    def __str__(self) -> str:
        return f"{self - _APART} (urgent topics)"


class _Client:
    """The client as its fetcher sees it: requests to a number that is `_APART` take the other connection."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        if node_id < _APART:
            return await self._client.send(node_id, request)
        return await self._client.send(node_id - _APART, request, group=_URGENT_CONNECTIONS)


def fetch_apart(consumer: AIOKafkaConsumer, topics: Collection[str]) -> None:
    """Make a started consumer fetch these topics by requests that ask for no others."""
    fetcher = consumer._fetcher  # noqa: SLF001 - the consumer has no public way to it
    broker_of = fetcher._select_read_replica  # noqa: SLF001

    def broker_or_apart(partition: TopicPartition) -> int | None:
        broker: int | None = broker_of(partition)
        if broker is None or broker < 0 or partition.topic not in topics:
            return broker
        return BrokerApart(broker + _APART)

    fetcher._select_read_replica = broker_or_apart  # noqa: SLF001
    fetcher._client = _Client(client_of(consumer))  # noqa: SLF001
