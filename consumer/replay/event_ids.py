"""Which event a record is of: its ID, however the event is wrapped, as 64 bits of a hash. Looks at nothing else."""

from collections.abc import Sequence
from typing import Final

import msgspec

from consumer.core.event import Record
from consumer.core.intake.decode import Decoder
from consumer.core.intake.headers import Marks, is_mark
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition, Ticks
from consumer.replay.criteria import hash_of

_NO_TIME: Final = Now(wall=Instant(0.0), steady=Ticks(0.0))
_NOWHERE: Final = Partition("", 0)
NOBODY: Final = 0
"""Stands for the hash where nobody can tell."""

_MAX_HEADERS_KNOWN: Final = 1024
_SLOTS_FOR_EACH: Final = 16
_FEWEST_SLOTS: Final = 1 << 10


class _BareEvent(msgspec.Struct, gc=False, rename="camel"):
    event_id: str


_event_of: Final = msgspec.json.Decoder(_BareEvent).decode


class EventIds:
    """Reads event IDs."""

    def __init__(self) -> None:
        self._decoder = Decoder(Policies())
        self._plain_headers: set[str] = set()
        """Names of headers that say nothing of an envelope, as far as they were met."""

    def of(self, record: Record) -> int:
        """Return the hash of a record's event ID."""
        value = record.value
        if value and value[:1] == b"{" and self._is_bare(record.headers):
            try:
                return hash_of(_event_of(value).event_id)
            except (msgspec.MsgspecError, UnicodeError):
                return NOBODY
        [decoded] = self._decoder.batch(_NOWHERE, [record], _NO_TIME)
        return NOBODY if decoded.event_id is None else hash_of(decoded.event_id)

    def _is_bare(self, headers: Sequence[tuple[str, bytes]]) -> bool:
        """Whether the event is not wrapped into another one."""
        plain = self._plain_headers
        for name, _ in headers:
            if name not in plain:
                if is_mark(name):
                    return not Marks(headers).is_enveloped
                if len(plain) < _MAX_HEADERS_KNOWN:
                    plain.add(name)
        return True


class EventSieve:
    """Hashes that may be among some, two bytes for each: it lets one in sixteen others through."""

    def __init__(self, count: int) -> None:
        """Prepare for so many."""
        slots = max(_FEWEST_SLOTS, 1 << (_SLOTS_FOR_EACH * count).bit_length()) >> 3
        self._bits, self._mask = bytearray(slots), slots - 1

    def add(self, one: int) -> None:
        """Add a hash."""
        self._bits[one >> 3 & self._mask] |= 1 << (one & 7)

    def may_hold(self, one: int) -> bool:
        """Return whether a hash may have been added; False is certain."""
        return bool(self._bits[one >> 3 & self._mask] >> (one & 7) & 1)
