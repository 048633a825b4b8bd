"""Reads and writes instants as text: RFC 3339 with an offset. Never reads a clock.

All code uses this one parser, which defines what a valid instant is. It is fast, because the parts that repeat from event
to event (the second, and the fraction with its offset) are cached in two small tables.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

END_OF_TIME: Final = 253_402_300_800.0
"""10000-01-01T00:00:00Z, the first instant that cannot be written."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - both sides of the subtraction are naive UTC
_SECOND_CHARS: Final = 19  # 2026-11-24T15:40:19
_SEPARATORS: Final = (("-", 4), ("-", 7), (":", 13), (":", 16))
_TAIL: Final = re.compile(
    r"(?P<fraction>\.[0-9]{1,32})?(?:[Zz]|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))"
)
_MAX_SECONDS_KNOWN: Final = 4096  # over an hour of distinct seconds
_MAX_TAILS_KNOWN: Final = 2048  # every millisecond in one offset, twice
_SHORT_TAIL_CHARS: Final = 6  # `.123Z` and `+01:00`; longer ones hardly repeat

_seconds: dict[str, float] = {}
_tails: dict[str, float] = {}


def instant_of(text: str) -> float:
    """Return an RFC 3339 instant as seconds since 1970-01-01T00:00:00Z; a leap second equals the next second.

    Raises:
        ValueError: `text` is no RFC 3339 instant with an offset; the message never quotes it.
    """
    second = _seconds.get(text[:_SECOND_CHARS])
    if second is None:
        second = _read_second(text[:_SECOND_CHARS])
    tail = _tails.get(text[_SECOND_CHARS:])
    if tail is None:
        tail = _read_tail(text[_SECOND_CHARS:])
    return second + tail


def _read_second(text: str) -> float:
    if len(text) != _SECOND_CHARS or text[10] not in "Tt" or any(text[at] != mark for mark, at in _SEPARATORS):
        raise ValueError("must be an RFC 3339 instant with an offset")
    is_leap = text[17:] == "60"
    try:
        moment = datetime.fromisoformat(f"{text[:10]}T{text[11:17]}{'59' if is_leap else text[17:]}")
    except ValueError:
        raise ValueError("must be an RFC 3339 instant that exists") from None
    second = (moment - _EPOCH).total_seconds() + is_leap
    if len(_seconds) >= _MAX_SECONDS_KNOWN:
        _seconds.clear()
    _seconds[text] = second
    return second


def _read_tail(text: str) -> float:
    found = _TAIL.fullmatch(text)
    if found is None:
        raise ValueError("must be an RFC 3339 instant with an offset")
    tail = float(found["fraction"] or 0)
    if found["sign"]:
        hours, minutes = int(found["hours"]), int(found["minutes"])
        if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock's own limits
            raise ValueError("must be an RFC 3339 instant with an offset that exists")
        ahead = hours * 3600 + minutes * 60
        tail += -ahead if found["sign"] == "+" else ahead
    if len(text) <= _SHORT_TAIL_CHARS and len(_tails) < _MAX_TAILS_KNOWN:
        _tails[text] = tail
    return tail


def text_of(instant: float) -> str:
    """Return an instant in RFC 3339: UTC, rounded to the millisecond, with `Z`.

    It is rounded, not cut: an instant that was read from text with milliseconds gives the same text. What results tell
    is a whole millisecond already, so that an outcome that an older version wrote down gives the text that it gave then.
    """
    seconds, milliseconds = divmod(round(instant * 1000), 1000)
    return f"{_second_text(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=256)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:_SECOND_CHARS]


def _checked(text: str) -> str:
    instant_of(text)
    return text


InstantText = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-24T15:40:19Z"]}),
]
"""An RFC 3339 instant with an offset, kept as it was written."""
