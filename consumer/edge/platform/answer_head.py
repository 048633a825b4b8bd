"""A lenient parser of an HTTP answer's head: a readable status line is enough. Reads no body, judges no status.

The status line says what the platform has done. A cookie of ten kilobytes, a line without a colon or a length that is
given twice do not change that. They only make it uncertain where the body ends, and then no body is read.
"""

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final

import msgspec

MAX_HEAD_BYTES: Final = 64 * 1024
"""The bound on one head. Servers keep theirs below 16 KiB; what is longer is no head."""

KEEP_ALIVE_MARGIN_SECONDS: Final = 1.0
"""Subtracted from a server's keep-alive time: the server counts from when its answer left, our next request takes time to
arrive, and its timers are coarse. Of a time-out below two seconds, half is left."""

HEADS_KEPT: Final = 16
"""Heads that need not be read anew: those of a platform that puts nothing of a request into them differ once a second."""

END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
"""Some servers end their lines with a line feed alone; a reader may accept that (RFC 9112, 2.2)."""

_STATUS_LINE = re.compile(rb"HTTP/(\d{1,3}(?:\.\d{1,3})?)[ \t]+(\d{3})(?=[ \t\r\n])[^\n]*\n", re.IGNORECASE)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_BY_THE_BOOK = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\r\n\0]*+\r?\n)*+\r?\n")
_READ = re.compile(
    rb"^(content-length|transfer-encoding|connection|keep-alive|retry-after|date|content-encoding)[ \t]*:([^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_LENGTH = re.compile(rb"\d{1,15}")
_TIMEOUT = re.compile(rb"timeout[ \t]*=[ \t]*\"?(\d{1,6})", re.IGNORECASE)

_SCHEME: Final = b"HTTP/"
_SWITCHING_PROTOCOLS: Final = 101
_MISDIRECTED: Final = 421
_BODILESS: Final = frozenset({204, 304})


class Framing(Enum):
    """Where an answer's body ends."""

    EMPTY = auto()
    LENGTH = auto()
    CHUNKED = auto()
    END_OF_CONNECTION = auto()
    UNCLEAR = auto()
    """The head is malformed or contradicts itself: no body is read."""


class AnswerHead(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is read of a head. Texts are as received, one character a byte; empty where the field is missing."""

    status: int
    framing: Framing
    length: int = 0
    reusable: bool
    """Whether another request may use the connection."""
    keep_alive_seconds: float | None = None
    """How long the connection may be idle, as the server says, less the margin."""
    retry_after: str = ""
    date: str = ""
    content_encoding: str = ""

    @property
    def is_interim(self) -> bool:
        """Whether this is an interim answer (1xx), so that the final one is still to come."""
        return self.status // 100 == 1 and self.status != _SWITCHING_PROTOCOLS


def may_become_a_head(raw: bytearray) -> bool:
    """Return whether these bytes can be the beginning of a head; if not, there is nothing to wait for."""
    if raw[: len(_SCHEME)].upper() != _SCHEME[: len(raw)]:
        return False
    return b"\n" not in raw or _STATUS_LINE.match(raw) is not None


@lru_cache(maxsize=HEADS_KEPT)
def read_head(raw: bytes) -> AnswerHead | None:
    """Read a complete head, including its empty line; None where its status line cannot be read."""
    line = _STATUS_LINE.match(raw)
    if line is None:
        return None
    version, status = line[1], int(line[2])
    fields = raw[line.end() :]
    if b"\n " in fields or b"\n\t" in fields:
        fields = _FOLD.sub(b" ", fields)
    said: dict[bytes, list[bytes]] = {}
    for name, value in _READ.findall(fields):
        said.setdefault(name.lower(), []).append(value.strip(b" \t"))
    framing, length = _framing(said, version)
    if _BY_THE_BOOK.fullmatch(fields) is None:
        framing = Framing.UNCLEAR
    reusable = _reusable(said, status, version, framing)
    if status in _BODILESS or status // 100 == 1:
        framing = Framing.EMPTY  # whatever its lines say
    return AnswerHead(
        status=status,
        framing=framing,
        length=length,
        reusable=reusable,
        keep_alive_seconds=_keep_alive_seconds(said),
        retry_after=_text(said, b"retry-after"),
        date=_text(said, b"date"),
        content_encoding=_all(said, b"content-encoding").decode("latin-1"),
    )


def _framing(said: dict[bytes, list[bytes]], version: bytes) -> tuple[Framing, int]:
    """Return where the body ends (RFC 9112, 6.3); unclear where two readers could disagree."""
    lengths, codings = said.get(b"content-length", []), said.get(b"transfer-encoding", [])
    if version not in (b"1.0", b"1.1") or len(lengths) + len(codings) > 1:
        return Framing.UNCLEAR, 0
    if codings:
        chunked = codings[0].lower() == b"chunked" and version == b"1.1"
        return Framing.CHUNKED if chunked else Framing.UNCLEAR, 0
    if not lengths:
        return Framing.END_OF_CONNECTION, 0
    if _LENGTH.fullmatch(lengths[0]) is None:
        return Framing.UNCLEAR, 0
    length = int(lengths[0])
    return Framing.LENGTH if length else Framing.EMPTY, length


def _reusable(said: dict[bytes, list[bytes]], status: int, version: bytes, framing: Framing) -> bool:
    """Return whether the connection may be used again after this answer. 421 says that it leads to the wrong server."""
    ends_somewhere = framing in (Framing.EMPTY, Framing.LENGTH, Framing.CHUNKED) or status in _BODILESS
    if framing is Framing.UNCLEAR or not ends_somewhere or status in (_SWITCHING_PROTOCOLS, _MISDIRECTED):
        return False
    wishes = {wish.strip(b" \t") for wish in _all(said, b"connection").lower().split(b",")}
    return b"close" not in wishes and (version == b"1.1" or b"keep-alive" in wishes)


def _keep_alive_seconds(said: dict[bytes, list[bytes]]) -> float | None:
    found = _TIMEOUT.search(_all(said, b"keep-alive"))
    if found is None:
        return None
    seconds = float(found[1])
    return max(seconds - KEEP_ALIVE_MARGIN_SECONDS, seconds / 2)


def _all(said: dict[bytes, list[bytes]], name: bytes) -> bytes:
    return b",".join(said.get(name, ()))


def _text(said: dict[bytes, list[bytes]], name: bytes) -> str:
    return said[name][0].decode("latin-1") if name in said else ""
