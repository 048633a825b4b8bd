"""An answer's body as it comes in, by the framing that its head names. Reads no head, knows no content encoding.

A body that breaks its own framing, ends too early or grows too large is none: its head alone counts.
"""

import re
from typing import Final

from consumer.edge.platform.answer_head import AnswerHead, Framing

MAX_BODY_BYTES: Final = 1024 * 1024
"""The bound on an answer's body, as sent and as decoded: 500 contacts with an item of 2 KiB each."""

MAX_LINES_BYTES: Final = 16 * 1024
"""The bound on what stands between chunks, and on the trailer behind the last one."""

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")
_TRAILER = re.compile(rb"(?:[^\r\n]+\r\n)*+\r\n")
_END_OF_LINE: Final = b"\r\n"


class AnswerContent:
    """The body of one answer. `whole` is what was received, once it is over; None where it cannot be read to its end."""

    def __init__(self, head: AnswerHead) -> None:
        self._framing = head.framing
        self._length = head.length
        self._waiting = bytearray()
        """What has come of chunks and is not taken yet."""
        self._received = bytearray()
        self._is_last = False
        """Whether the last chunk has come, so that the trailer is next."""
        self.whole: bytes | None = None
        self.is_over = False
        self.has_surplus = False
        """Whether bytes came behind its end: nobody asked for them."""
        if self._framing is Framing.EMPTY:
            self._end(b"")
        elif self._framing is Framing.UNCLEAR or self._length > MAX_BODY_BYTES:
            self._end(None)

    def feed(self, data: bytes) -> None:
        """Take bytes of the connection in."""
        if self.is_over:
            self.has_surplus = self.has_surplus or bool(data)
        elif self._framing is Framing.CHUNKED:
            self._waiting += data
            self._take_chunks()
        else:
            self._received += data
            if self._framing is Framing.LENGTH and len(self._received) >= self._length:
                self.has_surplus = len(self._received) > self._length
                self._end(bytes(self._received[: self._length]))
            elif len(self._received) > MAX_BODY_BYTES:
                self._end(None)

    def connection_ended(self) -> None:
        """The connection ended in good order: that is the end of a body which has no other."""
        if not self.is_over:
            self._end(bytes(self._received) if self._framing is Framing.END_OF_CONNECTION else None)

    def _end(self, whole: bytes | None) -> None:
        self.is_over, self.whole = True, whole

    def _take_chunks(self) -> None:
        waiting, at = self._waiting, 0
        while not self.is_over:
            line = (_TRAILER if self._is_last else _CHUNK_SIZE).match(waiting, at)
            if line is None:
                if len(waiting) - at > MAX_LINES_BYTES or (not self._is_last and b"\n" in waiting[at:]):
                    self._end(None)
                break
            if self._is_last:
                self.has_surplus = line.end() < len(waiting)
                self._end(bytes(self._received))
                break
            size, start = int(line[1], 16), line.end()
            if size == 0:
                self._is_last, at = True, start
                continue
            if len(self._received) + size > MAX_BODY_BYTES:
                self._end(None)
                break
            stop = start + size
            if not _END_OF_LINE.startswith(waiting[stop : stop + 2]):
                self._end(None)
            if len(waiting) < stop + 2:
                break
            self._received += waiting[start:stop]
            at = stop + 2
        del waiting[:at]
