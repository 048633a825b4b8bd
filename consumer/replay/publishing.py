"""Publishes what is left of a plan, each record once: in transactions, in the order of each partition, no faster than asked.

Whatever happens, what stands in the topic says what is done: after any doubt it is read again before anything is published.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from consumer.core.terms import Instant
from consumer.edge.kafka.transactions import NotCommittedError, TransactionalProducer
from consumer.replay.coding import record_fingerprint
from consumer.replay.originals import Original, originals
from consumer.replay.rows import (
    RESEND_EXPIRES_AT,
    RESEND_ID,
    RESEND_OPERATOR,
    RESEND_REASON,
    Rows,
    RowState,
)
from consumer.replay.run import Prepared
from consumer.replay.tail import LogsWithOpenEnds
from consumer.service.ports import PlainMessage
from schemas.instants import text_of

CHUNK_RECORDS: Final = 5_000
CHUNK_BYTES: Final = 4 * 1024 * 1024
"""Of one transaction: large enough that its end costs little, and it is over in a moment."""
CHUNK_SECONDS: Final = 0.25
CHUNKS_AHEAD: Final = 1
LOOK_AGAIN_SECONDS: Final = 2.0
"""So often a run looks at what others publish: a slow one lasts for hours, and another plan may hold the same events."""
TRIES: Final = 5
"""Transactions in a row that came to nothing. Each has waited for the brokers, and so has each new start."""


class ChangedMeanwhileError(Exception):
    """A record that was checked is gone, or another one stands there; what was published stays. The message is one line."""


class ResendMarks:
    """What stands beside each record that is published."""

    def __init__(self, *, resend_id: str, reason: str, operator: str, extend_expiry_seconds: float | None) -> None:
        """Prepare."""
        self._marks = (
            (RESEND_ID, resend_id.encode()),
            (RESEND_REASON, reason.encode()),
            (RESEND_OPERATOR, operator.encode()),
        )
        self._extend_expiry_seconds = extend_expiry_seconds

    def at(self, now: Instant) -> tuple[Sequence[tuple[str, bytes]], Sequence[tuple[str, bytes]]]:
        """Return the headers of records that are published now: of those that keep their deadline, and of the others."""
        if self._extend_expiry_seconds is None:
            return self._marks, self._marks
        until = text_of(now + self._extend_expiry_seconds).encode()
        return self._marks, (*self._marks, (RESEND_EXPIRES_AT, until))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What goes into one transaction."""

    rows: Rows
    originals: list[Original]


class Publishing:
    """Publishes the rest of a plan."""

    def __init__(
        self,
        prepared: Prepared,
        logs: LogsWithOpenEnds,
        producer: TransactionalProducer,
        marks: ResendMarks,
        *,
        per_second: float | None,
        wall: Callable[[], Instant],
        on_published: Callable[[int], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        """Prepare. `on_published` hears of each committed transaction's records, `wall` is the time of day."""
        self._prepared = prepared
        self._logs = logs
        self._producer = producer
        self._marks = marks
        self._per_second = per_second
        self._wall = wall
        self._on_published = on_published
        self._on_trouble = on_trouble
        self._chunk_records = CHUNK_RECORDS if per_second is None else _chunk_records(per_second)
        self.before = 0
        """Records of the plan that stood in the topics when this run had the plan for itself."""

    async def run(self) -> int:
        """Publish what is not published yet; return how many records that were.

        Raises:
            FencedError: another run of the plan has taken over.
            NotCommittedError: the brokers took nothing, several times in a row.
            RefusedRecordsError: the topic does not take the records.
            ChangedMeanwhileError: an original is gone, or another one.
            HeldUpError: another producer's transaction does not end.
            KafkaRefusedError: the brokers refuse us.
            KafkaUnreachableError: they do not answer.
        """
        await self._take_over()
        await self._prepared.join(self._logs)  # somebody may have thought about the number for long
        await self._prepared.settle(self._logs, self._on_trouble)
        self.before = self._prepared.published
        failures = 0
        while True:
            standing = self._prepared.published
            try:
                await self._publish_rest()
            except NotCommittedError as error:
                failures = failures + 1 if self._prepared.published == standing else 1
                if failures >= TRIES:
                    raise
                self._on_trouble(f"{error}; looking what stands there, then going on")
                await self._producer.stop()
                await self._take_over()
            else:
                return self._prepared.published - self.before

    async def _take_over(self) -> None:
        await self._producer.start()
        await self._prepared.tail.look_at_all(self._logs)

    async def _publish_rest(self) -> None:
        """Read ahead while a transaction ends."""
        ahead: asyncio.Queue[_Chunk | None] = asyncio.Queue(CHUNKS_AHEAD)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(ahead), name="read")
                await self._publish_all(ahead)
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors

    async def _publish_all(self, ahead: "asyncio.Queue[_Chunk | None]") -> None:
        loop = asyncio.get_running_loop()
        started, done = loop.time(), 0
        look_at = started + LOOK_AGAIN_SECONDS
        while (chunk := await ahead.get()) is not None:
            if self._per_second is not None:
                await asyncio.sleep(max(0.0, started + done / self._per_second - loop.time()))
            if loop.time() >= look_at:
                await self._prepared.look_again(self._logs)
                look_at = loop.time() + LOOK_AGAIN_SECONDS
            done += await self._publish(chunk)

    async def _publish(self, chunk: _Chunk) -> int:
        """Publish what of it is still to be published; return how many records that were."""
        rows = chunk.rows
        left = [one for one in chunk.originals if rows.states[one[0]] == RowState.TO_PUBLISH]
        if not left:
            return 0
        marks, extended = self._marks.at(self._wall())
        messages: list[PlainMessage] = [
            (record.key, record.value, [*record.headers, *(extended if planned.extended else marks)])
            for _, planned, record in left
            if record is not None
        ]
        await self._producer.publish(TopicPartition(rows.planned.topic, rows.planned.partition), messages)
        for row, _, _ in left:
            rows.states[row] = RowState.PUBLISHED
        self._on_published(len(messages))
        return len(messages)

    async def _read(self, ahead: "asyncio.Queue[_Chunk | None]") -> None:
        """Take the partitions by turns, so that none of them waits for the others."""
        turns = [self._chunks(rows) for rows in self._prepared.rows.values()]
        while turns:
            for chunks in list(turns):
                chunk = await anext(chunks, None)
                if chunk is None:
                    turns.remove(chunks)
                else:
                    await ahead.put(chunk)
        await ahead.put(None)

    async def _chunks(self, rows: Rows) -> AsyncIterator[_Chunk]:
        chunk: list[Original] = []
        size_bytes = 0
        async for found in originals(self._logs, rows, wanted=lambda row: rows.states[row] == RowState.TO_PUBLISH):
            for one in _there(found, rows):
                chunk.append(one)
                size_bytes += _size_bytes(one)
                if len(chunk) >= self._chunk_records or size_bytes >= CHUNK_BYTES:
                    yield _Chunk(rows, chunk)
                    chunk, size_bytes = [], 0
        if chunk:
            yield _Chunk(rows, chunk)


def report_of(resend_id: str, *, published: int, standing: int, left_out: int) -> dict[str, object]:
    """Return what a script is told: records published by this run, those that stood there before, those left out."""
    return {
        "resendId": resend_id,
        "published": published,
        "alreadyPublished": standing,
        "leftOut": left_out,
    }


def _chunk_records(per_second: float) -> int:
    """Return how many records a transaction holds at most: a quarter of a second's, so that they flow."""
    return max(1, min(CHUNK_RECORDS, int(per_second * CHUNK_SECONDS)))


def _size_bytes(original: Original) -> int:
    record = original[2]
    return 0 if record is None else len(record.key or b"") + len(record.value or b"")


def _there(found: Iterable[Original], rows: Rows) -> Iterable[Original]:
    for one in found:
        row, planned, record = one
        if record is None or record_fingerprint(record.key, record.value, record.headers) != rows.fingerprints[row]:
            what = "is gone" if record is None else "is another one"
            raise ChangedMeanwhileError(
                f"the record at {rows.planned.topic}:{rows.planned.partition}:{planned.offset} {what} since the run began; "
                "what is published stays published: plan again for the rest"
            )
        yield one


def _first(errors: BaseException) -> BaseException:
    """Return what went wrong first: a group of tasks ends with all of it."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors
