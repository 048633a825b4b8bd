"""Proves by TCP state that a request on a closed connection was never read by the peer. Works on Linux alone; sends no data.

A peer may close an idle connection while our next request is on its way. Its kernel then answers the request with RST, and
no process of the peer reads a byte. To us that looks like a lost answer. Our kernel's state tells the two apart. First
comes the peer's FIN; it acknowledges all that the peer had received, and no byte of the request is among it. Then comes
RST, with still no byte of the request acknowledged.

RST alone proves nothing: the peer may have read the request, acted on it, and been reset before it acknowledged anything.
A peer that has closed only its sending side may read on after its FIN, and acknowledge later. So we send our FIN, too, as
soon as the peer's is here. A kernel with a reader acknowledges that at once, and the request with it.

One assumption remains: nobody acts on a request after their own FIN (RFC 9112, 9.6) and then resets the connection before
our FIN arrives.
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
"""Fields of `struct tcp_info` (since Linux 4.6): `tcpi_state`, `tcpi_unacked`, `tcpi_bytes_acked`, `tcpi_notsent_bytes`."""

_TCP_CLOSE: Final = 7
_FIN_CAME: Final = (8, 9)  # TCP_CLOSE_WAIT; TCP_LAST_ACK, where we have closed, too

_PAUSES_SECONDS: Final = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.3)
"""Pauses between checks for the peer's RST, which takes one round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The bytes that the peer had acknowledged right before a request: all that was written until then."""

    acked_bytes: int

    @classmethod
    def of(cls, connection: socket.socket, *, written_bytes: int) -> Self | None:
        """Ask the kernel, right before a request; None where it does not say, or not all bytes are acknowledged.

        `written_bytes` is what has been written so far: a kernel that reports fewer acknowledged bytes does not count.
        """
        known = _info(connection)
        if known is None:
            return None
        _, unacked, acked_bytes, unsent_bytes = known
        if unacked or unsent_bytes or not 0 < written_bytes <= acked_bytes:
            return None
        return cls(acked_bytes=acked_bytes)


class ClosedConnection:
    """A duplicate of a closed connection's socket, kept until it is known whether the peer has read the request.

    It must be made as soon as the peer's FIN is here: TLS then writes its close message and clears the kernel's error.
    """

    def __init__(self, connection: socket.socket, baseline: Baseline) -> None:
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._baseline = baseline
        self._fin_came = False
        self._verdict = self._look()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)  # our FIN: a peer that still reads acknowledges it at once

    async def never_arrived(self) -> bool:
        """Return whether it is proven that no process of the peer has read a byte of the request."""
        for pause in _PAUSES_SECONDS:
            if self._verdict is None:
                await asyncio.sleep(pause)
                self._verdict = self._look()
        return self._verdict is True

    def _look(self) -> bool | None:
        """Return what is proven, None while that is still open."""
        known = _info(self._socket)
        if known is None:
            return False
        state, _, acked_bytes, _ = known
        if acked_bytes != self._baseline.acked_bytes:
            return False
        if state in _FIN_CAME:
            self._fin_came = True
        elif state == _TCP_CLOSE:  # EPIPE: RST came after a FIN; without one, the error is ECONNRESET
            return self._fin_came or self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EPIPE
        return None

    def close(self) -> None:
        """Close the duplicate."""
        self._socket.close()


def _info(connection: socket.socket) -> tuple[int, int, int, int] | None:
    if sys.platform != "linux":
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return None
    return _INFO.unpack(info) if len(info) == _INFO_BYTES else None
