"""Members of consumer groups that do as a test says. Assert nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from config.membership import Membership
from consumer.core.event import Record
from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.reading.events_consumer import GroupConsumer
from tests.kafka.support import connection_to
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

DEADLINE_SECONDS = 60.0


@dataclass(slots=True, kw_only=True)
class Member:
    """A member of a group that takes what it is given from its beginning, and notes what happens."""

    consumer: GroupConsumer
    assignments: list[frozenset[Partition]] = field(default_factory=list)
    revocations: list[frozenset[Partition]] = field(default_factory=list)
    records: dict[Partition, list[Record]] = field(default_factory=dict)

    async def fetch(self) -> int:
        """Fetch once; return how many records came."""
        fetched = await self.consumer.fetch(max_records=10_000, timeout_seconds=0.2)
        for partition, batch in fetched.items():
            self.records.setdefault(partition, []).extend(batch)
        return sum(map(len, fetched.values()))

    async def fetch_until(self, count: int) -> None:
        """Fetch until so many records have come in all; the test's own deadline bounds it."""
        while self.count < count:
            await self.fetch()

    @property
    def count(self) -> int:
        return sum(map(len, self.records.values()))

    def values(self, partition: Partition) -> Sequence[bytes | None]:
        return [record.value for record in self.records.get(partition, [])]

    def begin(self, partition: Partition, offset: int = 0) -> None:
        """Read a partition from an offset on."""
        self.consumer.seek(partition, Offset(offset))
        self.consumer.resume([partition])


@asynccontextmanager
async def member_of(
    kafka: Cluster,
    topic: str,
    *,
    urgent_topics: Sequence[str] = (),
    group: str | None = None,
    instance_id: str | None = None,
    on_assigned: Callable[[Iterable[Partition]], None] = lambda _: None,
    hand_over_seconds: float = 0.0,
    session_seconds: float = 10.0,
    heard: list[str] | None = None,
    on_records_lost: Callable[[Partition, Offset, Offset], None] = lambda *_: None,
) -> AsyncIterator[Member]:
    """A member of a group, the topic's name by default, that fetches only when told to."""
    consumer = GroupConsumer(
        connection_to(kafka),
        group=group or topic,
        topics=[topic, *urgent_topics],
        urgent_topics=urgent_topics,
        membership=Membership(session_seconds=session_seconds),
        instance_id=instance_id,
        on_trouble=([] if heard is None else heard).append,
        on_records_lost=on_records_lost,
    )
    member = Member(consumer=consumer)

    def assigned(partitions: Iterable[Partition]) -> None:
        member.assignments.append(frozenset(partitions))
        on_assigned(partitions)

    async def revoked(partitions: Iterable[Partition]) -> None:
        member.revocations.append(frozenset(partitions))
        await asyncio.sleep(hand_over_seconds)

    try:
        await consumer.start(on_assigned=assigned, on_revoked=revoked)
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield member
    finally:
        await consumer.stop()


async def until_assigned(*members: Member, count: int) -> None:
    """Fetch with all members until they have so many partitions between them, and each has some."""

    async def shared() -> bool:
        for member in members:
            await member.fetch()
        sizes = [len(member.consumer.assignment()) for member in members]
        return sum(sizes) == count and min(sizes) > 0

    await eventually(shared, within_seconds=DEADLINE_SECONDS, what=f"{count} partitions assigned")


async def fetch_for_ever(*members: Member) -> None:
    while True:
        for member in members:
            await member.fetch()
