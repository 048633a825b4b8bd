"""The service's HTTP server: metrics, probes, status, operations page. Callbacks give the content; none is made here."""

import asyncio
import base64
import errno
import hashlib
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Final

import orjson
import structlog
from aiohttp import web

from consumer.edge.telemetry.log import OURS
from consumer.service.status_shape import Health

KEEP_ALIVE_SECONDS: Final = 75.0  # longer than the usual scrape interval of 60
STOP_SECONDS: Final = 1.0  # clients that do not read must not hold up a shutdown
MAX_CONNECTIONS: Final = 64  # people, a Prometheus or two, probes; Kafka and the platform need descriptors too

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CannotListenError(Exception):
    """The port cannot be opened; the message names the setting to change."""


class HttpServer:
    """Serves what its callbacks return. They are called on the event loop and must not block.

    `metrics` is given the `Accept` header and returns content type and body.
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
    ) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._health = health
        self._ready = ready
        self._status = status
        self.page, self.page_policy = _page()
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
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/", self._get_page)
        application.router.add_get("/metrics", self._get_metrics)
        application.router.add_get("/healthz", self._get_health)
        application.router.add_get("/readyz", self._get_ready)
        application.router.add_get("/status", self._get_status)
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
        server, self._server = self._server, None
        runner, self._runner = self._runner, None
        if server is not None:
            server.close()
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = sorted(error.allowed_methods)
            body = {"error": f"{request.method} is not allowed here", "allowed": allowed}
            return _json(405, body, Allow=", ".join(allowed))
        except web.HTTPNotFound:
            return _json(404, {"error": "no such page", "pages": ["/", "/metrics", "/healthz", "/readyz", "/status"]})
        except Exception:  # noqa: BLE001 - one broken page must not break the others or the service
            self._log.exception("page failed", path=request.path)
            return _json(500, {"error": "this page failed; the log says why"})

    async def _get_page(self, _request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": self.page_policy, "Referrer-Policy": "no-referrer"}
        return _answer(200, self.page, "text/html; charset=utf-8", headers)

    async def _get_metrics(self, request: web.Request) -> web.Response:
        content_type, body = self._metrics(",".join(request.headers.getall("Accept", [])))
        return _answer(200, body, content_type, {"Vary": "Accept"})

    async def _get_health(self, _request: web.Request) -> web.Response:
        return _health(self._health())

    async def _get_ready(self, _request: web.Request) -> web.Response:
        return _health(self._ready())

    async def _get_status(self, _request: web.Request) -> web.Response:
        return _json(200, self._status())


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


def _page() -> tuple[bytes, str]:
    """Return the operations page, and a content security policy that allows only the page's own script and style."""
    page = resources.files("consumer").joinpath("page", "index.html").read_bytes()

    def hashes(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>".encode(), page, flags=re.DOTALL)
        assert found, tag
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}'" for inside in found)

    policy = (
        f"default-src 'none'; connect-src 'self'; img-src data:; script-src {hashes('script')}; "
        f"style-src {hashes('style')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


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
