"""Dead letters: whose they are, and as lines that can be mended by hand and published with `produce`. Reads no topic.

A line holds people's data. It goes into the file that was asked for and nowhere else.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from consumer.core.event import Record
from schemas.dead_letter import HEADER_PREFIX

KEPT: Final = tuple(HEADER_PREFIX + name for name in ("reason", "detail", "topic", "partition", "offset"))
"""Of a dead letter's own headers, those that a line keeps: they say what is to be mended, and where it stood."""


class Letter(NamedTuple):
    """Where the record of a dead letter stands, and why it is one."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    is_truncated: bool

    def is_about(self, words: str) -> bool:
        """Whether these words, in any case, stand in why it is one."""
        return words.lower() in f"{self.reason}: {self.detail}".lower()


def letter_of(headers: Sequence[tuple[str, bytes | None]]) -> Letter | None:
    """Read a dead letter's own headers; None where they are not there."""
    own = {name: value for name, value in headers if name.startswith(HEADER_PREFIX) and value is not None}
    try:
        return Letter(
            own[HEADER_PREFIX + "topic"].decode(),
            int(own[HEADER_PREFIX + "partition"]),
            int(own[HEADER_PREFIX + "offset"]),
            own[HEADER_PREFIX + "reason"].decode(),
            own.get(HEADER_PREFIX + "detail", b"").decode(errors="replace"),
            HEADER_PREFIX + "truncated" in own,
        )
    except (KeyError, ValueError):
        return None


class Original(NamedTuple):
    """The record of a dead letter, as it was read before: its own headers alone."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def original_of(letter: Letter, record: Record) -> Original:
    """Return what the record of a dead letter was."""
    headers = [(name, value) for name, value in record.headers if not name.startswith(HEADER_PREFIX)]
    return Original(letter.offset, record.timestamp, record.key, record.value, headers)


def line_of(record: Record) -> bytes:
    """Return a dead letter as one line of JSON: `key`, `value` and `headers`, as `produce` reads them.

    A value that is a JSON object stands there as one; any other stands as text, with what is no UTF-8 marked.
    """
    headers = {
        name: (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name in KEPT or not name.startswith(HEADER_PREFIX)
    }
    key = None if record.key is None else record.key.decode(errors="replace")
    return orjson.dumps({"key": key, "value": _value(record.value), "headers": headers}) + b"\n"


def _value(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        content: object = orjson.loads(value)
    except orjson.JSONDecodeError:
        content = None
    return content if isinstance(content, dict) else value.decode(errors="replace")
