"""What the kernel knows of a request on a connection that ended: whether the peer had closed before it came. Linux alone.

A peer that closes an idle connection may do so while our next request is on its way. Its kernel then answers the request
with RST, and no process of the peer ever sees a byte. From here that looks like an answer that was lost. What tells
them apart is what our kernel has heard, in this order: the peer's FIN, which acknowledges all that had come in when it was
sent, and nothing of the request was in it; then RST, with still not one byte acknowledged. RST alone proves nothing: the
peer may have read the request, acted on it, and been reset before it acknowledged anything. A peer that has closed one way
alone may read on after its own FIN, and acknowledge what it has read later. So we close our way, too, as soon as its FIN is
here: a kernel that still has a reader acknowledges that at once, and the request with it. Taken for granted is that nobody
acts on a request after their own FIN (RFC 9112, 9.6) and resets the connection before ours is there, one way later.
"""

import asyncio
import errno
import os
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

_INFO_BYTES: Final = 148
_INFO = struct.Struct("=B23xI92xQ16xI" if sys.byteorder == "little" else ">B23xI92xQ16xI")
"""Of `struct tcp_info` (since Linux 4.6): `tcpi_state`, `tcpi_unacked`, `tcpi_bytes_acked`, `tcpi_notsent_bytes`."""

_TCP_CLOSE: Final = 7
_FIN_CAME: Final = (8, 9)  # TCP_CLOSE_WAIT; TCP_LAST_ACK, where we have closed, too

_PAUSES_SECONDS: Final = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.3)
"""Between looks for the peer's RST, which is one way through the network and back away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How much of what was written on a connection its peer had acknowledged before the request: all of it."""

    acked_bytes: int

    @classmethod
    def of(cls, connection: socket.socket, *, written_bytes: int) -> Self | None:
        """Ask the kernel, right before a request; None where it cannot tell, or does not keep count.

        `written_bytes` is what has been written so far: a kernel that says less was acknowledged does not count.
        """
        known = _info(connection)
        if known is None:
            return None
        _, unacked, acked_bytes, unsent_bytes = known
        if unacked or unsent_bytes or not 0 < written_bytes <= acked_bytes:
            return None
        return cls(acked_bytes=acked_bytes)


class Remains:
    """A connection that ends, kept open beside its transport until it is known what became of a request.

    To be made as soon as the end is known: TLS writes its own farewell then, and takes the kernel's error with it.
    """

    def __init__(self, connection: socket.socket, baseline: Baseline) -> None:
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._baseline = baseline
        self._fin_came = False
        self._verdict = self._look()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)  # our FIN: where somebody may still read, it is acknowledged at once

    async def never_arrived(self) -> bool:
        """Return whether it is proven that no process of the peer has seen a byte of the request."""
        for pause in _PAUSES_SECONDS:
            if self._verdict is None:
                await asyncio.sleep(pause)
                self._verdict = self._look()
        return self._verdict is True

    def _look(self) -> bool | None:
        """Return what is proven, None while it may still turn out."""
        known = _info(self._socket)
        if known is None:
            return False
        state, _, acked_bytes, _ = known
        if acked_bytes != self._baseline.acked_bytes:
            return False
        if state in _FIN_CAME:
            self._fin_came = True
        elif state == _TCP_CLOSE:  # EPIPE: RST came behind a FIN; alone, it would be ECONNRESET
            return self._fin_came or self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EPIPE
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()


def _info(connection: socket.socket) -> tuple[int, int, int, int] | None:
    if sys.platform != "linux":
        return None
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return None
    return _INFO.unpack(told) if len(told) == _INFO_BYTES else None
