"""How long Kafka keeps the records of the events topics: asks now and then, for people's sake. Nothing waits for it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaClient
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeConfigsRequest

ASK_EVERY_SECONDS = 60.0
ASK_SECONDS = 1.0
"""A broker that takes longer is asked again later: what is told here is never worth waiting for."""

RETENTION, POLICY = "retention.ms", "cleanup.policy"


class Retention:
    """Tells `on_known` how many seconds each topic keeps its records, once a minute at most.

    A topic that keeps them for ever, or whose settings we may not read (DESCRIBE_CONFIGS), is left out.
    """

    def __init__(
        self, topics: Sequence[str], *, on_known: Callable[[Mapping[str, float]], None], clock: Callable[[], float]
    ) -> None:
        self._topics = tuple(topics)
        self._on_known = on_known
        self._clock = clock
        self._ask_at = clock()

    async def look(self, client: AIOKafkaClient) -> None:
        """Ask, if it is time to."""
        now = self._clock()
        node = client.get_random_node()
        if now < self._ask_at or node is None:
            return
        self._ask_at = now + ASK_EVERY_SECONDS
        wanted = [(ConfigResourceType.TOPIC, topic, [RETENTION, POLICY]) for topic in self._topics]
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer: Any = await client.send(node, DescribeConfigsRequest(wanted, include_synonyms=False))
        except (KafkaError, OSError, TimeoutError):
            return  # the log's ends are asked for in the same breath, and tell when no broker answers
        settings = {
            topic: {name: value for name, value, *_ in entries}
            for code, _message, _kind, topic, entries in answer.resources
            if not code
        }
        self._on_known({topic: int(found[RETENTION]) / 1_000.0 for topic, found in settings.items() if _ends(found)})


def _ends(settings: Mapping[str, str]) -> bool:
    return "delete" in settings.get(POLICY, "") and int(settings.get(RETENTION, "-1")) >= 0
