"""Decoding: any bytes become an event or a dead letter with a reason, whichever way they are read."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.core.event import Decoded, Event, Invalid
from consumer.core.intake import decode
from consumer.core.intake.decode import Decoder
from consumer.core.outcome import Reason
from consumer.core.platform import post
from consumer.core.policy import CampaignPolicy, Policies, WireNames
from schemas.contact_event import ContactEvent, contact_event_of
from schemas.mistake import SchemaError
from tests.core.intake.decoding import SCHEDULING, decoded, event_of, fields_of, invalid_of
from tests.core.intake.wild_events import (
    NOW,
    PARTITION,
    VALID_EVENTS,
    WildRecord,
    broken_texts,
    doubled_members,
    json_bytes,
    nearly_valid_events,
    plain_event,
)

HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "resend-id",
                "resend-reason",
                "resend-expires-at",
                "content-type",
                "ce_specversion",
                "ce_id",
                "ce_type",
                "ce_source",
                "ce_time",
            ]
        )
        | st.text(max_size=5),
        st.binary(max_size=5)
        | st.sampled_from([b"1.0", b"application/cloudevents+json", b"application/cloudevents+json; charset=UTF-8"])
        | st.sampled_from([b"2026-11-24T16:00:00Z", b"2026-11-24T17:00:00.5+01:00", b"0001-01-01t00:00:00z"]),
    ),
    max_size=5,
)


def by_the_models(record: WildRecord, policies: Policies = SCHEDULING) -> Decoded:
    """Decode without the fast way."""

    def refuse(_: object) -> Any:
        raise ValueError("not this way")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "fast_event_of", refuse)
        patch.setattr(decode, "fast_event_in", refuse)
        return decoded(record, policies)


# ---------------------------------------------------------------- any bytes, two ways


@given(st.binary(), HEADERS)
def test_any_bytes_are_an_event_or_invalid_and_never_an_exception(
    value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    one = decoded(WildRecord(value=value, headers=headers))
    assert one.offset == 1842


@given(broken_texts() | doubled_members(), HEADERS | st.just([]))
@example(json_bytes(plain_event())[:-1] + b',"send":{"originData":{"x":1e400}},"send":null}', [])
@example(json_bytes(plain_event())[:-1] + b',"unknown":1e400}', [])
@example(json_bytes(plain_event())[:-1] + b',"contact":{"externalCode":"c","unknown":1e400}}', [])
@example(json_bytes(plain_event())[:-1] + b',"contact":{"externalCode":"c","unknown":"\xff"}}', [])
@example(json_bytes(plain_event())[:-1] + b',"send":{"unknown":1e400}}', [])
@example(json_bytes(plain_event())[:-1] + b',"unknown":' + b"[" * 5000 + b"]" * 5000 + b"}", [])
@example(json_bytes(plain_event(contact={"externalCode": "c", "customFields": {"n": 2**64}})), [])
@example(json_bytes(plain_event(contact={"externalCode": "c", "customFields": {"n": -(2**63) - 1}})), [])
@example(json_bytes(plain_event(contact={"phoneE164": "+34600111222\n"})), [])
@example(json_bytes(plain_event(contact={"phoneE164": "+3460011122\u0662"})), [])
@example(json_bytes(plain_event(contact={"phoneNumber": "600", "countryCode": "34\n"})), [])
def test_both_ways_of_reading_bytes_agree(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    record = WildRecord(value=value, headers=headers)
    assert fields_of(decoded(record)) == fields_of(by_the_models(record))


@given(nearly_valid_events())
def test_both_ways_of_reading_a_nearly_valid_event_agree(document: dict[str, Any]) -> None:
    record = WildRecord(value=json.dumps(document).encode())
    assert fields_of(decoded(record)) == fields_of(by_the_models(record))


@given(nearly_valid_events() | VALID_EVENTS)
def test_what_the_models_accept_is_an_event_and_nothing_else_is(document: dict[str, Any]) -> None:
    value = json.dumps(document).encode()
    try:
        contact_event_of(orjson.loads(value))
    except (SchemaError, orjson.JSONDecodeError):
        assert isinstance(decoded(WildRecord(value=value)), Invalid)
    else:
        assert isinstance(decoded(WildRecord(value=value)), Event)


@given(VALID_EVENTS)
def test_an_event_carries_what_its_record_says(document: dict[str, Any]) -> None:
    event = event_of(document)
    truth = ContactEvent.model_validate(document)
    contact = document["contact"]
    assert event.event_id == document["eventId"]
    assert event.event_type == document["eventType"]
    assert event.occurred_at == document["occurredAt"]
    assert event.group.campaign_id == document["campaignId"]
    assert event.external_reference == (contact.get("externalReference") or document["eventId"])
    assert event.immediate == (truth.priority == "immediate")
    expected = {name: value for name, value in contact.items() if value is not None and name != "externalReference"}
    if not expected.get("customFields"):
        expected.pop("customFields", None)
    assert orjson.loads(event.contact) == expected | {"customData": event.external_reference}


@pytest.mark.parametrize("said", [{}, {"priority": None}, {"priority": "normal"}])
@pytest.mark.parametrize("way", [decoded, by_the_models])
def test_an_event_of_an_urgent_topic_is_immediate_unless_it_says_otherwise(
    way: Callable[[WildRecord, Policies], Decoded], said: dict[str, Any]
) -> None:
    record = WildRecord(value=json_bytes(plain_event(**said)))
    event = way(record, Policies(urgent_topics=frozenset({PARTITION.topic})))
    elsewhere = way(record, Policies(urgent_topics=frozenset({"another"})))
    assert isinstance(event, Event)
    assert isinstance(elsewhere, Event)
    assert event.immediate == (said.get("priority") is None)
    assert not elsewhere.immediate


@given(st.lists(st.binary(max_size=20) | VALID_EVENTS.map(json_bytes) | st.none(), max_size=5))
def test_a_batch_is_decoded_record_by_record_in_its_order(values: list[bytes | None]) -> None:
    records = [WildRecord(value=value, offset=offset * 3) for offset, value in enumerate(values)]
    batch = Decoder(SCHEDULING).batch(PARTITION, records, NOW)
    assert [fields_of(one) for one in batch] == [fields_of(decoded(record)) for record in records]


# ---------------------------------------------------------------- reasons


@pytest.mark.parametrize(
    "value, reason",
    [
        (b"", Reason.NOT_JSON),
        (b"\xff{}", Reason.NOT_UTF8),
        (b'{"x": NaN}', Reason.NOT_JSON),
        (b'{"eventId": 1e400}', Reason.NOT_JSON),
        (b"\xef\xbb\xbf{}", Reason.NOT_JSON),
        (b'{"eventId": "\\ud800"}', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b"[]", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b'"{}"', Reason.NOT_AN_OBJECT),
        (b"{}", Reason.SCHEMA),
        (b"\x00\x00\x00\x00", Reason.NOT_JSON),
        (b"\x00\x00\x00\x00\x07[]", Reason.NOT_AN_OBJECT),
    ],
)  # fmt: skip
def test_a_dead_letter_says_why(value: bytes, reason: Reason) -> None:
    assert invalid_of(value).reason is reason


def test_a_tombstone_is_invalid() -> None:
    one = decoded(WildRecord(value=None))
    assert isinstance(one, Invalid)
    assert one.reason is Reason.TOMBSTONE


@pytest.mark.parametrize(
    "changes, detail",
    [
        ({"campaignId": ...}, "campaignId: required"),
        ({"campaignId": "421"}, "campaignId: must be a valid integer"),
        ({"campaignId": True}, "campaignId: must be a valid integer"),
        ({"campaignId": 0}, "campaignId: must be greater than or equal to 1"),
        ({"campaignId": 2**63}, "campaignId: must be less than or equal to 9223372036854775807"),
        ({"occurredAt": "2026-11-24T15:40:19"}, "occurredAt: must be an RFC 3339 instant with an offset"),
        ({"priority": "urgent"}, "priority: must be 'normal' or 'immediate'"),
        ({"contact": {"externalReference": "x"}},
         "contact: at least one of phoneE164, phoneNumber, externalCode is required"),
        ({"contact": {"phoneE164": "600111222"}}, r"contact.phoneE164: must match pattern '^\+[0-9]{7,15}$'"),
        ({"contact": {"externalCode": "c", "customFields": {"secret": [1]}}},
         "contact.customFields: must be an object of strings, booleans, nulls and numbers of at most 64 bits"),
        ({"send": {"scheduledAt": "2026-11-24T18:00:00Z"}, "expiresAt": "2026-11-24T18:00:00Z"},
         "send.scheduledAt must be before expiresAt"),
        ({"eventId": "", "eventType": "", "campaignId": 0, "occurredAt": ""},
         ("eventId: must have at least 1 character; eventType: must have at least 1 character; "
          "occurredAt: must be an RFC 3339 instant with an offset; and 1 more")),
    ],
)  # fmt: skip
def test_a_detail_names_field_and_rule(changes: dict[str, object], detail: str) -> None:
    one = invalid_of(plain_event(**changes))
    assert (one.reason, one.detail) == (Reason.SCHEMA, detail)


SECRET = "+49301234567"


@pytest.mark.parametrize("field", ["eventId", "eventType", "occurredAt", "campaignId", "contact", "send", "priority"])
@pytest.mark.parametrize("value", [SECRET * 20, {SECRET: [SECRET]}, [SECRET], {"customFields": {SECRET: [SECRET]}}])
def test_a_detail_never_holds_a_value_of_the_record(field: str, value: object) -> None:
    one = decoded(WildRecord(value=json_bytes(plain_event(**{field: value}))))
    assert isinstance(one, Event) or SECRET[1:] not in one.detail  # an object of unknown fields is a valid `send`


@given(nearly_valid_events().map(json.dumps).map(str.encode) | broken_texts())
def test_a_detail_is_short(value: bytes) -> None:
    one = decoded(WildRecord(value=value))
    assert isinstance(one, Event) or 0 < len(one.detail) <= 512


def test_an_invalid_record_keeps_the_fields_that_could_be_read() -> None:
    one = invalid_of(
        plain_event(contact={"externalReference": "order-1"}, campaignId=7), headers=[("resend-id", b"again-1")]
    )
    assert (one.event_id, one.event_type, one.campaign_id, one.external_reference, one.occurred_at, one.resend.id) == (
        "0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1234", "order.shipped", 7, "order-1", "2026-11-24T15:40:19Z", "again-1",
    )  # fmt: skip


def test_an_invalid_record_keeps_no_field_that_is_itself_invalid() -> None:
    one = invalid_of({"eventId": 7, "eventType": "x" * 129, "campaignId": True, "occurredAt": "today", "contact": []})
    assert (one.event_id, one.event_type, one.campaign_id, one.external_reference, one.occurred_at) == (None,) * 5


# ---------------------------------------------------------------- sizes


def test_a_contact_that_fits_no_request_of_its_campaign_is_too_large() -> None:
    small = Policies(campaigns={421: CampaignPolicy(max_bytes=400)})
    contact = {"phoneE164": "+34600111222", "customFields": {"text": "x" * 400}}
    assert invalid_of(plain_event(contact=contact), small).reason is Reason.TOO_LARGE
    assert event_of(plain_event(contact=contact, campaignId=422), small).group.campaign_id == 422


@pytest.mark.parametrize("options", [0, 40])
def test_a_contact_is_too_large_exactly_where_its_own_request_would_be(options: int) -> None:
    policies = Policies(default=CampaignPolicy(max_bytes=400))
    for length in range(200, 340):
        document = plain_event(
            contact={"phoneE164": "+34600111222", "customFields": {"t": "x" * length}},
            send={"originData": {"o": "y" * options}} if options else None,
        )
        event = event_of(document)
        body = post.body(event.group, [event.contact], policies.field_names)
        fits = isinstance(decoded(WildRecord(value=json_bytes(document)), policies), Event)
        assert fits == (len(body) < 400 - (not options)), length  # a window counts a comma for each contact


def test_an_external_reference_that_no_result_could_carry_is_too_large() -> None:
    one = invalid_of(plain_event(contact={"externalCode": "c", "externalReference": "r" * 16_385}))
    assert (one.reason, one.external_reference) == (Reason.TOO_LARGE, None)


# ---------------------------------------------------------------- rules of the contract


def test_the_external_reference_defaults_to_the_event_id() -> None:
    assert event_of(plain_event()).external_reference == "0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1234"


def test_the_expiry_defaults_to_the_campaigns_setting_counted_from_the_occurrence() -> None:
    policies = Policies(campaigns={421: CampaignPolicy(expires_after_seconds=300.0)})
    assert event_of(plain_event(), policies).expires_at == 1_795_534_819.0 + 300.0
    assert event_of(plain_event(expiresAt="2026-11-24T15:41:00Z"), policies).expires_at == 1_795_534_860.0
    assert event_of(plain_event(campaignId=422), policies).expires_at is None


def test_a_schedule_at_or_after_the_default_expiry_is_invalid() -> None:
    policies = Policies(
        default=CampaignPolicy(expires_after_seconds=300.0), field_names=WireNames(scheduled_at="scheduleAt")
    )
    one = invalid_of(plain_event(send={"scheduledAt": "2026-11-24T18:00:00Z"}), policies)
    assert (one.reason, one.detail) == (Reason.SCHEMA, "send.scheduledAt: must be before the event expires")


def test_a_schedule_goes_to_the_platform_in_utc_to_the_second() -> None:
    event = event_of(plain_event(send={"scheduledAt": "2026-11-24T19:00:00.9+01:00"}))
    assert event.group.options == b'"scheduleAt":"2026-11-24T18:00:00Z"'
    assert event.unsendable is None


def test_a_schedule_in_the_past_is_sent_now() -> None:
    event = event_of(plain_event(send={"scheduledAt": "2026-11-24T15:40:19Z"}), Policies())
    assert (event.group.options, event.unsendable) == (b"", None)


def test_a_schedule_without_a_wire_name_cannot_be_sent() -> None:
    event = event_of(plain_event(send={"scheduledAt": "2026-11-24T18:00:00Z", "flash": True}), Policies())
    assert (event.group.options, event.unsendable) == (b'"flash":true', Reason.SCHEDULE_NOT_CONFIGURED)


@pytest.mark.parametrize(
    "send", [None, {}, {"flash": False, "charset": "auto", "sendTypeOverride": "list", "originData": {}},
             {"flash": None, "charset": None, "sendTypeOverride": None, "originData": None, "scheduledAt": None}],
)  # fmt: skip
def test_options_at_their_defaults_are_left_out(send: object) -> None:
    assert event_of(plain_event(send=send)).group == event_of(plain_event()).group


def test_options_are_written_canonically_at_every_depth() -> None:
    one = {"originData": {"b": {"y": [1, {"q": 1, "p": 2}], "x": None}, "a": 1}, "flash": True, "charset": "spanish"}
    other = {"charset": "spanish", "flash": True, "originData": {"a": 1, "b": {"x": None, "y": [1, {"p": 2, "q": 1}]}}}
    assert event_of(plain_event(send=one)).group == event_of(plain_event(send=other)).group
    assert orjson.loads(b"{%b}" % event_of(plain_event(send=one)).group.options) == one


def test_the_wire_names_are_the_operators() -> None:
    names = WireNames(phone_e164="phone", custom_fields="fields", external_reference="ref", flash="isFlash")
    event = event_of(plain_event(send={"flash": True}), Policies(field_names=names))
    assert orjson.loads(event.contact) == {
        "phone": "+34600111222", "fields": {"orderId": "A-99812"}, "ref": event.event_id,
    }  # fmt: skip
    assert event.group.options == b'"isFlash":true'


def test_a_number_keeps_its_digits_up_to_64_bits_and_is_refused_beyond() -> None:
    fields = {"most": 2**64 - 1, "least": -(2**63), "share": 0.1, "whole": 3.0}
    event = event_of(plain_event(contact={"externalCode": "c", "customFields": fields}))
    assert orjson.loads(event.contact)["customFields"] == fields
    for number in (2**64, -(2**63) - 1, 10**30, 1e30):
        contact = {"externalCode": "c", "customFields": {"n": number}}
        assert invalid_of(plain_event(contact=contact)).reason is Reason.SCHEMA
        assert invalid_of(plain_event(send={"originData": {"n": [number]}})).reason is Reason.SCHEMA


def test_of_a_repeated_key_the_last_counts() -> None:
    value = json_bytes(plain_event())[:-1] + b',"campaignId":"x","campaignId":9}'
    one = decoded(WildRecord(value=value))
    assert isinstance(one, Event)
    assert one.group.campaign_id == 9


def test_a_decoded_event_costs_the_buffer_at_least_its_bytes() -> None:
    value = json_bytes(plain_event())
    assert event_of(plain_event()).size_bytes > len(value) + len(b"customer-1")


# ---------------------------------------------------------------- resends


@given(st.lists(st.tuples(st.text(min_size=1, max_size=4), st.none() | st.text(min_size=1, max_size=4)), max_size=30))
@example([("a", "bc"), ("ab", "c"), ("abc", None), ("abc", "\0")])
def test_fingerprints_differ_exactly_when_event_id_or_resend_id_differ(pairs: list[tuple[str, str | None]]) -> None:
    prints = {
        (event_id, resend_id): event_of(
            plain_event(eventId=event_id), headers=[("resend-id", resend_id.encode())] if resend_id else []
        ).fingerprint
        for event_id, resend_id in pairs
    }
    assert len(set(prints.values())) == len(prints)
    assert all(len(each) == 16 for each in prints.values())


def test_a_resend_brings_its_reason() -> None:
    headers = [("resend-id", b"r-1"), ("resend-reason", "porqu\u00e9".encode()), ("resend-operator", b"ana")]
    event = event_of(plain_event(), headers=headers)
    assert event.resend == ("r-1", "porqu\u00e9", None)


@pytest.mark.parametrize("value", [b"", b"\xff", b"x" * 129])
def test_a_resend_id_that_is_none_makes_the_record_invalid(value: bytes) -> None:
    one = invalid_of(plain_event(), headers=[("resend-id", value)])
    assert (one.reason, one.event_id, one.resend.id) == (Reason.SCHEMA, plain_event()["eventId"], None)


def test_headers_that_do_not_concern_us_change_nothing() -> None:
    headers = [("traceparent", b"00-1-2-01"), ("content-type", b"application/json"), ("ce_traceparent", b"\xff")]
    assert fields_of(event_of(plain_event(), headers=headers)) == fields_of(event_of(plain_event()))


@pytest.mark.parametrize("name", ["resend-id", "resend-expires-at", "content-type", "ce_id", "x"])
def test_a_header_without_a_value_counts_as_left_out(name: str) -> None:
    headers: Any = [(name, None)]  # Kafka allows it
    assert fields_of(event_of(plain_event(), headers=headers)) == fields_of(event_of(plain_event()))
    assert list(invalid_of(b"", headers=headers).headers) == headers
