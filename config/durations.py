"""Parses and writes durations and sizes such as "250ms" and "1 MiB". Owns no limit and no default."""

import math
import re
from decimal import Decimal
from enum import Enum, auto
from typing import Annotated, Final

from pydantic import BeforeValidator

SECONDS_IN: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
BYTES_IN: Final = {
    "B": 1,
    "KB": 1000,
    "KIB": 1024,
    "MB": 1000**2,
    "MIB": 1024**2,
    "GB": 1000**3,
    "GIB": 1024**3,
}
QUANTITY: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)
DURATION_HINT: Final = 'must be a duration: seconds, or for example "250ms", "2s", "5m", "1h"'
SIZE_HINT: Final = 'must be a size: bytes, or for example "512 KiB", "1 MiB"'
NO_VALUE: Final = "none"
"""The value that unsets an optional setting which a weaker source or the default has set."""


class Unit(Enum):
    """The unit of a setting's number; part of a field's annotation, so that messages can show the unit."""

    SECONDS = auto()
    BYTES = auto()

    def spell(self, value: float) -> str:
        """Return `value` as text with its unit."""
        return spell_duration(value) if self is Unit.SECONDS else spell_size(int(value))


def parse_duration(value: object) -> float:
    """Return seconds from a number of seconds or from text with a unit.

    Raises:
        ValueError: it is neither; the message says how to write it and does not repeat the value.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := QUANTITY.fullmatch(value)) and (found[2] or "s") in SECONDS_IN:
        number, unit = found.groups()
        # Milliseconds are divided, not multiplied by 0.001: "250ms" is 0.25 exactly.
        seconds = float(number) / 1000 if unit == "ms" else float(number) * SECONDS_IN[unit or "s"]
    else:
        raise ValueError(DURATION_HINT)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(DURATION_HINT)
    return seconds


def parse_optional_duration(value: object) -> float | None:
    """Return what `parse_duration` returns, None for None and for the word "none"."""
    if value is None or (isinstance(value, str) and value.strip().lower() == NO_VALUE):
        return None
    return parse_duration(value)


def parse_size(value: object) -> int:
    """Return bytes from a number of bytes or from text with a unit.

    Raises:
        ValueError: it is neither, or no whole number of bytes; the message does not repeat the value.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (found := QUANTITY.fullmatch(value)):
        number, unit = found[1], (found[2] or "B").upper()
        if unit in BYTES_IN and (size_bytes := float(number) * BYTES_IN[unit]).is_integer():
            return int(size_bytes)
    raise ValueError(SIZE_HINT)


def spell_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` turns into the same number."""
    if seconds and seconds % SECONDS_IN["h"] == 0:
        return f"{seconds / SECONDS_IN['h']:.0f}h"
    if seconds and seconds % SECONDS_IN["m"] == 0:
        return f"{seconds / SECONDS_IN['m']:.0f}m"
    exact = Decimal(repr(float(seconds)))
    if 0 < seconds < 1 and parse_duration(milliseconds := f"{_plain(exact * 1000)}ms") == seconds:
        return milliseconds
    return f"{_plain(exact)}s"


def spell_size(size_bytes: int) -> str:
    """Return the shortest text that `parse_size` turns into the same number."""
    for unit, name in (("GIB", "GiB"), ("MIB", "MiB"), ("KIB", "KiB")):
        if size_bytes and size_bytes % BYTES_IN[unit] == 0:
            return f"{size_bytes // BYTES_IN[unit]} {name}"
    return f"{size_bytes} B"


def _plain(number: Decimal) -> str:
    """Return a number without exponent and trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


Seconds = Annotated[float, BeforeValidator(parse_duration), Unit.SECONDS]
OptionalSeconds = Annotated[float | None, BeforeValidator(parse_optional_duration), Unit.SECONDS]
SizeBytes = Annotated[int, BeforeValidator(parse_size), Unit.BYTES]
