"""What a record's headers say to the decoder: an envelope around the event, a resend, a trace. Reads no value."""

import re
from collections.abc import Sequence
from typing import Final

from consumer.core.event import NO_RESEND, Headers, Resend
from consumer.core.terms import Instant
from schemas.envelopes import ATTRIBUTE_HEADER_PREFIX, ATTRIBUTES, ENVELOPE_CONTENT_TYPE_PREFIX, STRUCTURED_CONTENT_TYPE
from schemas.instants import instant_of
from schemas.mistake import SchemaError

RESEND_ID: Final = "resend-id"
RESEND_REASON: Final = "resend-reason"
RESEND_EXPIRES_AT: Final = "resend-expires-at"
CONTENT_TYPE: Final = "content-type"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MAX_RESEND_ID_CHARS: Final = 128  # as an event ID
MAX_RESEND_REASON_CHARS: Final = 512  # travels in the result; the rest is cut

_SPECVERSION: Final = ATTRIBUTE_HEADER_PREFIX + "specversion"
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)(?!00-.{53})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,73})?"
)
"""Version, trace, span and flags; a later version than 00 may say more. Longer ones than 128 bytes are not carried on.
Source: W3C, "Trace Context", level 1, section 3.2."""
_TRACESTATE: Final = re.compile(rb"[\t -~]{1,512}")
"""The vendors' own words; W3C asks for no more than 512 characters to be carried on."""
_TRACE_NAME_CHARS: Final = frozenset({len(TRACEPARENT), len(TRACESTATE)})
_OURS: Final = frozenset(
    {RESEND_ID, RESEND_REASON, RESEND_EXPIRES_AT, CONTENT_TYPE}
    | {ATTRIBUTE_HEADER_PREFIX + name for name in ATTRIBUTES}
)


def is_mark(name: str) -> bool:
    """Whether a header concerns us, as far as its name tells; all others change nothing."""
    return name.lower() in _OURS


def trace_of(headers: Sequence[tuple[str, bytes | None]]) -> Headers:
    """Return the trace that a record belongs to, as headers of what follows from it; empty where there is none.

    Anything may stand in a header: what is no trace is left out. Of a repeated header the last counts.
    """
    parent = state = None
    for name, value in headers:
        if value is None or len(name) not in _TRACE_NAME_CHARS:
            continue
        lowered = name.lower()
        if lowered == TRACEPARENT:
            parent = value
        elif lowered == TRACESTATE:
            state = value
    if parent is None or not _TRACEPARENT.fullmatch(parent):
        return ()
    if state is None or not _TRACESTATE.fullmatch(state):
        return ((TRACEPARENT, parent),)
    return (TRACEPARENT, parent), (TRACESTATE, state)


class Marks:
    """The headers that concern us; of a repeated one the last counts, names are read in any case."""

    __slots__ = ("_found",)

    def __init__(self, headers: Sequence[tuple[str, bytes | None]]) -> None:
        self._found: dict[str, bytes] = {}
        for name, value in headers:
            lowered = name.lower()
            if value is not None and lowered in _OURS:
                self._found[lowered] = value

    @property
    def found_any(self) -> bool:
        """Whether there is a header that concerns us."""
        return bool(self._found)

    @property
    def is_enveloped(self) -> bool:
        """The value is a CloudEvent, or the data of one."""
        return _SPECVERSION in self._found or self._media_type.startswith(ENVELOPE_CONTENT_TYPE_PREFIX)

    @property
    def is_structured(self) -> bool:
        """The value is a whole CloudEvent.

        Raises:
            SchemaError: it is one in a format that is not read, or several.
        """
        media_type = self._media_type
        if media_type.startswith(ENVELOPE_CONTENT_TYPE_PREFIX) and media_type != STRUCTURED_CONTENT_TYPE:
            raise SchemaError(f"header {CONTENT_TYPE}: of CloudEvents only {STRUCTURED_CONTENT_TYPE} is read")
        return media_type == STRUCTURED_CONTENT_TYPE

    @property
    def _media_type(self) -> str:
        value = self._found.get(CONTENT_TYPE, b"")
        return value.partition(b";")[0].strip().decode(errors="replace").lower()

    def attributes(self) -> dict[str, object]:
        """The attributes of a binary CloudEvent; one that is not UTF-8 is left out."""
        found: dict[str, object] = {}
        for name in ATTRIBUTES:
            value = self._found.get(ATTRIBUTE_HEADER_PREFIX + name)
            text = None if value is None else _text(value)
            if text is not None:
                found[name] = text
        return found

    def resend(self) -> Resend:
        """The mark of a deliberate resend, with its deadline where it brings one.

        Raises:
            SchemaError: the resend's ID is none, or its deadline is no instant.
        """
        mark, value = self.resend_mark(), self._found.get(RESEND_EXPIRES_AT)
        if mark.id is None or value is None:
            return mark
        try:
            return mark._replace(expires_at=Instant(instant_of(value.decode())))
        except ValueError:
            raise SchemaError(f"header {RESEND_EXPIRES_AT}: must be an RFC 3339 instant with an offset") from None

    def resend_mark(self) -> Resend:
        """The ID of a deliberate resend and its reason, whatever its deadline says.

        Raises:
            SchemaError: the resend's ID is none.
        """
        value = self._found.get(RESEND_ID)
        if value is None:
            return NO_RESEND
        text = _text(value)
        if not text or len(text) > MAX_RESEND_ID_CHARS:
            raise SchemaError(f"header {RESEND_ID}: must be UTF-8 of 1 to {MAX_RESEND_ID_CHARS} characters")
        reason = self._found.get(RESEND_REASON)
        return Resend(text, None if reason is None else reason.decode(errors="replace")[:MAX_RESEND_REASON_CHARS])


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


NO_MARKS: Final = Marks(())
