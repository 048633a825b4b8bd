"""A journal partition and an events partition in memory, for what Kafka cannot be made to do at a given moment."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from consumer.core.journal.entries import Entry as JournalEntry
from consumer.core.journal.entries import encode
from consumer.core.terms import JournalOffset, Offset, Partition
from consumer.service.ports import Committed, Entry, PlainEntry, UnsureAppendError

P0 = Partition("events", 0)
HOUR_MS = 3_600_000


@dataclass
class OneJournal:
    """What was appended, where it landed; `before_append` may let somebody else be quicker."""

    values: list[bytes] = field(default_factory=list)
    first: int = 0
    """The first offset that retention has left."""
    before_append: Callable[[], None] = lambda: None
    unsure: bool = False

    def say(self, entry: JournalEntry, *, at: int | None = None) -> None:
        """Append an entry that expects to stand where it does, or elsewhere."""
        self.values.append(encode(entry, JournalOffset(len(self.values) if at is None else at)))

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    async def append(self, partition: Partition, values: Sequence[bytes]) -> JournalOffset:  # noqa: ARG002
        self.before_append()
        if self.unsure:
            raise UnsureAppendError("no acknowledgement")
        self.values.extend(values)
        return JournalOffset(len(self.values) - len(values))

    async def read(self, partition: Partition, start: JournalOffset, stop: JournalOffset) -> Sequence[Entry]:  # noqa: ARG002
        return [
            Entry(offset=JournalOffset(offset), timestamp_ms=offset * HOUR_MS, value=self.values[offset])
            for offset in range(max(start, self.first), min(stop, len(self.values)))
        ]

    async def each(
        self,
        partition: Partition,  # noqa: ARG002
        start: JournalOffset,
        stop: JournalOffset,
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],
    ) -> None:
        offsets = range(max(start, self.first), min(stop, len(self.values)))
        if offsets:
            await take([(JournalOffset(offset), self.values[offset]) for offset in offsets])

    async def read_one(self, partition: Partition, at: JournalOffset) -> bytes | None:  # noqa: ARG002
        return self.values[at] if self.first <= at < len(self.values) else None

    async def bounds(self, partition: Partition) -> tuple[JournalOffset, JournalOffset]:  # noqa: ARG002
        return JournalOffset(self.first), JournalOffset(len(self.values))

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> JournalOffset | None:  # noqa: ARG002
        offset = -(-timestamp_ms // HOUR_MS)
        return JournalOffset(max(offset, self.first)) if offset < len(self.values) else None


@dataclass
class OneLog:
    """An events partition of which only its ends and the group's commit are known."""

    commit: Committed | None = None
    start: int = 0
    end: int = 100

    async def committed(self, partition: Partition) -> Committed | None:  # noqa: ARG002
        return self.commit

    async def log_bounds(self, partition: Partition) -> tuple[Offset, Offset]:  # noqa: ARG002
        return Offset(self.start), Offset(self.end)

    async def read_one(self, partition: Partition, offset: Offset) -> None:  # noqa: ARG002
        return None
