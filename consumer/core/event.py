"""A record, and what it decodes to: an event that may be sent, or an invalid one. Owns the fields, not the decoding."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, final

import msgspec

from consumer.core.history import UNTRIED, History
from consumer.core.outcome import Reason
from consumer.core.terms import Instant, Offset, Partition, SendId, Ticks

MAX_KEY_BYTES = 900_000
"""A broker takes a batch of 1 MiB: a longer key would stop its partition for ever for want of a result."""


def result_key(key: bytes | None) -> bytes | None:
    """What a record's result is published under: the record's key, unless that leaves no room for a result."""
    return None if key is not None and len(key) > MAX_KEY_BYTES else key


Headers = tuple[tuple[str, bytes], ...]
"""Names and values of a record's headers."""


class Record(Protocol):
    """The part of a fetched record that we look at; what a Kafka client hands out fits as it is."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class UnreadableRecord(NamedTuple):
    """Stands for a record that is there and that nobody can read: of its bytes nothing is known."""

    offset: int
    why: str
    """In words that go on behind "the record cannot be read: "; holds nothing of the record."""
    timestamp: int = -1
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Identity:
    """How a person is named. One request holds one kind, so that spellings which cannot be compared never meet."""

    E164 = 0
    """A phone number in the one way that E.164 has."""
    LOCAL = 1
    """A phone number without its country."""
    CODE = 2
    """The platform's code of a contact, and no phone."""
    NATIONAL = 3
    """A phone number beside its country code, or an international one that can be read in two ways."""
    SHORT = 4
    """A phone number without its country, of fewer than seven digits."""


class Resend(NamedTuple):
    """A deliberate resend, or none."""

    id: str | None
    reason: str | None
    expires_at: Instant | None = None
    """The deadline that goes before the event's own; None where the event's holds."""


NO_RESEND: Final = Resend(None, None)


class GroupKey(NamedTuple):
    """Events with equal keys may share a request.

    `options` is the inside of a JSON object, without braces: the send-level options under their wire names,
    those at their default left out, in canonical order; empty where there are none.
    """

    campaign_id: int
    options: bytes
    identity: int


@final
class Event(msgspec.Struct, gc=False, eq=False):
    """A valid contact event and what has been tried with it so far.

    Made once per record on the hot path, so it is a C struct and not a dataclass, and the decoder alone builds it by
    position: by keyword it takes 1.0 microseconds instead of 0.2. Everything above the line comes from the record and
    never changes; below it stands what its partition's owner has done.
    """

    partition: Partition
    offset: Offset
    key: bytes | None
    """What its result is published under."""
    event_id: str
    event_type: str
    occurred_at: str
    occurred: Instant
    external_reference: str
    resend: Resend
    fingerprint: bytes
    """16 bytes over (event ID, resend ID): what deduplication compares."""
    group: GroupKey
    person: str
    """Who gets it, behind the campaign. Order and separation go by it; two people may share one, so nothing else may."""
    contact: bytes
    """The contact as a JSON object under the platform's wire names, ready to be joined into a body."""
    expires_at: Instant | None
    immediate: bool
    unsendable: Reason | None
    """Why no request may carry this valid event, as things are configured; `ending_of` says what becomes of it."""
    size_bytes: int
    """Bytes charged to the buffer while the event is held."""
    timestamp_ms: int
    """The record's, as Kafka has it; -1 where it has none."""
    # --------------------------------------------------------------------
    received_at: Instant
    arrived: Ticks
    send_id: SendId | None = None
    """The send that carries it; None while it waits in a window, or behind its person's earlier events."""
    history: History = UNTRIED
    """What has been tried for it, whatever sends it was in and whoever owned its partition."""
    # -------------------------------------------------------------------- from the record again, and hardly ever there
    trace: Headers = ()
    """The trace that its record belongs to, as W3C's headers say it; its result carries them on as they are.

    Empty where traces are not kept."""


@final
class Invalid(msgspec.Struct, gc=False, kw_only=True, eq=False):
    """A record that is no valid event. Fields that could be read are filled in, the others are null."""

    partition: Partition
    offset: Offset
    key: bytes | None
    reason: Reason
    detail: str
    """What is wrong, for people; never holds a value of the record."""
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int
    unreadable: bool = False
    """Whether its bytes are unknown, so that its dead letter is cut to what is said of it."""
    event_id: str | None = None
    event_type: str | None = None
    campaign_id: int | None = None
    external_reference: str | None = None
    occurred_at: str | None = None
    resend: Resend = NO_RESEND
    size_bytes: int
    received_at: Instant
    trace: Headers = ()
    """As an event's."""


Decoded = Event | Invalid
