"""Points in a partition as options name them: an offset, an instant, a time before now. Reads no clock."""

import math
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import click

from config.durations import parse_duration
from consumer.lookup.points import LogPoint

DAY: Final = 86_400


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


def point_of(text: str, *, now: float) -> LogPoint | None:
    """Return the point that was asked for; None where it is none. `now` is in Unix seconds."""
    if (offset := offset_of(text)) is not None:
        return LogPoint(offset=offset)
    if not text.startswith("-"):
        timestamp_ms = instant_ms_of(text)
        return None if timestamp_ms is None else LogPoint(timestamp_ms=timestamp_ms)
    with suppress(ValueError, OverflowError):
        seconds = DAY * float(text[1:-1]) if text.endswith("d") else parse_duration(text[1:])
        if math.isfinite(seconds) and seconds >= 0:
            return LogPoint(timestamp_ms=round((now - seconds) * 1000))
    return None


class PointParam(click.ParamType[Any]):
    """An offset, an instant or a time before now, as it was written: it is read once there is a clock."""

    name = "POINT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that it is one."""
        text = str(value)
        if point_of(text, now=0.0) is None:
            self.fail(
                f"{text!r} is neither an instant such as 2026-11-24T15:40:19Z, nor a time before now such as -2h, "
                "nor an offset",
                param,
                ctx,
            )
        return text
