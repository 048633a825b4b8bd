"""Points in a partition as options name them: an offset, or an instant. Reads no clock."""

from datetime import datetime


def offset_of(text: str) -> int | None:
    """Return the offset that a text is, None where it is none."""
    return int(text) if text.isascii() and text.isdigit() else None


def instant_ms_of(text: str) -> int | None:
    """Return the instant (RFC 3339, with its offset from UTC) in milliseconds since 1970, None where it is none."""
    try:
        instant = datetime.fromisoformat(text)
        return None if instant.tzinfo is None else round(instant.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
