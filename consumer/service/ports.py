"""What the service needs from outside, as protocols. Owns no implementation: `edge` does, `cli/run.py` joins them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from consumer.core.event import Record
from consumer.core.platform.answer import Exchange, Withholding
from consumer.core.platform.control import ControlRecord
from consumer.core.terms import JournalOffset, Now, Offset, Partition


class UnsureAppendError(Exception):
    """An append was not acknowledged in time, or its producer failed: it may or may not have landed."""


class NoBrokerError(Exception):
    """No broker answers; the message says why, in a few words."""


class AppendRefusedError(UnsureAppendError):
    """The brokers refuse an append until a person changes permissions or settings; the message says what to change."""


class AppendTooLargeError(Exception):
    """An append does not fit into one batch, or the journal topic allows only smaller ones. Nothing landed."""


class NotTakenError(Exception):
    """The brokers refuse a publication until a person changes something; the message says what."""

    def __init__(self, why: str, *, published: int = 0) -> None:
        """`published` of the messages, the first ones, are acknowledged."""
        super().__init__(why)
        self.published = published


class MessageTooLargeError(NotTakenError):
    """A single message is larger than its topic allows: the first one that is not published."""


class RefusedError(Exception):
    """The brokers refuse a request until a person changes something; the message says what."""


class TopicGoneError(Exception):
    """A topic or partition that must exist does not; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What the group last committed for a partition."""

    offset: Offset
    metadata: str


class Message(NamedTuple):
    """One record to be produced."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


PlainMessage = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
"""A `Message` or a plain tuple of its shape: results are zipped into tuples, which is faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record read from a journal partition."""

    offset: JournalOffset
    timestamp_ms: int
    value: bytes


PlainEntry = tuple[JournalOffset, bytes]
"""An entry's offset and value, without an object of its own: journals hold millions."""


class Clock(Protocol):
    """Reads the wall clock and the steady clock together."""

    def now(self) -> Now: ...


class EventsLog(Protocol):
    """Questions about an events partition that need no membership in the group."""

    async def committed(self, partition: Partition) -> Committed | None:
        """Return the group's commit, None where there is none. Retries until the brokers have said which."""
        ...

    async def log_bounds(self, partition: Partition) -> tuple[Offset, Offset]:
        """Return the log's first offset and its end (one past the last readable record)."""
        ...

    async def read_one(self, partition: Partition, offset: Offset) -> Record | None:
        """Return the record at exactly `offset`, None where none is readable there."""
        ...


class EventsConsumer(EventsLog, Protocol):
    """The group member that reads events. Assigned partitions are paused and have no position at first."""

    @property
    def member(self) -> str:
        """The member's ID in the group, for claims and status; empty before the first join."""
        ...

    @property
    def away_seconds(self) -> float:
        """For how long we have had no assignment: since the last revoke, or since we first asked to join."""
        ...

    async def start(
        self,
        *,
        on_assigned: Callable[[Iterable[Partition]], None],
        on_revoked: Callable[[Iterable[Partition]], Awaitable[None]],
    ) -> None:
        """Join the group. `on_revoked` is awaited before the group moves on; `on_assigned` must return at once."""
        ...

    async def fetch(self, *, max_records: int, timeout_seconds: float) -> Mapping[Partition, Sequence[Record]]:
        """Return what has arrived; empty after `timeout_seconds`. Never holds records of a paused partition.

        Records of urgent topics come first, however much of the others waits, and leave those a part of `max_records`.
        """
        ...

    def unreadable(self) -> Mapping[str, str]:
        """Return the topics that only a person can make readable (deleted or refused), and why; the others are read."""
        ...

    def passed(self) -> Mapping[Partition, Offset]:
        """Return positions past all records handed out, each once: the offsets between have no readable record."""
        ...

    def partition_count(self) -> int:
        """Return how many partitions the events topics have together, as far as the client knows; 0 where it does not."""
        ...

    def truncated(self) -> Mapping[Partition, str]:
        """Return partitions whose log ends before what was already read, each once, and a description."""
        ...

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return the ends of these logs, for those whose brokers answer now.

        Raises:
            NoBrokerError: none answers.
        """
        ...

    async def read_again(self, partition: Partition, start: Offset, stop: Offset) -> tuple[Sequence[Record], Offset]:
        """Return the first records from `start` on and below `stop`, and up to where they are all that can be read.

        This moves no position.

        Raises:
            TopicGoneError: there is no such topic or partition, or its log ends below `stop`, all of which was read once.
            RefusedError: the brokers refuse us.
        """
        ...

    async def first_timestamp_ms(self, partition: Partition, start: Offset) -> int | None:
        """Return the timestamp of the first readable record at or after `start`; this moves no position.

        None where there is no such record, or nobody says within a few seconds.
        """
        ...

    def seek(self, partition: Partition, offset: Offset) -> None: ...
    def pause(self, partitions: Iterable[Partition]) -> None: ...
    def resume(self, partitions: Iterable[Partition]) -> None: ...
    def assignment(self) -> frozenset[Partition]: ...

    async def commit(self, offsets: Mapping[Partition, Committed], *, deadline_seconds: float) -> bool:
        """Commit, and return whether it was acknowledged. False does not mean that the partition is lost."""
        ...

    async def stop(self) -> None:
        """Leave the group. `on_revoked` is not called: drain first."""
        ...


class JournalReader(Protocol):
    """Reads the journal topics. `partition` is always the events partition that the journal belongs to."""

    async def read(self, partition: Partition, start: JournalOffset, stop: JournalOffset) -> Sequence[Entry]:
        """Return the entries from `start` up to but without `stop`, as far as retention has left them."""
        ...

    async def each(
        self,
        partition: Partition,
        start: JournalOffset,
        stop: JournalOffset,
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],
    ) -> None:
        """Call `take` with the entries of a range, in order, in pieces of some thousand entries or a MiB."""
        ...

    async def read_one(self, partition: Partition, at: JournalOffset) -> bytes | None:
        """Return the value of the entry at exactly `at`, None where retention has removed it."""
        ...

    async def bounds(self, partition: Partition) -> tuple[JournalOffset, JournalOffset]:
        """Return the journal partition's first offset and its end."""
        ...

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> JournalOffset | None:
        """Return the first offset whose record is not older than the timestamp, None where there is none."""
        ...


class JournalLog(JournalReader, Protocol):
    """The journal topics, as an owner uses them."""

    async def start(self) -> None: ...

    async def append(self, partition: Partition, values: Sequence[bytes]) -> JournalOffset:
        """Append as one batch; return the first one's offset.

        Raises:
            UnsureAppendError: no acknowledgement in 5 s, or a failed producer (it has been replaced).
            AppendRefusedError: the brokers refuse it; it has most probably not landed.
            AppendTooLargeError: it is more than the journal takes at once; nothing landed.
            TopicGoneError: there is no such journal.
        """
        ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRead:
    """The result of one poll of the control topic."""

    records: Sequence[ControlRecord]
    end: int
    """The topic's end when it was read: `records` has everything below it."""


class ControlLog(Protocol):
    """The control topic, as the service reads it."""

    async def read(self, position: int) -> ControlRead:
        """Return the records from `position` up to the topic's present end; retries for as long as it takes.

        Raises:
            TopicGoneError: there is no such topic.
            RefusedError: the brokers refuse us.
        """
        ...

    async def stop(self) -> None: ...


class ResultsProducer(Protocol):
    """Publishes results and dead letters."""

    async def start(self) -> None: ...

    async def publish(self, topic: str, partition: int | None, messages: Sequence[PlainMessage]) -> None:
        """Return once the brokers have acknowledged all of `messages`; retries for as long as it takes.

        `partition` is taken modulo the topic's partition count; None spreads by key. One caller per partition.

        Raises:
            MessageTooLargeError: a message alone is larger than the topic takes.
            NotTakenError: the brokers refuse it.
            TopicGoneError: there is no such topic.
        """
        ...

    async def stop(self) -> None: ...


class Platform(Protocol):
    """The SMS platform's send endpoint."""

    async def post(
        self, body: bytes, *, last_look: Callable[[], Withholding | None], expires_in_seconds: float | None
    ) -> Exchange:
        """Make one attempt. `last_look` is called with the connection in hand, right before the first byte.

        `expires_in_seconds` is the time until the first deadline among its contacts: a connection is not waited for
        much longer.
        """
        ...

    async def close(self) -> None: ...
