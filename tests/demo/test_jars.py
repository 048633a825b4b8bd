"""Fetching the jars where it fails: the message names the cure. Behind the proxies that people really have."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from consumer.demo import jars
from consumer.demo.java import EXTRA_MISSING

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@contextlib.contextmanager
def interceptor(authority: trustme.CA) -> Iterator[str]:
    """A proxy that opens every tunnel itself: it shows a certificate of its own authority, and knows no jar."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("repo1.maven.org", "repo.maven.apache.org").configure_cert(context)

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.recv(65_536)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with context.wrap_socket(client, server_side=True) as tunnel:
                tunnel.recv(65_536)
                tunnel.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener is closed: the test is over
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_proxy_with_an_authority_of_its_own_is_told_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in CA_VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    with interceptor(authority) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(jars.JarsError, match="authorities in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"):
            jars.fetch(lambda _line: None)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        with pytest.raises(
            jars.JarsError, match=r"cannot be fetched from Maven Central .*the first run needs the network"
        ):
            jars.fetch(lambda _line: None)


def test_a_missing_extra_is_told_without_a_name_that_an_index_might_know() -> None:
    assert "install 'campaign-consumer" not in EXTRA_MISSING
    assert "pip install '.[demo]'" in EXTRA_MISSING
    assert "py3-none-any.whl[demo]" in EXTRA_MISSING
