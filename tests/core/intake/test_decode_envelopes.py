"""Envelopes: CloudEvents in both modes and the schema registry's wire format give the same event as the event alone."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from consumer.core.event import Event, Invalid
from consumer.core.outcome import Reason
from tests.core.intake.decoding import decoded, event_of, fields_of, invalid_of
from tests.core.intake.wild_events import WildRecord, json_bytes, plain_event

DATA = plain_event(eventId=..., eventType=..., occurredAt=...)
ATTRIBUTES: dict[str, Any] = {
    "specversion": "1.0",
    "id": plain_event()["eventId"],
    "type": plain_event()["eventType"],
    "source": "/orders",
}
TIME = "2026-11-24T15:40:19Z"
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]
BINARY = [(f"ce_{name}", value.encode()) for name, value in {**ATTRIBUTES, "time": TIME}.items()]


def envelope(**changes: object) -> dict[str, object]:
    return {
        name: value for name, value in {**ATTRIBUTES, "time": TIME, "data": DATA, **changes}.items() if value is not ...
    }


def same_event(one: Event) -> bool:
    mine, plain = fields_of(one), fields_of(event_of(plain_event()))
    return all(mine[name] == value for name, value in plain.items() if name != "size_bytes")


@pytest.mark.parametrize("wrap", [to_binary_event, to_structured_event])
def test_what_the_cloudevents_library_writes_is_read(wrap: Any) -> None:
    attributes = {
        **ATTRIBUTES,
        "time": datetime(2026, 11, 24, 15, 40, 19, tzinfo=UTC),
        "datacontenttype": "application/json",
    }
    message: KafkaMessage = wrap(CloudEvent(attributes, DATA))
    one = decoded(WildRecord(value=message.value, headers=list(message.headers.items())))
    assert isinstance(one, Event), one.detail
    assert (one.event_id, one.event_type, one.occurred) == (ATTRIBUTES["id"], ATTRIBUTES["type"], 1_795_534_819.0)


def test_a_structured_cloudevent_is_the_event_in_its_data() -> None:
    assert same_event(event_of(envelope(), headers=STRUCTURED))


def test_a_binary_cloudevent_is_the_event_in_its_value() -> None:
    assert same_event(event_of(DATA, headers=BINARY))


def test_data_in_base64_is_read() -> None:
    encoded = base64.b64encode(json_bytes(DATA)).decode()
    assert same_event(event_of(envelope(data=..., data_base64=encoded), headers=STRUCTURED))


def test_the_envelope_fills_only_what_the_data_leaves_out() -> None:
    event = event_of(envelope(data=plain_event(eventId="mine")), headers=STRUCTURED)
    assert event.event_id == "mine"


def test_the_registrys_wire_format_is_read_with_and_without_an_envelope() -> None:
    prefix = b"\x00\x00\x00\x00\x2a"
    for value, headers in ((plain_event(), []), (DATA, BINARY), (envelope(), STRUCTURED)):
        one = decoded(WildRecord(value=prefix + json_bytes(value), headers=headers))
        assert isinstance(one, Event), one.detail
        assert same_event(one)


@pytest.mark.parametrize(
    "changes, reason, detail",
    [
        ({"specversion": "0.3"}, Reason.SCHEMA, "CloudEvents specversion: must be '1.0'"),
        ({"source": ...}, Reason.SCHEMA, "CloudEvents source: required"),
        ({"time": ...}, Reason.SCHEMA, "occurredAt: required"),
        ({"data": ...}, Reason.NOT_AN_OBJECT, "the data of the CloudEvent is not a JSON object"),
        ({"data": "x"}, Reason.NOT_AN_OBJECT, "the data of the CloudEvent is not a JSON object"),
        ({"data_base64": "eA=="}, Reason.SCHEMA, "data_base64: must be a string, with no data beside it"),
        ({"data": ..., "data_base64": "*"}, Reason.SCHEMA, "data_base64: must be base64"),
        ({"data": ..., "data_base64": "/w=="}, Reason.NOT_UTF8, "not UTF-8 at byte 0"),
    ],
)
def test_a_broken_envelope_is_told_and_its_fields_are_kept(
    changes: dict[str, object], reason: Reason, detail: str
) -> None:
    one = invalid_of(envelope(**changes), headers=STRUCTURED)
    assert (one.reason, one.detail) == (reason, detail)
    assert (one.event_id, one.event_type) == (ATTRIBUTES["id"], ATTRIBUTES["type"])


def test_a_binary_envelope_without_its_attributes_is_told() -> None:
    one = invalid_of(
        DATA, headers=[("ce_specversion", b"1.0"), ("ce_id", b"\xff"), ("ce_type", b"t"), ("ce_source", b"s")]
    )
    assert one.detail == "CloudEvents id: required"


def test_data_that_is_no_json_keeps_the_envelopes_fields() -> None:
    one = decoded(WildRecord(value=b"<xml/>", headers=BINARY))
    assert isinstance(one, Invalid)
    assert (one.reason, one.event_id, one.occurred_at) == (Reason.NOT_JSON, ATTRIBUTES["id"], TIME)


def test_batches_of_cloudevents_are_refused_with_the_reason() -> None:
    one = invalid_of([envelope()], headers=[("content-type", b"application/cloudevents-batch+json")])
    assert one.detail == "header content-type: of CloudEvents only application/cloudevents+json is read"
