"""Promises about the token: who is let in, by what, and that it is told to nobody."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from consumer.edge.http_server import HttpServer
from tests.edge.http_service import Service
from tests.edge.support import Lines

TOKEN = "a-token-of-the-test"
CLOSED = ("/", "/status", "/status/stream", "/sends", "/sends?event=e1", "/nothing")


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    server = Service().server(token=TOKEN)
    await server.start()
    yield server
    await server.stop()


async def test_probes_and_metrics_are_open_and_all_else_asks_for_the_token(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await client.get(path)).status_code == 200, path
    for path in CLOSED:
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), path
    assert "CAMPAIGN_HTTP__TOKEN" in (await client.get("/status")).json()["cure"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_in_a_header_lets_in(client: httpx.AsyncClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    for path in ("/", "/status", "/sends"):
        assert (await client.get(path, headers=headers)).status_code == 200, path


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ü"]
)
async def test_anything_else_in_it_does_not(client: httpx.AsyncClient, given: str) -> None:
    assert (await client.get("/status", headers=[(b"Authorization", given.encode())])).status_code == 401


async def test_the_form_lets_a_browser_in_until_it_is_closed(client: httpx.AsyncClient) -> None:
    form = await client.get("/")
    assert 'method="post" action="session"' in form.text
    assert "form-action 'self'" in form.headers["Content-Security-Policy"]
    assert "script-src" not in form.headers["Content-Security-Policy"]
    answer = await client.post("/session", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["Location"]) == (303, "./")
    cookie = answer.headers["Set-Cookie"]
    assert re.search("; HttpOnly; SameSite=Strict$", cookie), "no script reads it, no other site uses it"
    assert "Max-Age" not in cookie
    assert "Expires" not in cookie
    assert TOKEN not in cookie
    for path in ("/", "/status", "/sends"):
        assert (await client.get(path)).status_code == 200, path


async def test_another_token_in_the_form_is_asked_for_again(client: httpx.AsyncClient) -> None:
    for data in ({"token": "guess"}, {"token": ""}, {}):
        answer = await client.post("/session", data=data)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
        assert "That is not the token." in answer.text
    assert (await client.get("/status")).status_code == 401


async def test_a_file_or_a_flood_in_place_of_the_token_is_survived(client: httpx.AsyncClient) -> None:
    assert (await client.post("/session", files={"token": b"x"})).status_code == 401
    assert (await client.post("/session", content=b"token=" + b"x" * 100_000)).status_code in {401, 413}
    big = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post("/session", content=b"token=" + b"x" * 100_000, headers=big)).status_code == 413


async def test_the_session_of_another_token_does_not_let_in(client: httpx.AsyncClient) -> None:
    other = Service().server(token="another-token")
    await other.start()
    async with httpx.AsyncClient(trust_env=False) as browser:
        await browser.post(other.url + "session", data={"token": "another-token"})
        assert (await browser.get(other.url + "status")).status_code == 200
        answer = await client.get(
            "/status", headers={"Cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items())}
        )
    await other.stop()
    assert answer.status_code == 401


async def test_no_answer_and_no_line_tells_the_token(client: httpx.AsyncClient) -> None:
    lines = Lines("DEBUG")
    answers = [
        await client.get("/", headers={"Authorization": f"Bearer {TOKEN}"}),
        await client.post("/session", data={"token": TOKEN}),
        await client.post("/session", data={"token": f"{TOKEN}x"}),
        await client.get("/status"),
    ]
    for answer in answers:
        assert TOKEN not in answer.text + str(answer.headers)
    assert lines.taken() == []
