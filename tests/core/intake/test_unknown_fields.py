"""Unknown fields: a slip in a name is told with the field that was meant, whatever else the record is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.intake.decode import Decoder
from consumer.core.intake.unknown_fields import Lookalike, UnknownFields
from consumer.core.policy import Policies
from tests.core.intake.wild_events import NOW, PARTITION, VALID_EVENTS, WildRecord, json_bytes, plain_event

CLOUD_EVENT = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t")]


def told(document: dict[str, Any], **record: Any) -> dict[Lookalike, int]:
    """What the decoder says of one record's unknown fields."""
    decoder = Decoder(Policies())
    decoder.batch(PARTITION, [WildRecord(value=json_bytes(document), **record)], NOW)
    return dict(decoder.lookalikes())


@pytest.mark.parametrize(
    "changes, name, meant",
    [
        ({"expireAt": "2026-11-24T15:45:19Z"}, "expireAt", "expiresAt"),
        ({"expires_at": "2026-11-24T15:45:19Z"}, "expires_at", "expiresAt"),
        ({"ExpiresAt": None}, "ExpiresAt", "expiresAt"),
        ({"priorty": "immediate"}, "priorty", "priority"),
        ({"contacts": []}, "contacts", "contact"),
        ({"sned": {}}, "sned", "send"),
        ({"sends": {}}, "sends", "send"),
        ({"contact": {"externalCode": "c", "customField": {}}}, "contact.customField", "contact.customFields"),
        ({"contact": {"externalCode": "c", "phoneE.164": "+1"}}, "contact.phoneE.164", "contact.phoneE164"),
        ({"send": {"scheduleAt": "2026-11-24T18:00:00Z"}}, "send.scheduleAt", "send.scheduledAt"),
        ({"send": {"expiresAt": "2026-11-24T18:00:00Z"}}, "send.expiresAt", "expiresAt"),
        ({"flash": True}, "flash", "send.flash"),
        ({"phoneNumber": "600"}, "phoneNumber", "contact.phoneNumber"),
        ({"traceId": "x", "sender": "y", "tenant": 1, "version": 2, "name": "z"}, "", ""),
    ],
)
def test_a_slip_is_told_with_what_was_meant(changes: dict[str, Any], name: str, meant: str) -> None:
    assert told(plain_event(**changes)) == ({Lookalike(name, meant): 1} if meant else {})


def test_a_slip_is_seen_in_every_envelope_and_in_an_invalid_record() -> None:
    slip = plain_event(expireAt="2026-11-24T15:45:19Z")
    expected = {Lookalike("expireAt", "expiresAt"): 1}
    assert told(slip, headers=[("traceparent", b"1")]) == expected
    assert told(slip, headers=[("resend-id", b"r-1")]) == expected
    assert told(slip, headers=CLOUD_EVENT) == expected
    assert told({**slip, "campaignId": "421"}) == expected


def test_a_slip_is_counted_once_for_each_record_and_taken_once() -> None:
    decoder = Decoder(Policies())
    slips = [WildRecord(value=json_bytes(plain_event(priorty="immediate", expireAt="x"))) for _ in range(5)]
    assert all(isinstance(one, Event) for one in decoder.batch(PARTITION, slips, NOW))
    assert decoder.lookalikes() == {Lookalike("priorty", "priority"): 5, Lookalike("expireAt", "expiresAt"): 5}
    assert decoder.lookalikes() == {}


@given(VALID_EVENTS)
def test_known_fields_are_never_told_whatever_they_hold(document: dict[str, Any]) -> None:
    assert told(document) == {}


@given(st.dictionaries(st.text(), st.none()))
def test_a_name_is_told_without_phones_and_control_characters(names: dict[str, None]) -> None:
    fields = UnknownFields()
    fields.look({**names, "phoneE164+34600111222": 1, "priori\x1bty": 1, "contact": names, "send": names})
    for lookalike in fields.taken():
        assert lookalike.name.isprintable()
        assert "34600111222" not in lookalike.name
        assert len(lookalike.name) <= len("contact.") + 32


def test_names_that_are_made_up_record_by_record_cost_no_more_than_a_few_looks_a_batch() -> None:
    fields = UnknownFields()
    fields.look({f"expiresAt{number}": None for number in range(10_000)})
    assert 0 < len(fields.taken()) <= 16
    fields.look({"priorty": None})
    assert fields.taken() == {Lookalike("priorty", "priority"): 1}, "the next batch looks again"
