"""Tells the service manager that started us (systemd, `Type=notify`) how we stand. Decides nothing, and never blocks.

Source of the protocol: sd_notify(3). Datagrams to the Unix socket that `NOTIFY_SOCKET` names: `READY=1` once we have joined
the consumer group, `WATCHDOG=1` while we make progress, `STATUS=` with the verdict in one sentence, `STOPPING=1` when
the drain begins.
"""

import socket
from collections.abc import Callable, Mapping

from consumer.service.status_shape import ServiceState

NOTIFY_SOCKET = "NOTIFY_SOCKET"


class ServiceManager:
    """One for the process. `look` is called once a second; a manager that does not read loses what it is told."""

    def __init__(
        self,
        address: str,
        *,
        state: Callable[[], ServiceState],
        joined: Callable[[], bool],
        healthy: Callable[[], bool],
        sentence: Callable[[], str],
    ) -> None:
        """`address` is a path, or a name in the abstract namespace after an `@`."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(0)
        self._state = state
        self._joined = joined
        self._healthy = healthy
        self._sentence = sentence
        self._told: set[str] = set()
        self._sentence_told = ""

    @classmethod
    def address_in(cls, environ: Mapping[str, str]) -> str | None:
        """Return the address that a manager gave us, None where none did."""
        return environ.get(NOTIFY_SOCKET) or None

    def look(self) -> None:
        """Tell what has changed, and that we make progress, where we do."""
        sentence = " ".join(self._sentence().split())
        if sentence != self._sentence_told and self._tell(f"STATUS={sentence}"):
            self._sentence_told = sentence
        if self._joined():
            self._once("READY=1")
        if self._state() == "draining":
            self._once("STOPPING=1")
        if self._healthy():
            self._tell("WATCHDOG=1")

    def close(self) -> None:
        """Tell nothing more."""
        self._socket.close()

    def _once(self, what: str) -> None:
        if what not in self._told and self._tell(what):
            self._told.add(what)

    def _tell(self, what: str) -> bool:
        try:
            self._socket.sendto(what.encode(), self._address)
        except OSError:  # it is away, or does not read: told again in a second
            return False
        return True
