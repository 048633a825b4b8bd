"""A server of threads and plain sockets, that closes a connection at the very moment that it is told to. Knows no loop."""

import contextlib
import queue
import socket
import ssl
import struct
import threading
from types import TracebackType
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
END = b"\r\n\r\n"


class BluntServer:
    """Answers every request of a connection, until it is told to do something else with it."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}/send"
        self.connections: list[socket.socket] = []
        self.bodies: list[bytes] = []
        """Of every request whose whole body was read."""
        self._idle: queue.Queue[socket.socket] = queue.Queue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for connection in self.connections:
            connection.close()

    def _start(self, work: "object", *what: object) -> None:
        thread = threading.Thread(target=work, args=what, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
                self._answer(connection)
                self._idle.put(connection)

    def _answer(self, connection: socket.socket) -> None:
        """Answer one request, and leave the connection idle."""
        received = b""
        while END not in received or len(received) < received.index(END) + 4 + _length(received):
            more = connection.recv(65_536)
            if not more:
                return
            received += more
        self.bodies.append(received[received.index(END) + 4 :])
        connection.sendall(OK)

    def take(self) -> socket.socket:
        """The connection whose request has been answered: from now on it is the caller's."""
        return self._idle.get(timeout=10)


def close(connection: socket.socket) -> None:
    """Close it as common servers do: under TLS with a farewell, and wait for none."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(0)
        with contextlib.suppress(ssl.SSLWantReadError):
            connection.unwrap()
    connection.close()


def reset(connection: socket.socket) -> None:
    """Close it with RST and no FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _length(received: bytes) -> int:
    head = received[: received.index(END)].lower()
    return int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
