"""What a span says of its request, and what the environment decides; against a collector that decodes the protobufs."""

import asyncio
from typing import Any

import pytest

from consumer.core.platform.answer import Answer, Answered, Exchange, Lost, Unreachable
from consumer.core.terms import Instant
from consumer.edge.telemetry.traces import RequestSpans
from consumer.service.facts import AnswerClass, RequestAttempt
from tests.edge.support import events, request
from tests.service.collector import Collector, attributes_of, collecting

URL = "http://user:hush-4711@eu.example.com:8080/v2/sms/send/list?key=hush-4712#hush-4713"
OK = Answered(status=200, retry_after_seconds=None, body=b"{}")
CLOSE_SECONDS = 20.0


def ended(answer: Answer, *, started_at: float | None = 1_790_000_000.5) -> Exchange:
    started = None if started_at is None else Instant(started_at)
    return Exchange(answer=answer, started_at=started, finished_at=Instant(1_790_000_001.75))


def traced(count: int) -> RequestAttempt:
    members = events(count)
    for event in members:
        event.trace = (("traceparent", b"00-%032x-%016x-01" % (event.offset, event.offset)),)
    return request(members=members)


async def sent(monkeypatch: pytest.MonkeyPatch, *told: tuple[RequestAttempt, Exchange, AnswerClass]) -> Collector:
    """What a collector hears of these requests."""
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        spans = RequestSpans(url=URL, group="g", version="1")
        for one in told:
            spans.add(*one)
        await asyncio.to_thread(spans.close, CLOSE_SECONDS)
        return collector


async def test_a_span_shows_the_platforms_address_and_none_of_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = await sent(monkeypatch, (request(), ended(OK), AnswerClass.ACCEPTED))
    [span] = collector.spans
    attributes = attributes_of(span.attributes)
    assert attributes["url.full"] == "http://eu.example.com:8080/v2/sms/send/list"
    assert (attributes["server.address"], attributes["server.port"]) == ("eu.example.com", 8080)
    assert b"hush" not in b"".join(collector.bodies)
    assert round((span.end_time_unix_nano - span.start_time_unix_nano) / 1e9, 6) == 1.25


@pytest.mark.parametrize(
    "exchange, answer, expected",
    [
        (ended(OK), AnswerClass.ACCEPTED, None),
        (ended(Answered(status=404, retry_after_seconds=None, body=None)), AnswerClass.ACCEPTED, None),
        (ended(Answered(status=302, retry_after_seconds=None, body=None)), AnswerClass.DENIED, "302"),
        (ended(Unreachable(detail="refused"), started_at=None), AnswerClass.NOT_DELIVERED, "no_connection"),
        (ended(Lost(detail="reset")), AnswerClass.UNKNOWN, "answer_lost"),
    ],
    ids=["accepted", "a status that means accepted", "a redirect", "no connection", "lost"],
)
async def test_a_span_fails_where_its_request_was_not_accepted_and_says_why(
    monkeypatch: pytest.MonkeyPatch, exchange: Exchange, answer: AnswerClass, expected: str | None
) -> None:
    [span] = (await sent(monkeypatch, (request(), exchange, answer))).spans
    attributes: dict[str, Any] = attributes_of(span.attributes)
    assert attributes.get("error.type") == expected
    assert (span.status.code == span.status.STATUS_CODE_ERROR) is (expected is not None)
    assert attributes["campaign.answer"] == answer.value
    assert span.start_time_unix_nano <= span.end_time_unix_nano


async def test_the_environment_may_ask_for_fewer_links_and_for_fewer_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (traced(500), ended(OK), AnswerClass.ACCEPTED)
    [span] = (await sent(monkeypatch, told)).spans
    assert (len(span.links), span.dropped_links_count) == (64, 436)
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "3")
    [span] = (await sent(monkeypatch, told)).spans
    assert [int.from_bytes(link.trace_id) for link in span.links] == [100, 101, 102]
    assert span.dropped_links_count == 497
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert not (await sent(monkeypatch, told)).spans


async def test_names_of_the_environment_win_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "texts")
    [resource] = (await sent(monkeypatch, (request(), ended(OK), AnswerClass.ACCEPTED))).resources
    assert (resource["service.name"], resource["service.version"]) == ("texts", "1")
