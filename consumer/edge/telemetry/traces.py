"""Spans of requests, exported by OTLP over HTTP in a thread of the SDK. Alone knows OpenTelemetry; imported where it is on.

Names are those of the semantic conventions: HTTP's are stable, messaging's and Kafka's are in development. A span says nothing
of a contact, a key or a text. Between the event loop and the export lies a queue of bounded length: what the collector does
not take is lost, and nothing waits for it.
"""

import threading
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from consumer.core.event import Event
from consumer.core.platform.answer import Answered, Exchange, Unreachable
from consumer.core.terms import Instant, Offset, Partition
from consumer.service.facts import AnswerClass, RequestAttempt

MAX_LINKS: Final = 64
"""Of one span, unless `OTEL_SPAN_LINK_COUNT_LIMIT` asks for fewer. One waits in 200 bytes, and 2,048 spans may wait."""
SAMPLED: Final = 1
NANOSECONDS: Final = 1_000_000_000
ORDINARY_PORTS: Final = {"http": 80, "https": 443}

Attributes = dict[str, str | int]
TracedRecord = tuple[bytes, Partition, Offset]
"""A record's `traceparent`, and where it stands."""


class RequestSpan(ReadableSpan):
    """A span that makes its links when the export asks for them: a hundred cost two milliseconds of the event loop."""

    def __init__(
        self,
        name: str,
        *,
        context: SpanContext,
        resource: Resource,
        scope: InstrumentationScope,
        attributes: Attributes,
        status: Status,
        start_time: int,
        end_time: int,
        traced: Sequence[TracedRecord],
        left_out: int,
    ) -> None:
        super().__init__(
            name,
            context=context,
            resource=resource,
            instrumentation_scope=scope,
            attributes=attributes,
            kind=SpanKind.CLIENT,
            status=status,
            start_time=start_time,
            end_time=end_time,
        )
        self._traced = traced
        self._left_out = left_out

    @property
    def links(self) -> Sequence[Link]:
        """The traces that its events belong to."""
        return [_link(*record) for record in self._traced]

    @property
    def dropped_links(self) -> int:
        """How many more there are."""
        return self._left_out


class RequestSpans:
    """Makes one span of each request, linked to the traces of its events."""

    def __init__(self, *, url: str, group: str, version: str) -> None:
        """`url` is the platform's. Where spans go, which are sampled, how many may wait: all that the `OTEL_*` say.

        Raises:
            ValueError: they say what cannot be.
        """
        self._provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)  # `close` is bounded
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        self._provider.add_span_processor(self._processor)
        self._scope = InstrumentationScope("campaign-consumer", version)
        limit = SpanLimits().max_links
        self._most_links = MAX_LINKS if limit is None else min(MAX_LINKS, limit)
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        self._name = f"POST {path}"
        self._always: Attributes = {
            "http.request.method": "POST",
            "url.full": f"{parts.scheme}://{host}{'' if parts.port is None else f':{parts.port}'}{path}",  # no user, no query
            "url.template": path,
            "server.address": host,
            "server.port": parts.port or ORDINARY_PORTS[parts.scheme],
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": group,
        }

    def add(self, request: RequestAttempt, exchange: Exchange, answer: AnswerClass) -> None:
        """A request has ended, or found no connection: hand its span to the export."""
        ids = self._provider.id_generator
        trace_id, attributes = ids.generate_trace_id(), {**self._always, **_attributes(request, exchange, answer)}
        sampling = self._provider.sampler.should_sample(None, trace_id, self._name, SpanKind.CLIENT, attributes)
        if sampling.decision is not Decision.RECORD_AND_SAMPLE:
            return
        started_at = exchange.finished_at if exchange.started_at is None else exchange.started_at
        traced = _traced(request.members)
        is_good = answer is AnswerClass.ACCEPTED
        self._processor.on_end(
            RequestSpan(
                self._name,
                context=SpanContext(trace_id, ids.generate_span_id(), is_remote=False, trace_flags=TraceFlags(SAMPLED)),
                resource=self._provider.resource,
                scope=self._scope,
                attributes=attributes,
                status=Status(StatusCode.UNSET) if is_good else Status(StatusCode.ERROR, answer.value),
                start_time=_nanoseconds(started_at),
                end_time=_nanoseconds(max(started_at, exchange.finished_at)),
                traced=traced[: self._most_links],
                left_out=max(0, len(traced) - self._most_links),
            )
        )

    def close(self, seconds: float) -> None:
        """Export what is left, for so long at most; the process may end then, whatever the export is doing."""
        closing = threading.Thread(target=self._provider.shutdown, name="close spans", daemon=True)
        closing.start()
        closing.join(seconds)


def _resource(version: str) -> Resource:
    ours = Resource.create({SERVICE_NAME: "campaign-consumer", SERVICE_VERSION: version})
    return ours.merge(OTELResourceDetector().detect())


def _nanoseconds(instant: Instant) -> int:
    return int(instant * NANOSECONDS)


def _attributes(request: RequestAttempt, exchange: Exchange, answer: AnswerClass) -> Attributes:
    attributes: Attributes = {
        "messaging.batch.message_count": request.contacts,
        "campaign.id": request.campaign_id,
        "campaign.send.id": request.send_id,
        "campaign.send.attempt": request.attempt,
        "campaign.priority": request.priority.value,
        "campaign.answer": answer.value,
    }
    partitions = {event.partition for event in request.members}
    topics = {partition.topic for partition in partitions}
    if len(topics) == 1:
        attributes["messaging.destination.name"] = next(iter(topics))
    if len(partitions) == 1:
        attributes["messaging.destination.partition.id"] = str(next(iter(partitions)).number)
    if request.attempt > 1:
        attributes["http.request.resend_count"] = request.attempt - 1
    match exchange.answer:
        case Answered(status=status):
            attributes["http.response.status_code"] = status
            if answer is not AnswerClass.ACCEPTED:
                attributes["error.type"] = str(status)
        case Unreachable():
            attributes["error.type"] = "no_connection"
        case _:
            attributes["error.type"] = "answer_lost"
    return attributes


def _traced(members: Sequence[Event]) -> list[TracedRecord]:
    """Return the members that belong to a trace which somebody records."""
    traced = [(event.trace[0][1], event.partition, event.offset) for event in members if event.trace]
    return [record for record in traced if int(record[0][53:55], 16) & SAMPLED]


def _link(traceparent: bytes, partition: Partition, offset: Offset) -> Link:
    trace_id, span_id = int(traceparent[3:35], 16), int(traceparent[36:52], 16)
    return Link(
        SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(SAMPLED)),
        {
            "messaging.destination.name": partition.topic,
            "messaging.destination.partition.id": str(partition.number),
            "kafka.offset": offset,
        },
    )
