"""Whose word counts for the platform's certificate, and which one is shown to it: over real TLS, with files of our own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from config import load
from consumer.cli.wiring import platform_tls
from consumer.core.platform.answer import Answered, Unreachable
from consumer.edge.platform.tls import tls_context
from tests.faults.harness import platform, post
from tests.faults.raw_server import Peer, RawServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = "TLS: the platform refuses our certificate ("
CLOSED = "the server closed the connection before the request"
"""Where its alert has overtaken our request."""


async def answer_all(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.say(OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Certificates in files, as settings name them, and a platform's side of TLS with the same authority."""

    authority: trustme.CA
    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "client.pem"

    @property
    def key(self) -> Path:
        return self.folder / "client.key"

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        return context

    def demanding(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """A platform that lets nobody in without a certificate of our authority."""
        context = self.server()
        self.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = version
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = Files(authority=trustme.CA(), folder=tmp_path_factory.mktemp("certificates"))
    issued = made.authority.issue_cert("campaign-consumer")
    made.authority.cert_pem.write_to_path(made.ca)
    issued.cert_chain_pems[0].write_to_path(made.certificate)
    issued.private_key_pem.write_to_path(made.key)
    return made


async def test_the_files_of_the_settings_are_what_the_platform_is_spoken_to_with(files: Files) -> None:
    settings = {"SSL_CAFILE": files.ca, "SSL_CERTFILE": files.certificate, "SSL_KEYFILE": files.key}
    async with RawServer(answer_all, tls=files.demanding(ssl.TLSVersion.TLSv1_3)) as server:
        api = {"CAMPAIGN_API__URL": server.url, "CAMPAIGN_API__SERVER_KEY": "k"}
        loaded = load(None, api | {f"CAMPAIGN_API__{name}": str(value) for name, value in settings.items()})
        async with platform(server.url, tls=platform_tls(loaded)) as client:
            assert isinstance((await post(client)).answer, Answered)


async def test_an_authority_that_is_not_ours_is_told_with_the_setting(files: Files) -> None:
    async with RawServer(answer_all, tls=files.server()) as server:
        async with platform(server.url, tls=tls_context()) as client:
            answer = (await post(client)).answer
        assert isinstance(answer, Unreachable)
        assert answer.detail.startswith("TLS: ")
        assert answer.detail.endswith("; CAMPAIGN_API__SSL_CAFILE names who may vouch for it")
        assert server.received_bytes == 0


async def test_an_authority_of_ours_is_in_the_place_of_the_systems(files: Files) -> None:
    assert len(tls_context(cafile=files.ca).get_ca_certs()) == 1
    async with (
        RawServer(answer_all, tls=files.server()) as server,
        platform(server.url, tls=tls_context(cafile=files.ca)) as client,
    ):
        assert isinstance((await post(client)).answer, Answered)


async def refuse_in_words(peer: Peer, context: ssl.SSLContext) -> None:
    """Shake hands as most servers do: they say in an alert what they do not like. asyncio's own only goes away."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            peer.say(outgoing.read())
            await peer.news()
            incoming.write(bytes(peer.received))
            peer.received.clear()
        except ssl.SSLError:
            peer.say(outgoing.read())
            break
    peer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "a stranger's"])
async def test_a_certificate_of_ours_that_the_platform_refuses_leaves_nothing_in_doubt(
    files: Files, tmp_path: Path, version: ssl.TLSVersion, shown: str
) -> None:
    stranger = tmp_path / "both.pem"
    trustme.CA().issue_cert("campaign-consumer").private_key_and_cert_chain_pem.write_to_path(stranger)
    ours = tls_context(cafile=files.ca, certfile=None if shown == "none" else stranger)
    demanding = files.demanding(version)
    told = (REFUSED, CLOSED) if version is ssl.TLSVersion.TLSv1_3 else ("TLS: ",)
    async with (
        RawServer(lambda peer: refuse_in_words(peer, demanding)) as server,
        platform(server.url.replace("http:", "https:"), tls=ours) as client,
    ):
        for _ in range(3):
            answer = (await post(client)).answer
            assert isinstance(answer, Unreachable), answer
            assert answer.detail.startswith(told)


async def test_what_is_older_than_tls_1_2_is_not_spoken(files: Files) -> None:
    assert tls_context(cafile=files.ca).minimum_version is ssl.TLSVersion.TLSv1_2
