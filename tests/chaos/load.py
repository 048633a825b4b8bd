"""Events without end for campaigns of both policies, and what such a service is told. Judges nothing."""

import asyncio
import itertools
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer

from consumer.demo.arithmetic import RecordPlace
from consumer.traffic.record import traceparent
from tests.service.events import event, written
from tests.service.harness import Settings, Stage
from tests.support.records import Written

RESEND = (21, 22)
HOLD = (31, 32)
"""Campaigns by what is done about an unknown outcome."""

CONTACTS = 20
"""At most, in one request."""
SLOTS = 8
"""Requests at once."""

SETTINGS: Settings = {
    "WINDOW__MAX_CONTACTS": str(CONTACTS),
    "DELIVERY__MAX_CONCURRENCY": str(SLOTS),
    "DELIVERY__ON_UNKNOWN_OUTCOME": "resend",
    **{f"CAMPAIGNS__{campaign}__DELIVERY__ON_UNKNOWN_OUTCOME": "hold" for campaign in HOLD},
}
"""Small sends, so that there are many at every moment."""

SEAT: Settings = {"KAFKA__GROUP_INSTANCE_ID": "consumer-0"}
"""A seat of its own in the group: a killed instance's partitions wait for its successor, and no session runs out."""

LATENCY = {"fault": "latency", "seconds": [0.01, 0.1]}
BATCH_SECONDS = 0.1
PEOPLE = 5_000
"""They come again after so many events of all campaigns together, so that some wait for their turn."""

_numbers = itertools.count()


def events(count: int, *, partitions: int, urgent_one_in: int | None = None) -> list[Written]:
    """Events of the campaigns in turn, spread over the partitions; where it is said, one in so many is immediate."""
    campaigns = RESEND + HOLD
    return [
        written(
            event(
                campaigns[number % len(campaigns)],
                100_000 + number % PEOPLE,
                **({} if urgent_one_in is None or number % urgent_one_in else {"priority": "immediate"}),
            ),
            partition=number // len(campaigns) % partitions,
            key=b"customer-%d" % number,
            headers=[traceparent(number + 1)],
        )
        for number in itertools.islice(_numbers, count)
    ]


class Load:
    """Use as `async with Load(stage, per_second=400) as load`; it publishes until the block ends, or `enough`.

    What is published is acknowledged when it has ended. Brokers may be away meanwhile: it waits for them. A topic that
    grows is published to in all its partitions.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        per_second: int,
        bootstrap_servers: str | None = None,
        urgent_one_in: int | None = None,
    ) -> None:
        self._stage = stage
        self._urgent_one_in = urgent_one_in
        self._batch = int(per_second * BATCH_SECONDS)
        self._enough = asyncio.Event()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers or stage.kafka.bootstrap_servers,
            acks="all",
            enable_idempotence=True,  # whatever brokers do, each event stands there once
            metadata_max_age_ms=2_000,
        )
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._publish(), name="load")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._enough.set()
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        finally:
            await self._producer.stop()

    async def _publish(self) -> None:
        while not self._enough.is_set():
            known = await self._producer.partitions_for(self._stage.events)
            await self._send(events(self._batch, partitions=len(known), urgent_one_in=self._urgent_one_in))
            try:
                async with asyncio.timeout(BATCH_SECONDS):
                    await self._enough.wait()
            except TimeoutError:
                continue

    async def _send(self, records: Iterable[Written]) -> None:
        sent = [
            await self._producer.send(self._stage.events, record.value, record.key, partition=record.partition)
            for record in records
        ]
        for future in sent:
            acknowledged = await future
            self._stage.published[RecordPlace(acknowledged.partition, acknowledged.offset)] = None
