"""What a result says, as far as a resend is concerned. Reads no topic."""

from typing import Final

import msgspec

from consumer.lookup.results import SourceRecord


class ReadResult(msgspec.Struct, gc=False, frozen=True, rename="camel"):
    """The part of a result that says what became of which event."""

    status: str
    source: SourceRecord
    event_id: str | None = None
    resend_id: str | None = None
    campaign_id: int | None = None


_decode: Final = msgspec.json.Decoder(ReadResult).decode


def outcome_of(value: bytes | None) -> ReadResult | None:
    """Read a result; None where it is none."""
    try:
        return _decode(value or b"")
    except msgspec.MsgspecError:
        return None
