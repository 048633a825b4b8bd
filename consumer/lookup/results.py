"""Which results are wanted, each once however often it was published. Reads no topic."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

SEGMENT_OFFSETS: Final = 4_096


class SourceRecord(msgspec.Struct, gc=False, frozen=True):
    """Where the record stands whose result it is."""

    topic: str
    partition: int
    offset: int


class PlatformWords(msgspec.Struct, gc=False, frozen=True):
    """The platform's words about it, masked."""

    status: int | None = None
    message: str | None = None


class FoundResult(msgspec.Struct, gc=False, frozen=True, rename="camel"):
    """What people look for in a result, and what they are shown of it."""

    result_id: str
    status: str
    source: SourceRecord
    completed_at: str
    event_id: str | None = None
    campaign_id: int | None = None
    reason: str | None = None
    external_reference: str | None = None
    attempts: int = 0
    possible_duplicate: bool = False
    detail: str | None = None
    response: PlatformWords | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedResult:
    """A result with its record's key, and as it was published."""

    result: FoundResult
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedResults:
    """What a result has to be; an empty collection asks for nothing."""

    events: Collection[str] = ()
    references: Collection[str] = ()
    campaigns: Collection[int] = ()
    statuses: Collection[str] = ()
    reasons: Collection[str] = ()

    def has(self, result: FoundResult) -> bool:
        """Whether it is one of these."""
        return (
            (not self.events or result.event_id in self.events)
            and (not self.references or result.external_reference in self.references)
            and (not self.campaigns or result.campaign_id in self.campaigns)
            and (not self.statuses or result.status in self.statuses)
            and (not self.reasons or result.reason in self.reasons)
        )


_decode: Final = msgspec.json.Decoder(FoundResult).decode


def read_result(record: Any) -> PublishedResult | None:
    """Return the result that a record is; None where it is none."""
    value = record.value
    try:
        result = _decode(value or b"")
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return None if result.source.offset < 0 else PublishedResult(result=result, key=record.key, value=value)


class SeenRecords:
    """The records whose result was seen: a bit for each, where many of a partition are."""

    def __init__(self) -> None:
        self._segments: dict[tuple[str, int, int], bytearray] = {}

    def is_new(self, source: SourceRecord) -> bool:
        """Whether this one was not seen before; from now on it was."""
        number, place = divmod(source.offset, SEGMENT_OFFSETS)
        segment = self._segments.setdefault((source.topic, source.partition, number), bytearray(SEGMENT_OFFSETS // 8))
        bit = 1 << place % 8
        if segment[place // 8] & bit:
            return False
        segment[place // 8] |= bit
        return True

    def has(self, topic: str, partition: int, offset: int) -> bool:
        """Whether this one was seen."""
        number, place = divmod(offset, SEGMENT_OFFSETS)
        segment = self._segments.get((topic, partition, number))
        return segment is not None and bool(segment[place // 8] & 1 << place % 8)


class ResultFilter:
    """Picks the wanted results out of a topic's records; a result that is published again is not picked again."""

    def __init__(self, wanted: WantedResults) -> None:
        """Prepare."""
        self._wanted = wanted
        self._seen = SeenRecords()
        self.strange = 0
        """Records that are no results."""

    def keep(self, record: Any) -> PublishedResult | None:
        """Return the result that a record is, None where it is not wanted."""
        found = read_result(record)
        if found is None:
            self.strange += 1
            return None
        return found if self._wanted.has(found.result) and self._seen.is_new(found.result.source) else None
