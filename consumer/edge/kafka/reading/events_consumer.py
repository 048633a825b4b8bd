"""The group member that reads events. Owns positions and pauses; never decides what is done with a record.

Assigned partitions are paused. They are read only after `seek` and `resume`. The client never chooses a position itself:
it would take a failed read of the commits for a first start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from config.membership import DEFAULT_MEMBERSHIP, Membership
from consumer.core.event import Record
from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.clients import (
    GroupMember,
    client_of,
    group_member_of,
    partition_numbers,
    position_of,
    stop_consumer,
)
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
from consumer.edge.kafka.reading.beside_the_group import ReadsBesideTheGroup
from consumer.edge.kafka.reading.events_topics import EventsTopics
from consumer.edge.kafka.reading.fetching import Fetching
from consumer.edge.kafka.reading.log_edges import LogEdges
from consumer.edge.kafka.reading.log_ends import log_ends
from consumer.edge.kafka.reading.positions import Positions
from consumer.edge.kafka.reading.retention import Retention
from consumer.edge.kafka.reading.topic_reader import DAMAGED_SECONDS
from consumer.edge.kafka.record_batches import Patience
from consumer.service.ports import Committed, NoBrokerError, TopicGoneError

START_SECONDS = 30.0


class InstanceIdInUseError(Exception):
    """Another process has joined the group with our own static name (`group.instance.id`)."""


class GroupConsumer(ReadsBesideTheGroup):
    """A member of the group. Use: `start`; `seek` and `resume` what is assigned; `fetch`, from one task."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        group: str,
        topics: Sequence[str],
        urgent_topics: Collection[str] = (),
        membership: Membership = DEFAULT_MEMBERSHIP,
        instance_id: str | None = None,
        on_trouble: Callable[[str], None] = lambda _why: None,
        on_records_lost: Callable[[Partition, Offset, Offset], None] = lambda _partition, _start, _stop: None,
        on_retention: Callable[[Mapping[str, float]], None] = lambda _seconds: None,
    ) -> None:
        """Prepare. `urgent_topics` are those of the topics that are fetched apart from the others, and handed out first.

        `on_trouble` gets passing errors. `on_records_lost` gets a range (its end is exclusive) that retention removed
        while the partition was being read; reading goes on behind it. `on_retention` gets the seconds that topics keep
        their records, now and then.
        """
        super().__init__(connection, on_trouble=on_trouble, on_records_lost=on_records_lost, on_end=self._saw_end)
        self._connection = connection
        self._group = group
        self._topics = tuple(topics)
        self._membership = membership
        self._instance_id = instance_id
        self._on_trouble = on_trouble
        self._commits = GroupCommits(connection, group=group, on_trouble=on_trouble)
        self._consumer: AIOKafkaConsumer | None = None
        self._failure: BaseException | None = None
        self._positions = Positions(urgent_topics)
        self._edges = LogEdges(
            self._positions,
            bounds=self.log_bounds,
            position_of=lambda partition: position_of(self._running, TopicPartition(*partition)),
            seek=self.seek,
            on_trouble=on_trouble,
            on_records_lost=on_records_lost,
            clock=_now,
        )
        self._group_listener: GroupListener | None = None
        self._group_member: GroupMember | None = None
        self._events_topics = EventsTopics(topics, connection)
        self._retention = Retention(topics, on_known=on_retention, clock=_now)
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
        return "" if self._consumer is None else group_member_of(self._consumer).member

    @property
    def away_seconds(self) -> float:
        """For how long we have had no assignment."""
        since = None if self._group_listener is None else self._group_listener.away_since
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
                    urgent_topics=self._positions.urgent_topics,
                )
                for topic in self._topics:
                    if await partition_numbers(client_of(consumer), topic) is None:
                        raise TopicGoneError(f"the events topic {topic!r} does not exist: create it, then start again")
        except REFUSALS as error:
            raise refused(error, self._connection) from error
        except (KafkaError, OSError, TimeoutError) as error:
            message = f"the brokers at {self._connection} do not answer questions ({words(error)}): check them"
            raise KafkaUnreachableError(message) from error
        self._group_listener = self._new_listener(on_assigned, on_revoked)
        consumer.subscribe(self._topics, listener=self._group_listener)

    def _new_listener(
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
        """Return records of resumed partitions; empty after `timeout_seconds`, and during a rebalance.

        Passing errors are reported and retried, and so is a topic that is gone or refused (`unreadable`). Every other
        error of the member, also of its callbacks, is raised here.

        Raises:
            KafkaRefusedError: the brokers refuse us, the group refuses us, or a topic was refused from the start.
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
        """Return the events topics that only a person can make readable, and why; the others are read."""
        return self._events_topics.unreadable()

    def passed(self) -> Mapping[Partition, Offset]:
        """Return positions past all records handed out, each once: the offsets between have no readable record."""
        return self._positions.take_passed()

    def partition_count(self) -> int:
        """Return how many partitions the events topics have together, as far as the client knows; 0 where it does not."""
        return self._events_topics.partition_count(self._running)

    def truncated(self) -> Mapping[Partition, str]:
        """Return partitions whose log has ended before what was already read for 30 s, each once, and a description."""
        return self._edges.take_truncated()

    def seek(self, partition: Partition, offset: Offset) -> None:
        """Read from here when resumed. Without effect on a partition that is not ours."""
        if partition in self._positions.assigned and self._seek(partition, offset):
            self._positions.seek(partition, offset)
            self._resume_read(partition)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Return no more records of these. What was fetched of them is kept until they are resumed."""
        for partition in partitions:
            self._positions.pause(partition)
            self._pause(partition)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Return records of these, once they have a position. Without effect on those that are not ours."""
        for partition in partitions:
            if partition in self._positions.assigned and self._is_known(partition):
                self._positions.resume(partition)
                self._resume_read(partition)

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions that are assigned to us."""
        return self._positions.assigned

    # ---------------------------------------------------------------- commits

    async def committed(self, partition: Partition) -> Committed | None:
        """Return the group's commit, None where there is none. Retries until the brokers have said which.

        Raises:
            KafkaRefusedError: the brokers refuse us.
        """
        return await self._commits.of(partition)

    async def commit(self, offsets: Mapping[Partition, Committed], *, deadline_seconds: float) -> bool:
        """Commit, and return whether it was acknowledged. False does not mean that the partition is lost.

        A commit that was not acknowledged may still land, even after a newer one.
        """
        consumer = self._running
        ours = consumer.assignment()
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(commit.offset, commit.metadata)
            for partition, commit in offsets.items()
        }
        if not wanted:
            return True
        if not wanted.keys() <= ours or group_member_of(consumer).generation < 0:
            return False  # a commit without a generation is no member's, and an empty group accepts it
        try:
            async with asyncio.timeout(deadline_seconds):
                await consumer.commit(wanted)
        except (KafkaError, OSError, TimeoutError) as error:
            self._on_trouble(f"committing: {words(error)}")
            return False
        return True

    # ---------------------------------------------------------------- logs

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return the ends of these logs, for those whose brokers answer now. Without any, checks whether a broker answers.

        Raises:
            NoBrokerError: none answers.
        """
        client = client_of(self._running)
        if partitions:
            ends = await log_ends(client, partitions)
            await self._retention.look(client)
            return ends
        try:
            await partition_numbers(client, self._topics[0])
        except REFUSALS:
            return {}  # a broker has answered; `unreadable` reports the topic
        except (KafkaError, OSError) as error:
            raise NoBrokerError(words(error)) from error
        return {}

    def _saw_end(self, partition: Partition, read: Offset, end: Offset) -> None:
        self._edges.ends(partition, end, read=read)

    async def stop(self) -> None:
        """Leave the group. `on_revoked` is not called: drain first."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)
        await self._reader.stop()

    # ---------------------------------------------------------------- assignments and revokes

    def _revoked(self) -> None:
        self._positions.receive(frozenset())
        self._edges.forget()

    def _received(self, partitions: frozenset[Partition]) -> None:
        self._positions.receive(partitions)
        self._edges.forget()
        self._events_topics.assigned({partition.topic for partition in partitions})
        for partition in partitions:
            self._pause(partition)
            self._seek(partition, 0)  # any position: without one the client reads the commit by itself
        self._check_generation()

    def _check_generation(self) -> None:
        before, now = self._group_member, group_member_of(self._running)
        self._group_member = now
        if self._instance_id is None or before is None:
            return
        # A member that was removed for its silence rejoins in a new generation. A member whose static name was taken by
        # another process rejoins, with another ID, in the same generation.
        if before.generation == now.generation and before.member != now.member:
            raise self._in_use()

    async def _check_name(self) -> None:
        """If another process has taken our static name, do not rejoin: the two would take it from each other for ever."""
        if self._instance_id is None or self._group_member is None or group_member_of(self._running).generation >= 0:
            return
        if await is_name_taken(
            self._connection, self._group, instance_id=self._instance_id, by_others_than=self._group_member.member
        ):
            self._fail(self._in_use())
            await asyncio.Event().wait()  # the client rejoins when we return; `stop` ends this

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
        """Return whether the client still has the partition: its assignment may change before our listener is called."""
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
