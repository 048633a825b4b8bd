"""The dead letter of an invalid record: its key, value and headers, and why. Judges no record, sends nothing."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from consumer.core.event import Invalid
from schemas.dead_letter import HEADER_PREFIX

MAX_LETTER_BYTES: Final = 1_000_000
"""A broker takes a batch of 1 MiB (1,048,588 bytes, `max.message.bytes`); its own headers take the rest."""

_HEADER_BYTES: Final = 10  # lengths around each header


class DeadLetter(NamedTuple):
    """One record for the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def dead_letter(record: Invalid, *, max_bytes: int = MAX_LETTER_BYTES) -> DeadLetter:
    """The dead letter of `record`; what no longer fits is left out, largest first, and `dlq-truncated` says what.

    `dlq-` headers that the record brought itself (it was a dead letter once) give way to its own.
    """
    brought = tuple(header for header in record.headers if not header[0].startswith(HEADER_PREFIX))
    own = [
        _header("reason", record.reason.value),
        _header("detail", record.detail),
        _header("topic", record.partition.topic),
        _header("partition", str(record.partition.number)),
        _header("offset", str(record.offset)),
        _header("timestamp", str(record.timestamp_ms)),
    ]
    sizes = {"value": len(record.value or b""), "headers": _headers_bytes(brought), "key": len(record.key or b"")}
    room = max_bytes - _headers_bytes(own)
    left_out: dict[str, int] = {}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if sum(sizes.values()) - sum(left_out.values()) <= room:
            break
        left_out[name] = size
    if record.unreadable:
        own.append(_header("truncated", "all of the record, which cannot be read"))
    if left_out:
        own.append(_header("truncated", ", ".join(f"{name} of {size} bytes" for name, size in left_out.items())))
    return DeadLetter(
        key=None if "key" in left_out else record.key,
        value=None if "value" in left_out else record.value,
        headers=(*(() if "headers" in left_out else brought), *own),
    )


def _header(name: str, value: str) -> tuple[str, bytes]:
    return HEADER_PREFIX + name, value.encode()


def _headers_bytes(headers: Sequence[tuple[str, bytes]]) -> int:
    return sum(len(name.encode()) + len(value or b"") + _HEADER_BYTES for name, value in headers)
