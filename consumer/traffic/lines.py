"""Parses the JSON Lines that `produce` reads from files and pipes. Never publishes, never validates an event.

A line is either an event, or `{"key": ..., "value": ..., "headers": {...}}` around one. In the second form, a `value` that
is a string is published as it is, null is a tombstone, and anything else is published as JSON.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson
import xxhash

from consumer.traffic.record import Headers

AROUND = frozenset({"key", "value", "headers"})
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NOT_DIGITS = re.compile(rb"[^0-9]+")


class Line(NamedTuple):
    """A record to be published. `number` counts from 1."""

    number: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class BadLine(NamedTuple):
    """A line that cannot be published. `why` never quotes the line."""

    number: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyField:
    """The field of an event that is the record's key: member names, outermost first."""

    path: tuple[str, ...]


def read_lines(
    lines: Iterable[bytes], *, first_number: int = 1, key_field: KeyField | None = None, headers: Headers = ()
) -> Iterator[Line | BadLine]:
    """Yield a record for each line that is not blank; the first is line `first_number`.

    The key is the line's own, else the value of `key_field`, else the contact's external code, else a hash of the phone. So
    events for one person have one key, and keep their order. `headers` are added to every record.
    """
    for number, raw in enumerate(lines, start=first_number):
        text = (
            raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        ).strip()  # some Windows editors write a byte order mark
        if text:
            yield _read(number, text, key_field, headers)


def _read(number: int, text: bytes, key_field: KeyField | None, headers: Headers) -> Line | BadLine:
    if number == 1 and text.startswith(UTF_16):
        return BadLine(number, "not JSON: the file is UTF-16; save it as UTF-8")
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as mistake:
        return BadLine(number, f"not JSON: {mistake.msg}, column {mistake.colno}")
    if not isinstance(content, dict):
        return BadLine(number, "not a JSON object")
    if "value" not in content or not content.keys() <= AROUND:
        return Line(number, _key_of(content, key_field), text, headers)
    return _unwrap(number, content, key_field, headers)


def _unwrap(number: int, content: dict[str, object], key_field: KeyField | None, headers: Headers) -> Line | BadLine:
    key, value, own_headers = content.get("key"), content["value"], content.get("headers") or {}
    if not isinstance(own_headers, dict) or not all(isinstance(text, str) for text in own_headers.values()):
        return BadLine(number, '"headers" must be an object of strings')
    if key is not None and not isinstance(key, str):
        return BadLine(number, '"key" must be a string or null')
    if key is None and value is None:
        return BadLine(number, "a tombstone needs a key")
    return Line(
        number,
        key.encode() if key is not None else _key_of(value, key_field),
        None if value is None else value.encode() if isinstance(value, str) else orjson.dumps(value),
        (*headers, *((name, text.encode()) for name, text in own_headers.items())),
    )


def _key_of(event: object, key_field: KeyField | None) -> bytes | None:
    if key_field is not None:
        return _text(_at(event, key_field.path))
    contact = _at(event, ("contact",))
    code = _text(_at(contact, ("externalCode",)))
    if code is not None:
        return code
    digits = _phone_digits(contact)
    return xxhash.xxh3_128_hexdigest(digits).encode() if digits else None


def _phone_digits(contact: object) -> bytes:
    """Return the same digits for all spellings of a phone; empty where there is none."""
    for name, country_code in (("phoneE164", b""), ("phoneNumber", _text(_at(contact, ("countryCode",))) or b"")):
        written = _text(_at(contact, (name,)))
        if written is not None:
            digits = NOT_DIGITS.sub(b"", written)
            if written.lstrip().startswith(b"+"):
                return digits
            return digits[2:] if digits.startswith(b"00") else country_code + digits
    return b""


def _at(content: object, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(content, dict):
            return None
        content = content.get(name)
    return content


def _text(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value).encode()
    return None
