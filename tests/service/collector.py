"""A collector of spans: takes OTLP over HTTP and decodes the protobufs, or takes nothing. Judges nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.eventually import eventually

COLLECT_SECONDS = 30.0


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Attributes by name, as Python's own values."""

    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}


@dataclass(slots=True)
class Collector:
    """What was sent to it."""

    url: str = ""
    is_silent: bool = False
    """Whether it takes requests and never answers."""
    spans: list[Span] = field(default_factory=list)
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: list[bytes] = field(default_factory=list)

    async def until(self, count: int) -> list[Span]:
        """All spans, once there are so many."""

        async def enough() -> bool:
            return len(self.spans) >= count

        await eventually(enough, within_seconds=COLLECT_SECONDS, what=f"{count} spans")
        return self.spans

    async def take(self, request: web.Request) -> web.Response:
        """Answer an export."""
        body = await request.read()
        self.asked.set()
        if self.is_silent:
            await asyncio.Event().wait()
        self.bodies.append(body)
        assert request.content_type == "application/x-protobuf"
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes_of(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector on a port of its own."""
    collector = Collector()
    application = web.Application()
    application.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}"
    try:
        yield collector
    finally:
        await runner.cleanup()
