"""Results and dead letters that their topic does not take, made smaller step by step. Sends nothing, knows no limit.

The largest part goes first, so that a second owner who meets the same limit makes the same of the same message. What a
reader needs to find and to judge a record (its ID, source, status, reason and instants) is never cut.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from consumer.core.terms import Offset, Partition
from schemas.dead_letter import HEADER_PREFIX

Message = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
"""Key, value and headers."""

_LONG: Final = 128
"""Characters of an event ID at most: what is no longer than that is not what makes a message too large."""

_CUT: Final = ("externalReference", "resendReason", "resendId", "detail", "response")
"""A result's fields that may be long and that it can do without."""

_TRUNCATED: Final = HEADER_PREFIX + "truncated"


def smaller_result(message: Message) -> Message | None:
    """Return a result without its largest part; None where nothing is left that it could do without."""
    key, value, headers = message
    fields: dict[str, Any] = orjson.loads(value or b"{}")
    sizes = _sizes(fields)
    largest = max(sizes, key=sizes.__getitem__, default=())
    size = sizes.get(largest, 0)
    if key is not None and len(key) > max(_LONG, size):
        return None, value, headers
    if size <= _LONG:
        return (key, value, ()) if headers else None
    inside: dict[str, Any] = fields
    for name in largest[:-1]:
        inside = inside[name]
    inside[largest[-1]] = None
    return key, orjson.dumps(fields), headers


def _sizes(fields: dict[str, Any]) -> dict[tuple[str, ...], int]:
    """Return how large each part is that may go, as JSON: of the platform's answer first its words, then all of it."""
    sizes: dict[tuple[str, ...], int] = {(name,): len(orjson.dumps(fields[name])) for name in _CUT if fields.get(name)}
    answer = fields.get("response") or {}
    words: dict[tuple[str, ...], int] = {
        ("response", name): len(orjson.dumps(answer[name])) for name in ("message", "item") if answer.get(name)
    }
    if words:
        sizes["response",] -= sum(words.values())
    return sizes | words


def source_of(message: Message) -> tuple[Partition, Offset]:
    """Return where the record stands that a result or a dead letter is about."""
    _, value, headers = message
    said = dict(headers)
    if (topic := said.get(HEADER_PREFIX + "topic")) is not None:
        number, offset = said[HEADER_PREFIX + "partition"], said[HEADER_PREFIX + "offset"]
        return Partition(topic.decode(), int(number)), Offset(int(offset))
    source = orjson.loads(value or b"{}")["source"]
    return Partition(source["topic"], source["partition"]), Offset(source["offset"])


def smaller_letter(message: Message) -> Message | None:
    """Return a dead letter without its largest part, and say so in its header; None where its own headers are all."""
    key, value, headers = message
    brought = [header for header in headers if not header[0].startswith(HEADER_PREFIX)]
    own = [header for header in headers if header[0].startswith(HEADER_PREFIX)]
    sizes = {
        "value": len(value or b""),
        "headers": sum(len(name.encode()) + len(content or b"") for name, content in brought),
        "key": len(key or b""),
    }
    largest = max(sizes, key=lambda part: sizes[part])
    if not sizes[largest]:
        return None
    before = [content.decode() for name, content in own if name == _TRUNCATED]
    words = ", ".join([*before, f"{largest} of {sizes[largest]} bytes"])
    own = [*(header for header in own if header[0] != _TRUNCATED), (_TRUNCATED, words.encode())]
    return (
        None if largest == "key" else key,
        None if largest == "value" else value,
        own if largest == "headers" else [*brought, *own],
    )
