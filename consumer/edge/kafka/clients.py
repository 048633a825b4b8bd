"""What aiokafka's clients lack: an end within a bounded time, and questions that create nothing. Decides nothing.

Their own ways to stop wait for brokers that may never answer, and for batches that they go on sending meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiokafka.consumer.fetcher
from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.fetcher import FetchError, FetchResult
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from consumer.edge.kafka.record_batches import DamagedError, FetchedBytes, Patience, Unpacked
from consumer.service.ports import PlainMessage

CLOSE_SECONDS = 2.0
STOP_SECONDS = 5.0
LAST_TURN_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Which member of which generation of a group we are."""

    generation: int
    member: str


def seat_of(consumer: AIOKafkaConsumer) -> Seat:
    """Return where a consumer stands in its group; generation -1 where it has no place there."""
    coordinator = consumer._coordinator  # noqa: SLF001 - the consumer has no such door
    if coordinator is None:
        return Seat(generation=-1, member="")
    return Seat(generation=coordinator.generation, member=coordinator.member_id)


def client_of(clients_user: AIOKafkaConsumer | AIOKafkaAdminClient) -> AIOKafkaClient:
    """Return the client that holds the connections and knows the cluster."""
    return clients_user._client  # noqa: SLF001 - there is no such door


def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return where a consumer reads on in a partition; None where it does not read there."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - its own way to ask waits
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or partition not in assignment.tps:
        return None
    state = assignment.state_value(partition)
    return int(state.position) if state.has_valid_position else None


def last_read_at(consumer: AIOKafkaConsumer, topic: str) -> int:
    """Return when a broker answered a consumer last about a topic, with or without records; 0 where none has.

    In milliseconds of the client's clock, since the group gave us the partitions that we have of it now.
    """
    subscription = consumer._subscription.subscription  # noqa: SLF001 - its own way to ask takes partitions that are ours
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return 0
    states = (assignment.state_value(partition) for partition in assignment.tps if partition.topic == topic)
    return max((int(state.timestamp or 0) for state in states), default=0)


class _Results(dict[TopicPartition, FetchResult | FetchError]):
    """What was fetched of each partition and not handed out yet, as the fetcher keeps it."""

    def __init__(self, patience: Patience, on_passed: Callable[[TopicPartition, int], None]) -> None:
        super().__init__()
        self._patience = patience
        self._on_passed = on_passed

    def __setitem__(self, partition: TopicPartition, result: FetchResult | FetchError) -> None:
        if isinstance(result, FetchResult):
            fetched = result._partition_records  # noqa: SLF001
            result._partition_records = Unpacked(  # noqa: SLF001
                partition,
                fetched._records.data,  # noqa: SLF001
                position=fetched.next_fetch_offset,
                aborted=fetched._aborted_transactions if fetched._isolation_level else None,  # noqa: SLF001
                patience=self._patience,
            )
            result.getall = partial(self._taken, result, partition)
        super().__setitem__(partition, result)

    def _taken(self, result: FetchResult, partition: TopicPartition, max_records: int | None = None) -> list[Any]:
        """As the result's own `getall`, without a step of the interpreter for every record."""
        if not result.check_assignment(partition) or not result.has_more():
            return []
        unpacked: Unpacked = result._partition_records  # noqa: SLF001
        behind = unpacked.next_fetch_offset
        try:
            records = unpacked.take(max_records)
        except DamagedError:
            result._partition_records = None  # noqa: SLF001
            raise
        result._update_position()  # noqa: SLF001
        if unpacked.is_empty:
            result._partition_records = None  # noqa: SLF001
        behind = records[-1].offset + 1 if records else behind
        if unpacked.next_fetch_offset > behind:
            self._on_passed(partition, unpacked.next_fetch_offset)
        return records


aiokafka.consumer.fetcher.MemoryRecords = FetchedBytes  # it looks for the name each time that it is answered


def hand_out_records(
    consumer: AIOKafkaConsumer,
    *,
    patience: Patience,
    on_passed: Callable[[TopicPartition, int], None] = lambda _partition, _offset: None,
) -> None:
    """Let a started consumer hand out records as a parser makes them: offset, timestamp, key, value and headers.

    It would copy each into an object of eleven fields, which takes longer than reading and parsing it, and would stop
    for ever at one that it cannot parse. `on_passed` hears of a position that has come further than the records
    handed out: behind markers of transactions, and what those have aborted.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - the consumer has no such door
    results = _Results(patience, on_passed)
    for partition, result in fetcher._records.items():  # noqa: SLF001
        results[partition] = result
    fetcher._records = results  # noqa: SLF001


def forget_fetched(consumer: AIOKafkaConsumer) -> None:
    """Let go of what was fetched and is not wanted any more: up to a MiB for each question that was asked."""
    fetched = consumer._fetcher._records  # noqa: SLF001 - the consumer has no such door
    for result in fetched.values():
        unpacked = getattr(result, "_partition_records", None)
        if isinstance(unpacked, Unpacked):
            unpacked.let_go()
    fetched.clear()


def allow_long_joins(client: AIOKafkaClient, seconds: float) -> None:
    """Let requests to the group's coordinator take so long, whatever bounds all others.

    A join waits for the whole rebalance. With that as the bound for everything, a frozen leader would be waited for
    as long, and so would every connection that the client wants meanwhile: it opens one at a time.
    """
    get_connection = client._get_conn  # noqa: SLF001 - the client has one time-out for all

    async def patient(node_id: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT, **options: Any) -> Any:
        connection = await get_connection(node_id, group=group, **options)
        if connection is not None and group is ConnectionGroup.COORDINATION:
            connection._request_timeout = seconds  # noqa: SLF001
        return connection

    client._get_conn = patient  # noqa: SLF001


def forget_late_commits(consumer: AIOKafkaConsumer) -> None:
    """Let nobody be told of what becomes of a commit that is waited for no longer.

    The client shields each commit from whoever waits for it; with him gone, its error would be reported as a mistake
    of ours: an exception that nobody retrieved.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - the consumer has no such door
    commit = coordinator._do_commit_offsets  # noqa: SLF001

    def heard(*arguments: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(commit(*arguments))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    coordinator._do_commit_offsets = heard  # noqa: SLF001


async def partition_numbers(client: AIOKafkaClient, topic: str) -> frozenset[int] | None:
    """Ask a broker for a topic's partitions; None where it says that there is no such topic.

    Raises:
        KafkaError: nobody answered, or the broker refused.
    """
    answer = await client.send(client.get_random_node(), MetadataRequest([topic], allow_auto_topic_creation=False))
    for code, _name, _internal, partitions in answer.topics:
        error = for_code(code)
        if error is UnknownTopicOrPartitionError:
            return None
        if code:
            raise error(topic)
        return frozenset(partition[1] for partition in partitions)
    return None


def sever(client: AIOKafkaClient) -> None:
    """Cut a client off at once: no byte leaves it any more, whatever its tasks still try. `close` tidies up."""

    async def no_connection(*_: object, **__: object) -> None:
        """Stand in for the client's way to get connections: its callers take None for a broker that is not ready."""

    client._get_conn = no_connection  # noqa: SLF001 - the client has no such door
    for connection in list(client._conns.values()):  # noqa: SLF001
        writer = connection._writer  # noqa: SLF001
        connection.close()
        if writer is not None:
            writer.transport.abort()  # close() alone would wait for a frozen broker to read what is buffered


def cut_off(producer: AIOKafkaProducer) -> None:
    """Take a producer out of use at once: it sends and retries nothing any more. `bury` tidies up."""
    sever(producer.client)
    sender = producer._sender.sender_task  # noqa: SLF001 - stop() would wait for batches, and retry them
    if sender is not None:
        sender.cancel()
    producer._closed = True  # noqa: SLF001


async def bury(producer: AIOKafkaProducer) -> None:
    """Let what is left of a producer that was cut off come to its end, and nobody be told of what failed in it."""
    sender = producer._sender.sender_task  # noqa: SLF001 - there is no such door
    if sender is not None:
        await last_turn({sender})
    for waiting in producer._message_accumulator._batches.values():  # noqa: SLF001
        for batch in waiting:
            drained = batch._drain_waiter  # noqa: SLF001
            if drained.done() and not drained.cancelled():
                drained.exception()
    await close(producer.client)


def fill(builder: Any, messages: Iterable[PlainMessage]) -> int:
    """Put as many messages into a batch as fit, at least one, and close it; return how many they are."""
    append = builder._builder.append  # noqa: SLF001 - its own `append` costs as much again for every record
    none: list[tuple[str, bytes]] = []
    count = 0
    for key, value, headers in messages:
        if append(count, None, key, value, list(headers) if headers else none) is None:
            break
        count += 1
    builder._relative_offset = count  # noqa: SLF001
    builder.close()
    return count


async def close(client: AIOKafkaClient) -> None:
    """Close a client within a bounded time, cutting off what does not end by itself."""
    if not await ended(client.close(), seconds=CLOSE_SECONDS):
        sever(client)
        await ended(client.close(), seconds=CLOSE_SECONDS)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer (a member leaves its group) within a bounded time; one that does not end is cut off."""
    if await ended(consumer.stop(), seconds=STOP_SECONDS):
        return
    sever(client_of(consumer))
    tasks = {task for task in _tasks_of(consumer) if task is not None and not task.done()}
    for task in tasks:
        task.cancel()
    await last_turn(tasks)
    await close(client_of(consumer))


def _tasks_of(consumer: AIOKafkaConsumer) -> "list[asyncio.Task[Any] | None]":
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks = [getattr(coordinator, name, None) for name in names]
    if fetcher is not None:
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]  # noqa: SLF001
    return tasks


async def last_turn(tasks: "set[asyncio.Task[Any]]") -> None:
    """Let cancelled tasks come to their end, and nobody be told of what they raise."""
    if not tasks:
        return
    done, _ = await asyncio.wait(tasks, timeout=LAST_TURN_SECONDS)
    for task in done:
        if not task.cancelled():
            task.exception()


async def ended(work: Awaitable[object], *, seconds: float) -> bool:
    """Await what ends a client; return whether it did within `seconds`.

    The clients await tasks of theirs that they have cancelled, so a CancelledError may come out although nobody
    has cancelled us.
    """
    us = asyncio.current_task()
    assert us is not None
    cancelled_before = us.cancelling()
    try:
        async with asyncio.timeout(seconds):
            await work
    except asyncio.CancelledError:
        if us.cancelling() > cancelled_before:
            raise
        return False
    except (KafkaError, OSError, TimeoutError):
        return False
    return True
