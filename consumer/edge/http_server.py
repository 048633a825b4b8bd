"""The service's HTTP server: metrics, probes, status, sends, operations page. Callbacks give the content; none is made here."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import orjson
import structlog
from aiohttp import web

from consumer.edge.http_token import Token
from consumer.edge.page_files import Page, operations_page, token_page
from consumer.edge.status_stream import StatusStream
from consumer.edge.telemetry.log import OURS
from consumer.service.status_shape import Health

KEEP_ALIVE_SECONDS: Final = 75.0  # longer than the usual scrape interval of 60
STOP_SECONDS: Final = 1.0  # clients that do not read must not hold up a shutdown
MAX_CONNECTIONS: Final = 64  # people, a Prometheus or two, probes; Kafka and the platform need descriptors too

MAX_FORM_BYTES: Final = 8_192  # the one form holds the token
PAGES: Final = ("/", "/metrics", "/healthz", "/readyz", "/status", "/status/stream", "/sends")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CannotListenError(Exception):
    """The port cannot be opened; the message names the setting to change."""


class SendsFinder(Protocol):
    """What `/sends` asks. Each answer has two lists, `events` and `sends`; empty ones where nothing is known."""

    def newest(self) -> Mapping[str, object]:
        """Return the latest sends."""

    def event(self, event_id: str) -> Mapping[str, object]:
        """Return what is known of an event."""

    def send(self, name: str) -> Mapping[str, object]:
        """Return what is known of a send."""


class HttpServer:
    """Serves what its callbacks return. They are called on the event loop and must not block.

    `metrics` is given the `Accept` header and returns content type and body. With a `token`, all but metrics and
    probes is for those who have it.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        metrics: Callable[[str], tuple[str, bytes]],
        health: Callable[[], Health],
        ready: Callable[[], Health],
        status: Callable[[], Mapping[str, object]],
        finder: SendsFinder,
        token: str | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._health = health
        self._ready = ready
        self._status = status
        self._finder = finder
        self._token = Token(token)
        self._page, self._token_page = operations_page(), token_page()
        self._wrong_token_page = token_page(said="That is not the token.")
        self._stream = StatusStream(status)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger(OURS)

    @property
    def port(self) -> int:
        """The port that the server listens on; the configured one until `start` has returned."""
        if self._server is not None and self._server.sockets:
            return int(self._server.sockets[0].getsockname()[1])
        return self._port

    @property
    def url(self) -> str:
        """The URL of the operations page."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/"

    async def start(self) -> None:
        """Listen.

        Raises:
            CannotListenError: the port is in use or forbidden, or the host is no address of this machine.
        """
        application = web.Application(middlewares=[self._guard], client_max_size=MAX_FORM_BYTES)
        application.router.add_get("/", self._get_page)
        application.router.add_get("/metrics", self._get_metrics)
        application.router.add_get("/healthz", self._get_health)
        application.router.add_get("/readyz", self._get_ready)
        application.router.add_get("/status", self._get_status)
        application.router.add_get("/status/stream", self._get_stream)
        application.router.add_get("/sends", self._get_sends)
        application.router.add_post("/session", self._begin_session)
        runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            lingering_time=0,
            shutdown_timeout=STOP_SECONDS,
        )
        await runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _connection(runner), self._host, self._port)
        except OSError as error:
            await runner.cleanup()
            raise CannotListenError(_why_not(self._host, self._port, error)) from error
        self._runner = runner

    async def stop(self) -> None:
        """Close the port and all connections. Answers that are being written get `STOP_SECONDS` to finish."""
        self._stream.stop()
        server, self._server = self._server, None
        runner, self._runner = self._runner, None
        if server is not None:
            server.close()
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not self._token.lets_in(request):
                return self._ask_for_token(request)
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return _json(413, {"error": "too large"})
        except web.HTTPMethodNotAllowed as error:
            allowed = sorted(error.allowed_methods)
            body = {"error": f"{request.method} is not allowed here", "allowed": allowed}
            return _json(405, body, Allow=", ".join(allowed))
        except web.HTTPNotFound:
            return _json(404, {"error": "no such page", "pages": PAGES})
        except Exception:  # noqa: BLE001 - one broken page must not break the others or the service
            self._log.exception("page failed", path=request.path)
            return _json(500, {"error": "this page failed; the log says why"})

    async def _get_page(self, _request: web.Request) -> web.Response:
        return _document(200, self._page)

    def _ask_for_token(self, request: web.Request) -> web.Response:
        headers = {"WWW-Authenticate": "Bearer"}
        if request.path == "/":
            return _document(401, self._token_page, **headers)
        cure = "send Authorization: Bearer with the value of CAMPAIGN_HTTP__TOKEN"
        return _json(401, {"error": "this page asks for a token", "cure": cure}, **headers)

    async def _begin_session(self, request: web.Request) -> web.Response:
        """Let a browser in that hands in the token, and show it the page; ask again where the token is another one."""
        token = (await request.post()).get("token", "")
        if not (isinstance(token, str) and self._token.is_right(token.strip())):
            return _document(401, self._wrong_token_page, **{"WWW-Authenticate": "Bearer"})
        answer = _answer(303, b"", "text/plain", {"Location": "./"})
        self._token.begin_session(answer)
        return answer

    async def _get_metrics(self, request: web.Request) -> web.Response:
        content_type, body = self._metrics(",".join(request.headers.getall("Accept", [])))
        return _answer(200, body, content_type, {"Vary": "Accept"})

    async def _get_health(self, _request: web.Request) -> web.Response:
        return _health(self._health())

    async def _get_ready(self, _request: web.Request) -> web.Response:
        return _health(self._ready())

    async def _get_status(self, _request: web.Request) -> web.Response:
        return _json(200, self._status())

    async def _get_stream(self, request: web.Request) -> web.StreamResponse:
        if self._stream.is_full:
            return _json(503, {"error": "as many listen as may; ask /status instead"}, **{"Retry-After": "10"})
        return await self._stream.serve(request)

    async def _get_sends(self, request: web.Request) -> web.Response:
        query = request.query
        match list(query.items()):
            case []:
                return _json(200, self._finder.newest())
            case [("event", event_id)] if event_id:
                found = self._finder.event(event_id)
            case [("send", send_id)] if send_id:
                found = self._finder.send(send_id)
            case _:
                return _json(400, {"error": "ask for ?event=ID or ?send=ID, or for neither: the latest sends"})
        if not (found["events"] or found["sends"]):
            cure = "it is neither in hand here nor among the last 1,000; campaign-consumer results looks in Kafka"
            return _json(404, {"error": "nothing is known of it", "cure": cure})
        return _json(200, found)


def _connection(runner: web.AppRunner) -> asyncio.Protocol:
    """Return the protocol of a new connection; where there are too many, close the oldest ones.

    So neither many idle connections nor some that never read can keep a probe out. When many connections come at once,
    the limit may be exceeded by a few until the next one comes.
    """
    server = runner.server
    assert server is not None
    connections = server.connections
    for oldest in connections[: max(0, len(connections) + 1 - MAX_CONNECTIONS)]:
        if oldest.transport is not None:
            oldest.transport.abort()
    return server()


def _health(health: Health) -> web.Response:
    body = {"status": "ok" if health.ok else "failing", "reasons": health.reasons}
    return _json(200 if health.ok else 503, body)


def _json(status: int, body: Mapping[str, object], **headers: str) -> web.Response:
    text = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    return _answer(status, text, "application/json", headers)


def _answer(status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> web.Response:
    common = {"Content-Type": content_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, body=body, headers={**common, **headers})


def _document(status: int, page: Page, **headers: str) -> web.Response:
    ours = {"Content-Security-Policy": page.policy, "Referrer-Policy": "no-referrer"}
    return _answer(status, page.body, "text/html; charset=utf-8", {**ours, **headers})


def _why_not(host: str, port: int, error: OSError) -> str:
    at_port, at_host = f"CAMPAIGN_HTTP__PORT={port} (on {host})", f"CAMPAIGN_HTTP__HOST={host}"
    if isinstance(error, socket.gaierror):
        return f"{at_host}: no such host; use an address of this machine, or 0.0.0.0 for all of them"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{at_port}: in use by another process; stop that one, or choose a free port (0 finds one)"
        case errno.EACCES:
            return f"{at_port}: ports below 1024 are for privileged processes; choose a higher one"
        case errno.EADDRNOTAVAIL:
            return f"{at_host}: not an address of this machine; use one that is, or 0.0.0.0 for all of them"
        case _:
            return f"{at_port}: cannot listen: {error.strerror or type(error).__name__}"
