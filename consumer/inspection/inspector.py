"""Reads the group's state from Kafka, and writes an operator's decision to a journal. Joins no group, commits nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.core.journal.entries import Accepted, Claim, Entry, Stray, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.group import group_of
from consumer.core.terms import Instant, JournalOffset, Offset, Partition
from consumer.inspection.view import Gathered, PartitionView, State, view
from consumer.service.evidence import JournalReading, PartitionEvidence
from consumer.service.ports import EventsLog, JournalLog, UnsureAppendError

TRIES = 5
"""If a member claims the partition between our read and our write, it is read again; at most so often."""


class NotAcceptedError(Exception):
    """The partition may not start; the message is a line that says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The existing partitions, and the group's members."""

    events: Mapping[str, int]
    """Events topics, and how many partitions each has."""
    journals: Mapping[str, tuple[str, int]]
    """Each events topic's journal, and how many partitions that has."""
    members: frozenset[str]

    def partitions(self) -> list[Partition]:
        """Return every partition of the events topics."""
        return [Partition(topic, number) for topic, count in self.events.items() for number in range(count)]

    def journal_missing(self, partition: Partition) -> str | None:
        """Return why a partition has no journal; None where it has one."""
        journal, count = self.journals[partition.topic]
        if partition.number < count:
            return None
        return (
            f"the journal {journal!r} has {count} partitions: give it {self.events[partition.topic]}, "
            f"as many as {partition.topic!r} has"
        )


class Inspector:
    """Reads the state of partitions, and lets stopped ones start."""

    def __init__(self, *, events: EventsLog, journal: JournalLog, layout: Layout, group: str) -> None:
        self._evidence = PartitionEvidence(events=events, journal=journal)
        self._journal = journal
        self._layout = layout
        self._group = group

    async def look(self, partition: Partition) -> PartitionView:
        """Return a partition's state."""
        missing = self._layout.journal_missing(partition)
        if missing is not None:
            return PartitionView(partition=partition, state=State.NO_JOURNAL, why=missing)
        return view(await self._gather(partition))

    async def _gather(self, partition: Partition) -> Gathered:
        _, end = await self._journal.bounds(partition)
        reading = await self._evidence.read(partition, end)
        checkpoint_at = reading.checkpoint_at
        return Gathered(
            partition=partition,
            group=self._group,
            reading=reading,
            evidence=await self._evidence.evidence(partition, reading),
            journal_end=end,
            members=self._layout.members,
            claim=await self._newest_claim(partition, reading),
            checkpoint_written_at=None if checkpoint_at is None else await self._written_at(partition, checkpoint_at),
        )

    async def _newest_claim(
        self, partition: Partition, reading: JournalReading
    ) -> tuple[JournalOffset, Claim | None] | None:
        group = group_of(reading.replay.people)
        for placed in reversed(reading.replay.people):
            if isinstance(placed.entry, Claim) and placed.entry.group == group:
                return placed.offset, placed.entry
        at = None if reading.checkpoint is None else reading.checkpoint.claim
        if at is None:
            return None
        entry = await self._entry_at(partition, at)
        return at, entry if isinstance(entry, Claim) else None

    async def _entry_at(self, partition: Partition, at: JournalOffset) -> Entry | Stray | None:
        entries = await self._journal.read(partition, at, JournalOffset(at + 1))
        return decode(entries[0].offset, entries[0].value).entry if entries else None

    async def _written_at(self, partition: Partition, at: JournalOffset) -> Instant | None:
        entries = await self._journal.read(partition, at, JournalOffset(at + 1))
        return Instant(entries[0].timestamp_ms / 1000) if entries else None

    async def accept(self, seen: PartitionView, start: Offset, now: Instant) -> JournalOffset:
        """Let a stopped partition start at an offset; return the journal offset of that decision.

        Raises:
            NotAcceptedError: it may not start, or other writers always came first.
        """
        for _ in range(TRIES):
            check_may_start(seen, start)
            assert seen.journal_end is not None
            assert seen.log_end is not None
            assert seen.why is not None
            decision = Accepted(group=self._group, start=start, end=seen.log_end, why=seen.why, accepted_at=now)
            try:
                landed = await self._journal.append(seen.partition, [encode(decision, seen.journal_end)])
            except UnsureAppendError as error:
                message = (
                    f"{seen.partition}: it is unknown whether the decision was written ({error}): run inspect, then "
                    "try again"
                )
                raise NotAcceptedError(message) from error
            if landed == seen.journal_end:
                return landed
            seen = await self.look(seen.partition)
        raise NotAcceptedError(f"{seen.partition}: its journal is written to by others all the time: try again")


def check_may_start(seen: PartitionView, start: Offset) -> None:
    """Make sure that the partition is stopped, and that it can start at this offset.

    Raises:
        NotAcceptedError: it is not stopped, or cannot start there.
    """
    if seen.state is not State.STOPPED:
        detail = "" if seen.why is None else f" ({seen.why})"
        raise NotAcceptedError(f"{seen.partition} is not stopped: its state is {seen.state.value}{detail}")
    if seen.at_work:
        assert seen.owner is not None
        raise NotAcceptedError(
            f"{seen.partition} is at work with member {seen.owner.member}: stop that instance first, then accept"
        )
    assert seen.log_start is not None
    assert seen.log_end is not None
    if not seen.log_start <= start <= seen.log_end:
        raise NotAcceptedError(
            f"{seen.partition} cannot start at offset {start}: its log goes from {seen.log_start} to {seen.log_end}; "
            "say where with --at: an offset, beginning or end"
        )
