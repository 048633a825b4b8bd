"""The service behind a proxy, to the results: tunnels carry its requests, and a proxy that wants a password stops them."""

import ssl

import trustme

from config.proxy import Proxy
from consumer.core.platform.access import AccessState
from tests.faults.raw_server import Peer, RawServer
from tests.faults.tunnels import Tunnels, join
from tests.service.events import urgent
from tests.sockets.stage import stage


async def test_a_proxy_that_wants_a_password_stops_dispatch_and_costs_no_attempt() -> None:
    authority, certificate, trust = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    authority.configure_trust(trust)
    tunnels, sandbox_ports = Tunnels(), [0]

    async def open_tls(peer: Peer) -> None:
        await join(peer, "127.0.0.1", sandbox_ports[0])

    async with RawServer(open_tls, tls=certificate) as platform, RawServer(tunnels) as proxy:
        way = Proxy(host="127.0.0.1", port=proxy.port, credentials=None, named_by="HTTPS_PROXY")
        url = f"https://127.0.0.1:{platform.port}/v2/sms/send/list"
        async with stage(url=url, tls=trust, proxy=way, contacted=False) as running:
            sandbox_ports[0] = int(running.sandbox.base_url.rsplit(":", 1)[1])
            (first,) = await running.sent(urgent(1, 1))
            assert first["status"] == "accepted"

            tunnels.wants_password = True
            for peer in proxy.peers:
                peer.close()
            await proxy.everybody_gone()
            places = running.publish([urgent(2, 2), urgent(3, 3)])
            await running.until_read(places)
            for _ in range(5):
                await running.forward(3600.0)
                await running.until_nothing_is_out()
            assert running.pipeline.access.state(running.clock.now()) is AccessState.STOPPED
            assert len(running.results.at) == 1, "but for the first"

            tunnels.wants_password = False
            await running.forward(600.0)
            results = await running.until(places)
        assert {(result["status"], result["attempts"]) for result in results} == {("accepted", 1)}
