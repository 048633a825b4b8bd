"""Deliberate resends: the header that gives one a deadline of its own, in place of the event's."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.outcome import Reason
from consumer.core.policy import CampaignPolicy, Policies
from schemas.instants import instant_of
from tests.core.intake.decoding import decoded, event_of, fields_of, invalid_of
from tests.core.intake.wild_events import INSTANTS, VALID_EVENTS, WildRecord, json_bytes, plain_event

RESENT = ("resend-id", b"r-1")
OWN, LATER = "2026-11-24T15:45:00Z", "2026-11-24T16:00:00Z"
LIMITED = Policies(default=CampaignPolicy(expires_after_seconds=300.0))


def until(text: str) -> tuple[str, bytes]:
    return "resend-expires-at", text.encode()


@given(VALID_EVENTS, INSTANTS)
def test_a_resends_deadline_replaces_the_events_own_and_changes_nothing_else(
    document: dict[str, Any], deadline: str
) -> None:
    unscheduled = {**document, "send": None}
    value = json_bytes(unscheduled)
    plain = fields_of(decoded(WildRecord(value=value, headers=[RESENT])))
    event = fields_of(decoded(WildRecord(value=value, headers=[RESENT, until(deadline)])))
    assert event.pop("expires_at") == event.pop("resend").expires_at == instant_of(deadline)
    assert event == {name: field for name, field in plain.items() if name not in {"expires_at", "resend"}}


@pytest.mark.parametrize("policies", [Policies(), LIMITED], ids=["none", "expires after 5 minutes"])
@pytest.mark.parametrize("own", [{}, {"expiresAt": OWN}], ids=["no deadline", "a deadline"])
def test_it_goes_before_the_campaigns_setting_too(policies: Policies, own: dict[str, str]) -> None:
    event = event_of(plain_event(**own), policies, headers=[RESENT, until(LATER)])
    assert event.expires_at == instant_of(LATER)


def test_it_counts_in_envelopes_too() -> None:
    headers = [RESENT, until(LATER), ("content-type", b"application/cloudevents+json")]
    document = {
        "specversion": "1.0", "id": "e-1", "type": "order.shipped", "source": "/orders",
        "data": plain_event(expiresAt=OWN),
    }  # fmt: skip
    assert event_of(document, headers=headers).expires_at == instant_of(LATER)


def test_without_a_resend_it_says_nothing() -> None:
    event = event_of(plain_event(expiresAt=OWN), headers=[until("soon")])
    assert fields_of(event) == fields_of(event_of(plain_event(expiresAt=OWN)))


@given(st.text(max_size=30).map(str.encode) | st.binary(max_size=30))
def test_one_that_is_no_instant_makes_the_record_invalid_and_keeps_the_resends_id(value: bytes) -> None:
    try:
        instant_of(value.decode())
    except ValueError:
        one = invalid_of(plain_event(), headers=[RESENT, ("resend-expires-at", value)])
        assert (one.reason, one.resend.id, one.event_id) == (Reason.SCHEMA, "r-1", plain_event()["eventId"])
        assert one.detail == "header resend-expires-at: must be an RFC 3339 instant with an offset"


@pytest.mark.parametrize("value", ["", "soon", "2026-11-24T16:00:00", "2026-02-30T00:00:00Z", "1795536000"])
def test_an_instant_has_an_offset_and_exists(value: str) -> None:
    assert invalid_of(plain_event(), headers=[RESENT, until(value)]).reason is Reason.SCHEMA


@pytest.mark.parametrize(
    "scheduled, own, resends, is_valid",
    [
        ("2026-11-24T15:50:00Z", None, LATER, True),
        ("2026-11-24T16:00:00Z", None, LATER, False),
        ("2026-11-24T15:50:00Z", OWN, LATER, False),  # a resend mends no event that was invalid
        ("2026-11-24T15:44:00Z", OWN, LATER, True),
    ],
)
def test_a_schedule_has_to_be_before_both_deadlines(
    scheduled: str, own: str | None, resends: str, *, is_valid: bool
) -> None:
    document = plain_event(expiresAt=own, send={"scheduledAt": scheduled})
    decode = event_of if is_valid else invalid_of
    decode(document, headers=[RESENT, until(resends)])


def test_the_value_stays_what_the_dead_letter_and_the_audit_read() -> None:
    value = orjson.dumps({"eventId": "e-1"})
    one = invalid_of(value, headers=[RESENT, until(LATER)])
    assert (one.value, list(one.headers)) == (value, [RESENT, until(LATER)])
