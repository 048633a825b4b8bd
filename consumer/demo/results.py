"""Reads every result of a topic from its beginning, for the demo's check. Joins no group, commits nothing."""

import asyncio
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import orjson
import xxhash
from aiokafka import AIOKafkaConsumer

from consumer.demo.arithmetic import RecordPlace, SeenResult
from consumer.edge.kafka.connection import KafkaConnection

POLL_MILLISECONDS = 200
CATCH_UP_SECONDS = 15.0


def seen_result(value: bytes) -> SeenResult:
    """Return the fields of a result that `arithmetic.py` needs.

    Raises:
        KeyError, ValueError: it is no valid result.
    """
    content: dict[str, Any] = orjson.loads(value)
    source = content["source"]
    return SeenResult(
        result_id=content["resultId"],
        place=RecordPlace(source["partition"], source["offset"]),
        status=content["status"],
        reason=content["reason"],
        external_reference=content["externalReference"],
        attempts=content["attempts"],
        possible_duplicate=content["possibleDuplicate"],
        occurred_at=_instant(content["occurredAt"]),
        completed_at=datetime.fromisoformat(content["completedAt"]).timestamp(),
        fingerprint=xxhash.xxh3_128_digest(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)),
    )


def _instant(text: str | None) -> float | None:
    """Return Unix seconds; None for None, and for the text of an invalid event that is no instant."""
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


class ResultsReader:
    """Use as `async with ResultsReader(...) as results`. One task at a time may read."""

    def __init__(self, *, topic: str, connection: KafkaConnection) -> None:
        """Prepare; nothing is connected yet."""
        # without a group it is given all partitions of the topic
        self._consumer = AIOKafkaConsumer(
            topic, **connection.client_arguments(), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self.seen: list[SeenResult] = []
        self.places: set[RecordPlace] = set()
        """Records that have a result by now."""

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def read_on(self) -> None:
        """Read for ever."""
        while True:
            await self._read()

    async def catch_up(self) -> None:
        """Read what is in the topic by now, and return.

        Raises:
            TimeoutError: the brokers did not give it in time.
        """
        async with asyncio.timeout(CATCH_UP_SECONDS):
            ends = await self._consumer.end_offsets(self._consumer.assignment())
            while any([await self._consumer.position(partition) < end for partition, end in ends.items()]):
                await self._read()

    async def _read(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
            for record in records:
                result = seen_result(record.value)
                self.seen.append(result)
                self.places.add(result.place)
