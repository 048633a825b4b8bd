"""Publishes records in Kafka transactions: each whole or not at all, one process at a time for each name. Reads nothing.

A producer that starts with a transactional ID fences the earlier one with the same ID: the brokers abort its open
transaction, and it can write no more.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced, RecordListTooLargeError
from aiokafka.producer.transaction_manager import TransactionState

from consumer.edge.kafka.batch_producer import LASTING
from consumer.edge.kafka.clients import close_producer, cut_off, ended, fill
from consumer.edge.kafka.connection import (
    REFUSALS,
    KafkaConnection,
    KafkaUnreachableError,
    refused,
    until_reachable,
    words,
)
from consumer.service.ports import PlainMessage

BATCH_BYTES = 900_000
"""Before compression: a broker takes 1 MiB unless it was told otherwise."""
LEAST_BATCH_BYTES = 16_384
SHRINK = 4
"""Batches become so much smaller where a topic takes only small ones."""
TRANSACTION_SECONDS = 30.0
"""Brokers abort a transaction that is open for longer. An open one holds up all who read the partition behind it."""
PUBLISH_SECONDS = 25.0
"""The time limit for a whole transaction: less than that, so that a slow broker is not taken for another process."""
START_SECONDS = 60.0
END_SECONDS = 5.0


class FencedError(Exception):
    """Another process has started with the same name, or the brokers timed us out. The open transaction was aborted."""


class NotCommittedError(Exception):
    """It is unknown whether a transaction was committed. After the next `start` it is either committed or aborted."""


class RefusedRecordsError(Exception):
    """The brokers refuse these records because of the topic's settings; the transaction was not committed."""


class TransactionalProducer:
    """Publishes one transaction after the other. After an error it has to be stopped and started again."""

    def __init__(self, connection: KafkaConnection, *, name: str, on_trouble: Callable[[str], None]) -> None:
        """Prepare. `name` is the transactional ID; `on_trouble` gets why we wait for the brokers."""
        self._connection = connection
        self._name = name
        self._on_trouble = on_trouble
        self._producer: AIOKafkaProducer | None = None
        self._batch_bytes = BATCH_BYTES

    async def start(self) -> None:
        """Take the name. When this returns, each earlier transaction of this name is committed or aborted.

        Raises:
            KafkaRefusedError: the brokers refuse us.
            KafkaUnreachableError: they do not answer in time.
        """
        assert self._producer is None
        await until_reachable(self._connection, on_trouble=self._on_trouble)
        producer = AIOKafkaProducer(
            **self._connection.client_arguments(),
            transactional_id=self._name,
            transaction_timeout_ms=int(TRANSACTION_SECONDS * 1000),
            acks="all",
            linger_ms=0,
            compression_type="zstd",
            max_batch_size=self._batch_bytes,
            request_timeout_ms=int(PUBLISH_SECONDS * 600),
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await producer.start()
        except REFUSALS as error:
            await _dropped(producer)
            raise refused(error, self._connection) from error
        except (KafkaError, OSError, TimeoutError) as error:
            await _dropped(producer)
            raise KafkaUnreachableError(
                f"the brokers at {self._connection} begin no transaction ({words(error)}): try again"
            ) from error
        except BaseException:
            await _dropped(producer)
            raise
        self._producer = producer

    async def publish(self, target: TopicPartition, messages: Sequence[PlainMessage]) -> None:
        """Publish `messages`, in their order, as one transaction; return once it is committed.

        Raises:
            FencedError: another process has taken the name.
            NotCommittedError: it is not known whether they were published.
            RefusedRecordsError: the topic does not take them.
            KafkaRefusedError: the brokers refuse us.
        """
        producer = self._producer
        assert producer is not None
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await producer.begin_transaction()
                await _taken(producer, target, messages)
                await producer.commit_transaction()
        except ProducerFenced as error:
            raise FencedError(f"{_name(target)}: the transaction was fenced") from error
        except REFUSALS as error:
            raise refused(error, self._connection) from error
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            if self._batch_bytes <= LEAST_BATCH_BYTES:
                raise RefusedRecordsError(f"{_name(target)} does not take a record this large") from error
            self._batch_bytes //= SHRINK
            raise NotCommittedError(f"{_name(target)} takes no batch this large: smaller ones from now on") from error
        except LASTING as error:
            raise RefusedRecordsError(f"{_name(target)}: {words(error)}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise NotCommittedError(f"{_name(target)}: {words(error)}") from error

    async def stop(self) -> None:
        """End an open transaction, so that no reader waits for it, and disconnect; within a bounded time."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        transaction = producer._txn_manager  # noqa: SLF001 - the client would assert, not answer
        match transaction.state:
            case TransactionState.IN_TRANSACTION | TransactionState.ABORTABLE_ERROR:
                await ended(producer.abort_transaction(), seconds=END_SECONDS)
            case TransactionState.COMMITTING_TRANSACTION:
                await ended(asyncio.shield(transaction.wait_for_transaction_end()), seconds=END_SECONDS)
            case _:
                pass
        await _dropped(producer)


async def _taken(producer: AIOKafkaProducer, target: TopicPartition, messages: Sequence[PlainMessage]) -> None:
    """Send the records and check every batch: the commit would succeed even if one of them had failed."""
    futures: list[asyncio.Future[Any]] = []
    rest = messages
    try:
        while rest:
            builder = producer.create_batch()
            rest = rest[fill(builder, rest) :]
            futures.append(await producer.send_batch(builder, target.topic, partition=target.partition))
        await asyncio.wait(futures)
        for future in futures:
            future.result()
    finally:
        for future in futures:
            if not future.cancel() and not future.cancelled():
                future.exception()  # else it would be reported as never retrieved


async def _dropped(producer: AIOKafkaProducer) -> None:
    cut_off(producer)
    await close_producer(producer)
    waiter = producer._txn_manager._transaction_waiter  # noqa: SLF001 - else it would be reported as never retrieved
    if waiter is not None and waiter.done() and not waiter.cancelled():
        waiter.exception()


def _name(target: TopicPartition) -> str:
    return f"{target.topic}:{target.partition}"
