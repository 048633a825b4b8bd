"""Promises about the service's HTTP port, over real sockets."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from consumer.edge.http_server import MAX_CONNECTIONS, CannotListenError, HttpServer
from consumer.service.status_shape import Health
from tests.edge.http_service import Service
from tests.edge.support import Lines, status


async def test_port_zero_finds_a_free_one_and_says_which(server: HttpServer) -> None:
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}/"


async def test_prometheus_text_is_served_to_whoever_asks_for_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"Accept": "*/*"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    parsed: Iterable[Metric] = text_families(answer.text)
    names = {family.name for family in parsed}
    assert "campaign_lag_records" in names
    assert all(name.startswith("campaign_") for name in names)


async def test_openmetrics_is_served_to_a_prometheus(client: httpx.AsyncClient) -> None:
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    answer = await client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    parsed: Iterable[Metric] = openmetrics_families(answer.text)  # type: ignore[no-untyped-call]  # its types are missing
    assert {family.name for family in parsed} >= {"campaign_results", "campaign_build_info"}


@pytest.mark.parametrize("path, name", [("/healthz", "health"), ("/readyz", "ready")])
async def test_a_probe_is_answered_200_or_503_with_the_reasons(
    client: httpx.AsyncClient, service: Service, path: str, name: str
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "reasons": []})
    setattr(service, name, Health(reasons=("contact-events:3 has not moved for 60 s", "broker unreachable")))
    answer = await client.get(path)
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failing",
        "reasons": ["contact-events:3 has not moved for 60 s", "broker unreachable"],
    }


async def test_one_probe_failing_leaves_the_other_alone(client: httpx.AsyncClient, service: Service) -> None:
    service.ready = Health(reasons=("the platform refuses us",))
    assert (await client.get("/healthz")).status_code == 200


async def test_the_status_arrives_as_it_is_and_keeps_campaign_ids_beyond_what_a_browser_can_count(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/status")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(status()))
    assert answer.json()["sends"]["in_flight_by_campaign"] == {"9223372036854775807": 7}


async def test_an_unknown_path_is_a_404_that_names_the_pages(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metric")
    assert answer.status_code == 404
    assert "/metrics" in answer.json()["pages"]


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/status", "/sends", "/status/stream"])
async def test_pages_are_for_reading_alone(client: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await client.request(method, path, content=b"x" * 100_000)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD"
        assert answer.json()["allowed"] == ["GET", "HEAD"]
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")


async def test_sends_are_found_by_event_or_by_send_and_the_latest_without_a_question(client: httpx.AsyncClient) -> None:
    assert (await client.get("/sends")).json()["sends"] == [{"send_id": "newest"}]
    assert (await client.get("/sends", params={"event": "e/1 ü"})).json()["events"] == [{"event_id": "e/1 ü"}]
    assert (await client.get("/sends", params={"send": "s1"})).json()["sends"] == [{"send_id": "s1"}]


async def test_what_nobody_knows_is_a_404_that_says_where_else_to_look(client: httpx.AsyncClient) -> None:
    for question in ({"event": "e2"}, {"send": "s2"}):
        answer = await client.get("/sends", params=question)
        assert answer.status_code == 404
        assert "campaign-consumer results" in answer.json()["cure"]


@pytest.mark.parametrize("query", ["event=", "send=", "events=e1", "event=e1&send=s1", "event=e1&event=e2"])
async def test_a_question_that_makes_no_sense_is_a_400_that_says_what_does(
    client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"/sends?{query}")
    assert answer.status_code == 400
    assert "?event=ID or ?send=ID" in answer.json()["error"]


async def test_nothing_is_cached_or_guessed_by_a_browser(client: httpx.AsyncClient) -> None:
    for path in ("/", "/metrics", "/healthz", "/status", "/nothing"):
        answer = await client.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_broken_page_says_so_and_leaves_the_others_alone(client: httpx.AsyncClient, service: Service) -> None:
    lines = Lines()
    service.broken = RuntimeError("cannot count +34600111222")
    answer = await client.get("/status")
    assert answer.status_code == 500
    assert "600111222" not in answer.text
    [line] = lines.taken()
    assert (line["event"], line["path"], line["level"]) == ("page failed", "/status", "error")
    assert "cannot count ***" in str(line["exception"])
    assert (await client.get("/healthz")).status_code == 200


async def test_requests_leave_no_line_in_the_log(client: httpx.AsyncClient) -> None:
    lines = Lines("INFO")
    for path in ("/", "/metrics", "/status", "/nothing"):
        await client.get(path)
    assert lines.taken() == []


async def test_a_port_in_use_is_an_error_that_names_the_setting_and_the_cure(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError, match=rf"CAMPAIGN_HTTP__PORT={port} .*in use.*free port"):
            await service.server(port=port).start()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_host_that_is_not_ours_is_an_error_that_names_the_setting(service: Service, host: str) -> None:
    with pytest.raises(CannotListenError, match=rf"CAMPAIGN_HTTP__HOST={host}: .*0\.0\.0\.0"):
        await service.server(host=host).start()


async def test_a_stopped_server_frees_its_port_for_the_next(service: Service) -> None:
    first = service.server()
    await first.start()
    port = first.port
    await first.stop()
    await first.stop()
    second = service.server(port=port)
    await second.start()
    await second.stop()


async def raw(server: HttpServer, request: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(request)
    return reader, writer


async def test_a_client_that_never_reads_and_one_that_never_asks_hold_up_nobody(
    server: HttpServer, client: httpx.AsyncClient, service: Service
) -> None:
    service.status = {"much": "x" * 50_000_000}
    _, greedy = await raw(server, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
    _, mute = await raw(server)
    _, slow = await raw(server, b"GET /healthz HTTP/1.1\r\nHo")
    async with asyncio.timeout(2):
        for _ in range(20):
            assert (await client.get("/healthz")).status_code == 200
    async with asyncio.timeout(5):
        await server.stop()
    for writer in (greedy, mute, slow):
        writer.close()


async def until_closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""


async def test_a_crowd_of_idle_connections_neither_shuts_out_a_probe_nor_eats_all_descriptors(
    server: HttpServer,
) -> None:
    async with asyncio.timeout(10):
        async with asyncio.TaskGroup() as tasks:
            opening = [tasks.create_task(raw(server)) for _ in range(3 * MAX_CONNECTIONS)]
        crowd = [task.result() for task in opening]
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
        async with asyncio.TaskGroup() as tasks:
            closing = {tasks.create_task(until_closed(reader)) for reader, _ in crowd}
            waiting = closing
            while len(waiting) > MAX_CONNECTIONS:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
    for _, writer in crowd:
        writer.close()


async def test_garbage_is_answered_and_survived(server: HttpServer, client: httpx.AsyncClient) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9\r\n\r\n", b"G" * 100_000 + b"\r\n\r\n"):
        reader, writer = await raw(server, garbage)
        writer.write_eof()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()
    assert (await client.get("/healthz")).status_code == 200


async def test_an_ipv6_host_has_a_url_that_works(service: Service) -> None:
    server = service.server(host="::1")
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer: Any = (await client.get(server.url + "healthz")).json()
    await server.stop()
    assert answer["status"] == "ok"
