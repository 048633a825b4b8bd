"""A trace goes through the service: from a record's headers over the span of its request to the headers of its result."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from consumer.traffic.people import Person
from tests.service.collector import attributes_of, collecting
from tests.service.events import event, phone, urgent, written
from tests.service.harness import stage_on
from tests.support.cluster import Cluster
from tests.support.records import Written

SECRET = "Rumpelstilzchen"
GRACE_SECONDS = 20
QUICKLY = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
GARBAGE = (b"\xff\x00\x1b[2J", b"00-1-2-3", b"", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"x" * 100_000)


def traceparent(number: int, flags: str = "01") -> bytes:
    return f"00-{number:032x}-{number:016x}-{flags}".encode()


def traced(content: dict[str, object], number: int, *, flags: str = "01", partition: int = 0) -> Written:
    headers = [("traceparent", traceparent(number, flags)), ("tracestate", b"vendor=%d" % number)]
    return written(content, headers=headers, partition=partition)


def spans_by_campaign_and_attempt(spans: list[Span]) -> dict[tuple[int, int], tuple[Span, dict[str, Any]]]:
    said = {}
    for span in spans:
        attributes = attributes_of(span.attributes)
        said[attributes["campaign.id"], attributes["campaign.send.attempt"]] = (span, attributes)
    return said


async def test_a_request_is_a_span_with_links_to_its_events_and_their_traces_go_on_in_the_results(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage, collecting() as collector:
        stage.surroundings |= {**QUICKLY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        service = await stage.start({"WINDOW__MAX_CONTACTS": "100", "WINDOW__DURATION": "60s"})
        await stage.results.until(await stage.publish([traced(urgent(6, 1), 1)]))
        batch = [traced(event(7, person), 100 + person, partition=person % 2) for person in range(2, 102)]
        places = await stage.publish(batch)
        await stage.results.until(places)
        said = spans_by_campaign_and_attempt(await collector.until(2))
        assert await service.stop() == 0

        assert [stage.results.headers[place] for place in places] == [tuple(record.headers) for record in batch]
        span, attributes = said[7, 1]
        host, port = stage.sandbox.url.removeprefix("http://").split("/")[0].split(":")
        assert attributes == {
            "http.request.method": "POST",
            "url.full": stage.sandbox.url,
            "url.template": "/v2/sms/send/list",
            "server.address": host,
            "server.port": int(port),
            "http.response.status_code": 200,
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": stage.group,
            "messaging.destination.name": stage.events,
            "messaging.batch.message_count": 100,
            "campaign.id": 7,
            "campaign.send.id": stage.results.at[places[0]]["sendId"],
            "campaign.send.attempt": 1,
            "campaign.priority": "normal",
            "campaign.answer": "accepted",
        }
        assert (len(span.links), span.dropped_links_count) == (64, 36), "their number is bounded"
        for link in span.links:
            where = attributes_of(link.attributes)
            place = places[int.from_bytes(link.trace_id) - 102]
            assert where["messaging.destination.name"] == stage.events
            assert where["messaging.destination.partition.id"] == str(place.partition)
            assert where["kafka.offset"] == place.offset


async def test_each_attempt_is_a_span_that_says_how_it_ended(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, collecting() as collector:
        named = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"}
        stage.surroundings |= {**QUICKLY, **named, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        service = await stage.start()
        await stage.results.until(await stage.publish([traced(urgent(6, 1), 1)]))
        await stage.ask.set_faults(
            {"fault": "status", "campaign": 8, "status": 503, "times": 1},
            {"fault": "reset", "accept": True, "campaign": 9, "times": 1},
        )
        places = await stage.publish([traced(urgent(8, 1), 8), traced(urgent(9, 1), 9, flags="00")])
        await stage.results.until(places)
        spans = await collector.until(5)
        said = spans_by_campaign_and_attempt(spans)
        assert await service.stop() == 0

        assert said.keys() == {(6, 1), (8, 1), (8, 2), (9, 1), (9, 2)}
        for span in spans:
            assert (span.name, span.kind) == ("POST /v2/sms/send/list", span.SPAN_KIND_CLIENT)
            assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10_000_000_000
            assert (span.status.code == span.status.STATUS_CODE_ERROR) is (
                "error.type" in attributes_of(span.attributes)
            )
        (_, refused), (lost_span, lost), (_, again) = said[8, 1], said[9, 1], said[8, 2]
        assert (refused["http.response.status_code"], refused["error.type"]) == (503, "503")
        assert (lost["campaign.answer"], lost["error.type"]) == ("unknown", "answer_lost")
        assert (again["http.request.resend_count"], "error.type" in again) == (1, False)
        assert not lost_span.links, "nobody records that trace"
        assert [len(stage.results.headers[place]) for place in places] == [2, 2], "and it goes on all the same"
        assert collector.resources[0]["service.name"] == "campaign-consumer"
        assert collector.resources[0]["deployment.environment.name"] == "test"


async def test_whatever_stands_in_the_headers_everybody_gets_a_text_and_no_span_says_who(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage, collecting() as collector:
        stage.surroundings |= {**QUICKLY, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces"}
        service = await stage.start()
        people = list(range(1, len(GARBAGE) + 2))
        contents: list[dict[str, object]] = [
            urgent(6, {"phoneE164": phone(person), "customFields": {"name": SECRET}}) for person in people
        ]
        headers: list[list[tuple[str, bytes]]] = [[("traceparent", garbage)] for garbage in GARBAGE]
        headers.append([("traceparent", traceparent(7)), ("tracestate", phone(1).encode())])
        records = [
            written(content, key=b"key of %d" % person, headers=header)
            for person, content, header in zip(people, contents, headers, strict=True)
        ]
        places = await stage.publish([*records, written(b"{", headers=[("traceparent", traceparent(9))])])
        await stage.results.until(places)
        await collector.until(1)
        assert await service.stop() == 0

        assert [result["status"] for result in stage.results.at.values()].count("accepted") == len(people)
        assert [len(stage.results.headers[place]) for place in places] == [*([0] * len(GARBAGE)), 2, 1]
        sent = b"\n".join(collector.bodies)
        assert sent
        for person in people:
            assert Person(person).national_number.encode() not in sent
        assert b"key of" not in sent
        assert SECRET.encode() not in sent
        assert stage.sandbox.server_key.encode() not in sent


async def test_a_collector_that_never_answers_costs_nothing_but_spans(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, collecting() as collector:
        collector.is_silent = True
        stage.surroundings |= {**QUICKLY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_MAX_QUEUE_SIZE": "8",
                               "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}  # fmt: skip
        service = await stage.start({"SHUTDOWN__GRACE": f"{GRACE_SECONDS}s"})
        await stage.results.until(await stage.publish([traced(urgent(6, 1), 1)]))
        async with asyncio.timeout(GRACE_SECONDS):
            await collector.asked.wait()
        await stage.results.until(await stage.publish([traced(urgent(6, person), person) for person in range(2, 102)]))
        service.send(signal.SIGTERM)
        async with asyncio.timeout(GRACE_SECONDS / 2):
            assert await service.ended() == 0
        assert service.lines("stopped, everything settled")
        assert not collector.spans


@pytest.mark.parametrize(
    "switch",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["no endpoint", "disabled", "no exporter"],
)
async def test_without_a_collector_or_switched_off_no_span_is_made_and_no_header_is_added(
    kafka: Cluster, tmp_path: Path, switch: dict[str, str]
) -> None:
    async with stage_on(kafka, tmp_path) as stage, collecting() as collector:
        stage.surroundings |= {
            **QUICKLY,
            **{name: value.replace("COLLECTOR", collector.url) for name, value in switch.items()},
        }
        service = await stage.start()
        places = await stage.publish([traced(urgent(6, 1), 1)])
        await stage.results.until(places)
        assert await service.stop() == 0
        assert stage.results.headers == {places[0]: ()}
        assert not collector.asked.is_set()
