"""What aiokafka's clients lack: closing within a bounded time, and metadata requests that create no topic. Decides nothing.

Their own `stop` waits for brokers that may never answer, and for batches that it goes on sending meanwhile.
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
CANCELLED_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A member's ID, and the group's generation that it belongs to."""

    generation: int
    member: str


def group_member_of(consumer: AIOKafkaConsumer) -> GroupMember:
    """Return a consumer's membership in its group; generation -1 where it is no member."""
    coordinator = consumer._coordinator  # noqa: SLF001 - the consumer has no public way to ask
    if coordinator is None:
        return GroupMember(generation=-1, member="")
    return GroupMember(generation=coordinator.generation, member=coordinator.member_id)


def client_of(clients_user: AIOKafkaConsumer | AIOKafkaAdminClient) -> AIOKafkaClient:
    """Return the client that holds the connections and knows the cluster."""
    return clients_user._client  # noqa: SLF001 - there is no public way to it


def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """Return a consumer's position in a partition; None where it has none."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - the public way waits
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or partition not in assignment.tps:
        return None
    state = assignment.state_value(partition)
    return int(state.position) if state.has_valid_position else None


def last_read_at(consumer: AIOKafkaConsumer, topic: str) -> int:
    """Return when a broker last answered a fetch of a topic, with or without records; 0 where none has.

    In milliseconds of the client's clock. Only answers since the present assignment count.
    """
    subscription = consumer._subscription.subscription  # noqa: SLF001 - the public way needs partitions that are assigned
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return 0
    states = (assignment.state_value(partition) for partition in assignment.tps if partition.topic == topic)
    return max((int(state.timestamp or 0) for state in states), default=0)


class _Results(dict[TopicPartition, FetchResult | FetchError]):
    """The fetcher's dictionary of fetched and not yet returned data, by partition."""

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
        """Do what the result's own `getall` does, without a Python step for every record."""
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


aiokafka.consumer.fetcher.MemoryRecords = FetchedBytes  # the fetcher looks the name up for each answer


def hand_out_records(
    consumer: AIOKafkaConsumer,
    *,
    patience: Patience,
    on_passed: Callable[[TopicPartition, int], None] = lambda _partition, _offset: None,
) -> None:
    """Make a started consumer return records as the parser makes them: offset, timestamp, key, value and headers.

    By itself it copies each into an object of eleven fields, which takes longer than reading and parsing it, and stops
    for ever at one that it cannot parse. `on_passed` gets each position that is past the records returned: past the
    markers of transactions, and past the records of aborted ones.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - the consumer has no public way to it
    results = _Results(patience, on_passed)
    for partition, result in fetcher._records.items():  # noqa: SLF001
        results[partition] = result
    fetcher._records = results  # noqa: SLF001


def forget_fetched(consumer: AIOKafkaConsumer) -> None:
    """Free what was fetched and is not needed any more: up to a MiB for each range that was read."""
    fetched = consumer._fetcher._records  # noqa: SLF001 - the consumer has no public way to it
    for result in fetched.values():
        unpacked = getattr(result, "_partition_records", None)
        if isinstance(unpacked, Unpacked):
            unpacked.close()
    fetched.clear()


def allow_long_joins(client: AIOKafkaClient, seconds: float) -> None:
    """Give requests to the group's coordinator a time-out of their own.

    A join waits for the whole rebalance. With that time-out for all requests, the client would wait as long for a frozen
    leader, and then for every other connection, too: it opens one at a time.
    """
    get_connection = client._get_conn  # noqa: SLF001 - the client has one time-out for all requests

    async def patient(node_id: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT, **options: Any) -> Any:
        connection = await get_connection(node_id, group=group, **options)
        if connection is not None and group is ConnectionGroup.COORDINATION:
            connection._request_timeout = seconds  # noqa: SLF001
        return connection

    client._get_conn = patient  # noqa: SLF001


def forget_late_commits(consumer: AIOKafkaConsumer) -> None:
    """Retrieve the exception of each commit that we have stopped waiting for.

    The client shields a commit from its caller's cancellation. If the commit fails after that, asyncio would log
    "exception was never retrieved", as for a bug of ours.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - the consumer has no public way to it
    commit = coordinator._do_commit_offsets  # noqa: SLF001

    def commit_and_retrieve(*arguments: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(commit(*arguments))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    coordinator._do_commit_offsets = commit_and_retrieve  # noqa: SLF001


async def partition_numbers(client: AIOKafkaClient, topic: str) -> frozenset[int] | None:
    """Return a topic's partition numbers, as a broker says; None where there is no such topic.

    Raises:
        KafkaError: no broker answered, or it refused.
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


def abort_connections(client: AIOKafkaClient) -> None:
    """Abort a client's connections: it sends nothing any more, whatever its tasks still try. `close` must follow."""

    async def no_connection(*_: object, **__: object) -> None:
        """Replace the client's way to get connections: its callers take None for a broker that is not ready."""

    client._get_conn = no_connection  # noqa: SLF001 - the client has no public way to stop it
    for connection in list(client._conns.values()):  # noqa: SLF001
        writer = connection._writer  # noqa: SLF001
        connection.close()
        if writer is not None:
            writer.transport.abort()  # close() alone would wait for a frozen broker to read what is buffered


def cut_off(producer: AIOKafkaProducer) -> None:
    """Take a producer out of use at once: it sends and retries nothing any more. `close_producer` must follow."""
    abort_connections(producer.client)
    sender = producer._sender.sender_task  # noqa: SLF001 - stop() would wait for batches, and retry them
    if sender is not None:
        sender.cancel()
    producer._closed = True  # noqa: SLF001


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer that was cut off: wait for its tasks, retrieve all exceptions, and close its client."""
    sender = producer._sender.sender_task  # noqa: SLF001 - there is no public way to it
    if sender is not None:
        await wait_for_cancelled({sender})
    for waiting in producer._message_accumulator._batches.values():  # noqa: SLF001
        for batch in waiting:
            drained = batch._drain_waiter  # noqa: SLF001
            if drained.done() and not drained.cancelled():
                drained.exception()
    await close(producer.client)


def fill(builder: Any, messages: Iterable[PlainMessage]) -> int:
    """Put as many messages into a batch as fit, at least one, and close it; return their number."""
    append = builder._builder.append  # noqa: SLF001 - the public `append` takes twice the time
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
    """Close a client within a bounded time; connections that do not close by then are aborted."""
    if not await ended(client.close(), seconds=CLOSE_SECONDS):
        abort_connections(client)
        await ended(client.close(), seconds=CLOSE_SECONDS)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer (a member leaves its group) within a bounded time; after that its connections are aborted."""
    if await ended(consumer.stop(), seconds=STOP_SECONDS):
        return
    abort_connections(client_of(consumer))
    tasks = {task for task in _tasks_of(consumer) if task is not None and not task.done()}
    for task in tasks:
        task.cancel()
    await wait_for_cancelled(tasks)
    await close(client_of(consumer))


def _tasks_of(consumer: AIOKafkaConsumer) -> "list[asyncio.Task[Any] | None]":
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks = [getattr(coordinator, name, None) for name in names]
    if fetcher is not None:
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]  # noqa: SLF001
    return tasks


async def wait_for_cancelled(tasks: "set[asyncio.Task[Any]]") -> None:
    """Wait until cancelled tasks have ended, and retrieve their exceptions."""
    if not tasks:
        return
    done, _ = await asyncio.wait(tasks, timeout=CANCELLED_SECONDS)
    for task in done:
        if not task.cancelled():
            task.exception()


async def ended(work: Awaitable[object], *, seconds: float) -> bool:
    """Await a client's `stop` or `close`; return whether it ended within `seconds`.

    The clients await their own cancelled tasks, so a CancelledError may come out although nobody has cancelled us.
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
