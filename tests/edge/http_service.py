"""An HTTP server over a service that the test plays."""

from collections.abc import Mapping
from typing import Any

from consumer.edge.http_server import HttpServer
from consumer.service.status_shape import Health
from tests.edge.support import status, telemetry

NOTHING: Mapping[str, Any] = {"events": [], "sends": []}


class Known:
    """What is known of events and sends."""

    def newest(self) -> Mapping[str, object]:
        return {"events": [], "sends": [{"send_id": "newest"}]}

    def event(self, event_id: str) -> Mapping[str, object]:
        return {**NOTHING, "events": [{"event_id": event_id}]} if event_id == "e/1 ü" else NOTHING

    def send(self, name: str) -> Mapping[str, object]:
        return {**NOTHING, "sends": [{"send_id": name}]} if name == "s1" else NOTHING


class Service:
    """What stands behind the callbacks; a test changes it."""

    def __init__(self) -> None:
        self.health = Health()
        self.ready = Health()
        self.status: Mapping[str, object] = dict(status())
        self.broken: Exception | None = None
        self.asked = 0
        self.telemetry = telemetry()
        self.telemetry.bind(status)

    def answer_status(self) -> Mapping[str, object]:
        self.asked += 1
        if self.broken is not None:
            raise self.broken
        return self.status

    def server(self, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> HttpServer:
        return HttpServer(
            host=host,
            port=port,
            finder=Known(),
            token=token,
            metrics=self.telemetry.exposition,
            health=lambda: self.health,
            ready=lambda: self.ready,
            status=self.answer_status,
        )
