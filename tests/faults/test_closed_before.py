"""A reused connection that the server had closed before the request came: proven by the kernel, or else a lost answer."""

import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from consumer.core.platform.answer import Answer, Answered, Lost
from tests.faults import blunt_server
from tests.faults.blunt_server import BluntServer
from tests.faults.harness import platform, post
from tests.faults.test_nothing_went_out import tls_server_and_trust

Deed = Callable[[socket.socket], None]


@contextmanager
def server_and_trust(*, tls: bool) -> Iterator[tuple[BluntServer, ssl.SSLContext | None]]:
    certificate, trust = tls_server_and_trust("127.0.0.1") if tls else (None, None)
    with BluntServer(tls=certificate) as server:
        yield server, trust


def at_the_last_look(server: BluntServer, deed: Deed) -> Callable[[], None]:
    """A last look in whose very moment the server does something to its idle connection: the request comes after it.

    Between the look and the first byte nothing else happens here. Later looks do nothing.
    """
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 1:
            deed(server.take())

    return look


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_request_that_came_after_the_server_had_closed_goes_out_over_another_connection(*, tls: bool) -> None:
    with server_and_trust(tls=tls) as (server, trust):
        async with platform(server.url, tls=trust) as client:
            await post(client, b"first")
            exchange = await post(client, b"second", look=at_the_last_look(server, blunt_server.close))
            assert isinstance(exchange.answer, Answered)
            assert server.bodies == [b"first", b"second"]
            assert len(server.connections) == 2


def when_the_request_is_there(connection: socket.socket, deed: Deed) -> None:
    """Do it from a thread of its own."""

    def work() -> None:
        with suppress(OSError):
            select.select([connection], [], [])
            deed(connection)

    threading.Thread(target=work, daemon=True).start()


def half_close(connection: socket.socket) -> None:
    """Promise to say nothing more, and stay: the request may still be read."""
    connection.shutdown(socket.SHUT_WR)


def half_close_and_read(connection: socket.socket) -> None:
    """Promise to say nothing more, read the request all the same, and go: it may have been acted on."""
    connection.shutdown(socket.SHUT_WR)
    when_the_request_is_there(connection, read_and_close)


def read_and_close(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.close()


def half_close_and_acknowledge(connection: socket.socket) -> None:
    """The request was read, and acknowledged; then came RST."""
    connection.shutdown(socket.SHUT_WR)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    when_the_request_is_there(connection, read_and_reset)


def read_and_reset(connection: socket.socket) -> None:
    connection.recv(65_536)
    blunt_server.reset(connection)


def say_farewell(connection: socket.socket) -> None:
    """Under TLS there is an end before the end, which is no FIN; then comes RST, without any."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(0)
        with suppress(ssl.SSLWantReadError):
            connection.unwrap()
    when_the_request_is_there(connection, blunt_server.reset)


UNPROVEN = [half_close, half_close_and_read, half_close_and_acknowledge, say_farewell, blunt_server.reset]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("deed", UNPROVEN)
async def test_what_is_not_proven_is_a_lost_answer(deed: Deed, *, tls: bool) -> None:
    with server_and_trust(tls=tls) as (server, trust):
        async with platform(server.url, tls=trust) as client:
            await post(client, b"first")
            exchange = await post(client, b"second", look=at_the_last_look(server, deed))
            assert isinstance(exchange.answer, Lost)
            assert server.bodies == [b"first"]
            assert len(server.connections) == 1


UNACKNOWLEDGED_SECONDS = 0.02
"""Linux puts off an acknowledgement for 40 ms at least."""


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_who_closes_one_way_and_acts_all_the_same_must_say_so_before_it_resets(*, tls: bool) -> None:
    """It reads the request, waits for what else we say, and resets the connection without a word of its own."""
    ended: list[bool] = []
    threads: list[threading.Thread] = []

    def half_close_and_act(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        raw = socket.socket(fileno=os.dup(connection.fileno()))

        def read_and_reset() -> None:
            raw.settimeout(UNACKNOWLEDGED_SECONDS)
            try:
                while raw.recv(65_536):
                    pass
            except OSError:
                ended.append(False)
            else:
                ended.append(True)
            raw.close()
            blunt_server.reset(connection)

        threads.append(threading.Thread(target=read_and_reset, daemon=True))
        threads[-1].start()

    answers: list[Answer] = []
    while not any(ended) and len(answers) < 20:  # on a busy machine our word may come too late for it
        with server_and_trust(tls=tls) as (server, trust):
            async with platform(server.url, tls=trust) as client:
                await post(client, b"first")
                exchange = await post(client, b"second", look=at_the_last_look(server, half_close_and_act))
                threads[-1].join()
                answers.append(exchange.answer)
    assert any(ended), "we say that we are done, as soon as it has said so"
    assert isinstance(answers[-1], Lost)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("deed", [blunt_server.close, blunt_server.reset])
async def test_the_first_request_of_a_connection_has_no_proof(deed: Deed, *, tls: bool) -> None:
    """A server that takes a connection and closes it at once may have read what came with it."""
    with server_and_trust(tls=tls) as (server, trust):
        async with platform(server.url, tls=trust) as client:
            await post(client, b"first")
            assert len(server.bodies) == 1
            deed(server.take())
            assert isinstance((await post(client, b"second")).answer, Answered)
            assert server.bodies == [b"first", b"second"]
