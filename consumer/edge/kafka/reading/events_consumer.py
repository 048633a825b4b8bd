"""The group member that reads events. Owns positions and what is read from; never decides what is done with a record.

Partitions arrive paused, and nothing of them comes out before they were sought and resumed: the client would take a
failed look at the commits for a first start, so positions are given to it, never left to it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from config.membership import DEFAULT_MEMBERSHIP, Membership
from consumer.core.event import Record
from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.clients import Seat, client_of, partition_numbers, position_of, seat_of, stop_consumer
from consumer.edge.kafka.connection import (
    REFUSALS,
    KafkaConnection,
    KafkaUnreachableError,
    refused,
    until_reachable,
    words,
)
from consumer.edge.kafka.group.client import new_group_client, start_group_client
from consumer.edge.kafka.group.commits import GroupCommits
from consumer.edge.kafka.group.listener import GroupListener
from consumer.edge.kafka.group.refusals import refused_by_group
from consumer.edge.kafka.group.view import is_name_taken
from consumer.edge.kafka.reading.events_topics import EventsTopics
from consumer.edge.kafka.reading.fetching import Fetching
from consumer.edge.kafka.reading.log_edges import LogEdges
from consumer.edge.kafka.reading.log_ends import log_ends
from consumer.edge.kafka.reading.positions import Positions
from consumer.edge.kafka.reading.topic_reader import DAMAGED_SECONDS, Isolation, TopicReader
from consumer.edge.kafka.record_batches import Patience
from consumer.service.ports import Committed, NoBrokerError, TopicGoneError

START_SECONDS = 30.0


class InstanceIdInUseError(Exception):
    """Another process has taken our seat in the group by our own static name."""


class GroupConsumer:
    """A member of the group, one task fetching. Use: `start`, then seek and resume what arrives, `fetch`."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        group: str,
        topics: Sequence[str],
        membership: Membership = DEFAULT_MEMBERSHIP,
        instance_id: str | None = None,
        on_trouble: Callable[[str], None] = lambda _why: None,
        on_records_lost: Callable[[Partition, Offset, Offset], None] = lambda _partition, _start, _stop: None,
    ) -> None:
        """Prepare.

        `on_trouble` hears of passing errors, `on_records_lost` of a range (past-the-end exclusive) that retention
        removed while the partition was being read; reading goes on behind it.
        """
        self._connection = connection
        self._group = group
        self._topics = tuple(topics)
        self._membership = membership
        self._instance_id = instance_id
        self._on_trouble = on_trouble
        self._reader = TopicReader(connection, isolation=Isolation.COMMITTED, on_trouble=on_trouble)
        self._commits = GroupCommits(connection, group=group, on_trouble=on_trouble)
        self._consumer: AIOKafkaConsumer | None = None
        self._failure: BaseException | None = None
        self._positions = Positions()
        self._edges = LogEdges(
            self._positions,
            bounds=self.log_bounds,
            position_of=lambda partition: position_of(self._running, TopicPartition(*partition)),
            seek=self.seek,
            on_trouble=on_trouble,
            on_records_lost=on_records_lost,
            clock=_now,
        )
        self._place: GroupListener | None = None
        self._seat: Seat | None = None
        self._events_topics = EventsTopics(topics, connection)
        self._fetching = Fetching(
            positions=self._positions,
            edges=self._edges,
            topics=self._events_topics,
            on_trouble=on_trouble,
            clock=_now,
        )

    @property
    def member(self) -> str:
        """The member's ID in the group; empty before the first join."""
        return "" if self._consumer is None else seat_of(self._consumer).member

    @property
    def away_seconds(self) -> float:
        """For how long the group has given us no place."""
        since = None if self._place is None else self._place.away_since
        return 0.0 if since is None else _now() - since

    async def start(
        self,
        *,
        on_assigned: Callable[[Iterable[Partition]], None],
        on_revoked: Callable[[Iterable[Partition]], Awaitable[None]],
    ) -> None:
        """Start joining the group; patient with brokers that are starting.

        Raises:
            KafkaRefusedError: the brokers refuse us.
            KafkaUnreachableError: none answers.
            TopicGoneError: an events topic does not exist.
        """
        await until_reachable(self._connection, on_trouble=self._on_trouble)
        self._consumer = consumer = new_group_client(
            self._connection, self._group, membership=self._membership, instance_id=self._instance_id
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await start_group_client(
                    consumer,
                    patience=Patience(seconds=DAMAGED_SECONDS, clock=_now),
                    on_passed=self._fetching.has_passed,
                )
                for topic in self._topics:
                    if await partition_numbers(client_of(consumer), topic) is None:
                        raise TopicGoneError(f"the events topic {topic!r} does not exist: create it, then start again")
        except REFUSALS as error:
            raise refused(error, self._connection) from error
        except (KafkaError, OSError, TimeoutError) as error:
            message = f"the brokers at {self._connection} do not answer questions ({words(error)}): check them"
            raise KafkaUnreachableError(message) from error
        self._place = self._listener(on_assigned, on_revoked)
        consumer.subscribe(self._topics, listener=self._place)

    def _listener(
        self,
        on_assigned: Callable[[Iterable[Partition]], None],
        on_revoked: Callable[[Iterable[Partition]], Awaitable[None]],
    ) -> GroupListener:
        async def revoked(partitions: Iterable[Partition]) -> None:
            self._positions.pause_all()
            await self._check_name()
            await on_revoked(partitions)

        def assigned(partitions: Iterable[Partition]) -> None:
            self._received(frozenset(partitions))
            on_assigned(partitions)

        return GroupListener(assigned=assigned, revoking=revoked, revoked=self._revoked, failed=self._fail)

    # ---------------------------------------------------------------- reading

    async def fetch(self, *, max_records: int, timeout_seconds: float) -> Mapping[Partition, Sequence[Record]]:
        """Return what has arrived of resumed partitions; empty after `timeout_seconds`, and through a rebalance.

        Passing errors are reported and waited out, and so is a topic that is gone or refused (`unreadable`). Whatever
        else goes wrong in the member, in its callbacks too, comes out here.

        Raises:
            KafkaRefusedError: the brokers refuse us, the group does, or a topic could never be read since the start.
            InstanceIdInUseError: another process uses our static name.
        """
        self._check()
        try:
            records = await self._fetching.records(
                self._running, max_records=max_records, timeout_seconds=timeout_seconds
            )
        except REFUSALS as error:
            raise refused(error, self._connection) from error
        except KafkaError as error:
            raise refused_by_group(
                error, group=self._group, membership=self._membership, instance_id=self._instance_id
            ) from error
        self._check()
        return records

    def unreadable(self) -> Mapping[str, str]:
        """Return the events topics that only a person can bring back, and why; the others are read."""
        return self._events_topics.unreadable()

    def passed(self) -> Mapping[Partition, Offset]:
        """Return, once, positions that are behind all records handed out: what stands between, nobody may read."""
        return self._positions.take_passed()

    def truncated(self) -> Mapping[Partition, str]:
        """Return, once, partitions whose log has ended below what was read of it for 30 s, and words for that."""
        return self._edges.take_truncated()

    def seek(self, partition: Partition, offset: Offset) -> None:
        """Read from here when resumed. Without effect on a partition that is not ours."""
        if partition in self._positions.assigned and self._seek(partition, offset):
            self._positions.seek(partition, offset)
            self._resume_read(partition)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Hand out nothing more of these. What has been fetched of them stays for when they are resumed."""
        for partition in partitions:
            self._positions.pause(partition)
            self._pause(partition)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Hand out records of these, once they have been sought. Without effect on those that are not ours."""
        for partition in partitions:
            if partition in self._positions.assigned and self._is_known(partition):
                self._positions.resume(partition)
                self._resume_read(partition)

    def assignment(self) -> frozenset[Partition]:
        """Return what the group has given us and not taken back."""
        return self._positions.assigned

    # ---------------------------------------------------------------- commits

    async def committed(self, partition: Partition) -> Committed | None:
        """Return the group's commit, None where there surely is none. Retries until it knows.

        Raises:
            KafkaRefusedError: the brokers refuse us.
        """
        return await self._commits.of(partition)

    async def commit(self, offsets: Mapping[Partition, Committed], *, deadline_seconds: float) -> bool:
        """Commit; False means "not committed, as far as we know", never "not the owner".

        A commit that is late may still land, even after a newer one.
        """
        consumer = self._running
        ours = consumer.assignment()
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(commit.offset, commit.metadata)
            for partition, commit in offsets.items()
        }
        if not wanted:
            return True
        if not wanted.keys() <= ours or seat_of(consumer).generation < 0:
            return False  # without a generation it would go out as nobody's, which an empty group accepts
        try:
            async with asyncio.timeout(deadline_seconds):
                await consumer.commit(wanted)
        except (KafkaError, OSError, TimeoutError) as error:
            self._on_trouble(f"committing: {words(error)}")
            return False
        return True

    # ---------------------------------------------------------------- logs

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return the ends of these logs, as far as their brokers answer now. Without any, asks whether one answers.

        Raises:
            NoBrokerError: none does.
        """
        client = client_of(self._running)
        if partitions:
            return await log_ends(client, partitions)
        try:
            await partition_numbers(client, self._topics[0])
        except REFUSALS:
            return {}  # that is an answer, and `unreadable` tells of it
        except (KafkaError, OSError) as error:
            raise NoBrokerError(words(error)) from error
        return {}

    async def log_bounds(self, partition: Partition) -> tuple[Offset, Offset]:
        """Return the log's first offset and its end (one past the last readable record). Retries until it knows.

        Raises:
            TopicGoneError: there is no such topic or partition.
            KafkaRefusedError: the brokers refuse us.
        """
        first, end = await self._reader.bounds(TopicPartition(*partition))
        return Offset(first), Offset(end)

    async def read_one(self, partition: Partition, offset: Offset) -> Record | None:
        """Return the record at exactly `offset`, None where none is readable there. Raises as `log_bounds` does."""
        record: Record | None = await self._reader.read_one(TopicPartition(*partition), offset)
        return record

    async def stop(self) -> None:
        """Leave the group. No revoke is called: drain first."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)
        await self._reader.stop()

    # ---------------------------------------------------------------- the group's news

    def _revoked(self) -> None:
        self._positions.receive(frozenset())
        self._edges.forget()

    def _received(self, partitions: frozenset[Partition]) -> None:
        self._positions.receive(partitions)
        self._edges.forget()
        self._events_topics.given({partition.topic for partition in partitions})
        for partition in partitions:
            self._pause(partition)
            self._seek(partition, 0)  # any position: without one the client looks for a commit by itself
        self._check_seat()

    def _check_seat(self) -> None:
        before, seat = self._seat, seat_of(self._running)
        self._seat = seat
        if self._instance_id is None or before is None:
            return
        # A member thrown out for its silence comes back to a new generation; one whose seat was taken by its
        # own name comes back, as another member, to the same.
        if before.generation == seat.generation and before.member != seat.member:
            raise self._in_use()

    async def _check_name(self) -> None:
        """Look whether the seat that we have lost was taken by our own name: then do not take it back, and so on."""
        if self._instance_id is None or self._seat is None or seat_of(self._running).generation >= 0:
            return
        if await is_name_taken(
            self._connection, self._group, instance_id=self._instance_id, by_others_than=self._seat.member
        ):
            self._fail(self._in_use())
            await asyncio.Event().wait()  # the client joins again when we return; `stop` ends this

    def _in_use(self) -> InstanceIdInUseError:
        return InstanceIdInUseError(
            f"CAMPAIGN_KAFKA__GROUP_INSTANCE_ID={self._instance_id}: another process is a member of group "
            f"{self._group!r} by this name: give each instance a name of its own"
        )

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    # ---------------------------------------------------------------- the client

    @property
    def _running(self) -> AIOKafkaConsumer:
        assert self._consumer is not None, "start comes first"
        return self._consumer

    def _is_known(self, partition: Partition) -> bool:
        """Whether the client, too, has the partition: it may be ahead of what its listener has been told."""
        return TopicPartition(*partition) in self._running.assignment()

    def _seek(self, partition: Partition, offset: int) -> bool:
        if not self._is_known(partition):
            return False
        self._running.seek(TopicPartition(*partition), offset)
        return True

    def _pause(self, partition: Partition) -> None:
        if self._is_known(partition):
            self._running.pause(TopicPartition(*partition))

    def _resume_read(self, partition: Partition) -> None:
        if self._positions.is_read(partition):
            self._running.resume(TopicPartition(*partition))


def _now() -> float:
    return asyncio.get_running_loop().time()
