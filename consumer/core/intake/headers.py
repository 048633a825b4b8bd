"""What a record's headers say to the decoder: an envelope around the event, a mark of a resend. Reads no value."""

from collections.abc import Sequence
from typing import Final

from consumer.core.event import NO_RESEND, Resend
from consumer.core.terms import Instant
from schemas.envelopes import ATTRIBUTE_HEADER_PREFIX, ATTRIBUTES, ENVELOPE_CONTENT_TYPE_PREFIX, STRUCTURED_CONTENT_TYPE
from schemas.instants import instant_of
from schemas.mistake import SchemaError

RESEND_ID: Final = "resend-id"
RESEND_REASON: Final = "resend-reason"
RESEND_EXPIRES_AT: Final = "resend-expires-at"
CONTENT_TYPE: Final = "content-type"
MAX_RESEND_ID_CHARS: Final = 128  # as an event ID
MAX_RESEND_REASON_CHARS: Final = 512  # travels in the result; the rest is cut

_SPECVERSION: Final = ATTRIBUTE_HEADER_PREFIX + "specversion"
_OURS: Final = frozenset(
    {RESEND_ID, RESEND_REASON, RESEND_EXPIRES_AT, CONTENT_TYPE}
    | {ATTRIBUTE_HEADER_PREFIX + name for name in ATTRIBUTES}
)


def is_mark(name: str) -> bool:
    """Whether a header concerns us, as far as its name tells; all others change nothing."""
    return name.lower() in _OURS


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
