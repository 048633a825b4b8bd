"""A glance says of a record what decoding it would: whose it is, whether it can wait, and what stands for its ID and person."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.intake.decode import Decoder
from consumer.core.intake.glance import Glances
from consumer.core.journal.parked_range import NOBODYS, Glance
from consumer.core.policy import CampaignPolicy, Policies
from tests.core.intake.wild_events import NOW, PARTITION, VALID_EVENTS, WildRecord, json_bytes, plain_event

POLICIES = Policies(campaigns={421: CampaignPolicy(expires_after_seconds=300.0)})


def glance_at(record: WildRecord) -> Glance:
    (glance,) = Glances(POLICIES, Decoder(POLICIES)).at(PARTITION, [record], NOW)
    return glance


def decoded(record: WildRecord) -> Event | None:
    (found,) = Decoder(POLICIES).batch(PARTITION, [record], NOW)
    return found if isinstance(found, Event) else None


def agree(records: Sequence[WildRecord]) -> None:
    """Two events have a word in common exactly where they share an ID or a person."""
    events, glances = [decoded(record) for record in records], [glance_at(record) for record in records]
    assume(None not in events)  # a schedule behind the deadline that its campaign gives it makes an event invalid
    for event, glance in zip(events, glances, strict=True):
        assert event is not None
        assert (glance.campaign_id, glance.immediate) == (event.group.campaign_id, event.immediate)
        assert glance.expires_at == event.expires_at
    first, second = events
    assert first is not None
    assert second is not None
    (first_id, first_person), (second_id, second_person) = glances[0].words, glances[1].words
    assert (first_id == second_id) == (first.event_id == second.event_id)
    assert (first_person == second_person) == (first.person == second.person)


def spelled(event: dict[str, Any], envelope: str) -> WildRecord:
    """One event in one of the forms that it may come in."""
    match envelope:
        case "plain":
            return WildRecord(value=json_bytes(event))
        case "escaped":
            return WildRecord(value=json.dumps(event, ensure_ascii=True).encode())
        case "header":
            return WildRecord(value=json_bytes(event), headers=[("traceparent", b"x"), ("h", b"")])
        case "resend":
            return WildRecord(value=json_bytes(event), headers=[("resend-id", b"r1")])
        case "registry":
            return WildRecord(value=b"\0\0\0\0\7" + json_bytes(event))
        case _:
            return WildRecord(value=json_bytes(event | {"unknownField": {"priority": "immediate"}}))


FORMS = st.sampled_from(["plain", "escaped", "header", "resend", "registry", "more"])


@given(VALID_EVENTS, VALID_EVENTS, FORMS, FORMS)
def test_a_glance_and_decoding_agree_whatever_form_an_event_comes_in(
    first: dict[str, Any], second: dict[str, Any], first_form: str, second_form: str
) -> None:
    agree([spelled(first, first_form), spelled(second, second_form)])
    agree([spelled(first, first_form), spelled(first, second_form)])


@pytest.mark.parametrize(
    "one, other",
    [
        ({"phoneE164": "+34600111222"}, {"phoneNumber": "0034 600-111-222"}),
        ({"phoneE164": "+34600111222"}, {"phoneNumber": "600 111 222", "countryCode": "34"}),
        ({"externalCode": "C-1"}, {"externalCode": "c-1"}),
    ],
)
def test_one_person_has_one_word_however_they_are_written(one: dict[str, Any], other: dict[str, Any]) -> None:
    records = [WildRecord(value=json_bytes(plain_event(contact=contact))) for contact in (one, other)]
    assert glance_at(records[0]).words == glance_at(records[1]).words


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"[]", b'{"eventId": 7}', b"\xff", json_bytes(plain_event(contact={}))]
)
def test_what_is_no_event_is_nobodys_and_stands_before_nobody(value: bytes | None) -> None:
    assert glance_at(WildRecord(value=value)) == Glance(NOBODYS, immediate=False, words=(), expires_at=None)


def test_a_word_that_is_written_in_escapes_is_read_all_the_same() -> None:
    value = json_bytes(plain_event(priority="immediate")).replace(b'"immediate"', b'"\\u0069mmediate"')
    assert glance_at(WildRecord(value=value)).immediate


def test_an_event_that_says_elsewhere_that_it_is_immediate_is_not() -> None:
    assert not glance_at(WildRecord(value=json_bytes(plain_event(eventType="immediate")))).immediate
