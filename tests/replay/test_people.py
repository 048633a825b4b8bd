"""People as operators type them are found whatever the spelling, and strangers are not taken for them."""

import pytest

from consumer.core.people import People
from consumer.core.policy import Policies, WireNames
from consumer.replay.criteria import Criteria
from tests.core.intake.decoding import event_of

PHONE = {"phoneE164": "+34600111222"}
LOCAL = {"phoneNumber": "600 111 222"}
BOTH: dict[str, object] = {"phoneNumber": "600111222", "countryCode": "34", "externalCode": "Cust-829172"}
CODE = {"externalCode": "cust-829172"}
SHORT = {"phoneNumber": "5512"}


def document(contact: dict[str, object]) -> dict[str, object]:
    return {
        "eventId": "e-1",
        "eventType": "order.shipped",
        "occurredAt": "2026-11-24T15:40:19Z",
        "campaignId": 421,
        "contact": contact,
    }


def is_among(text: str, contact: dict[str, object]) -> bool:
    return Criteria(contacts=People([text])).select(event_of(document(contact)), 0)


@pytest.mark.parametrize("text", ["+34600111222", "0034 600-111-222", "600111222", "(+34) 600 11 12 22", "34600111222"])
@pytest.mark.parametrize("contact", [PHONE, LOCAL, BOTH], ids=["E.164", "local", "with a code"])
def test_a_phone_is_found_however_it_is_spelled(text: str, contact: dict[str, object]) -> None:
    assert is_among(text, contact)


@pytest.mark.parametrize("text", ["cust-829172", " CUST-829172 "])
@pytest.mark.parametrize("contact", [BOTH, CODE], ids=["beside a phone", "alone"])
def test_a_code_is_found_beside_a_phone_and_alone(text: str, contact: dict[str, object]) -> None:
    assert is_among(text, contact)


@pytest.mark.parametrize(
    "text, contact",
    [
        pytest.param("+34600111223", PHONE, id="another phone"),
        pytest.param("829172", CODE, id="the digits of a code"),
        pytest.param("e-600111222", PHONE, id="an ID with a phone's digits"),
        pytest.param("cust-829173", BOTH, id="another code"),
        pytest.param("600115512", SHORT, id="the end of a phone"),
        pytest.param("-", PHONE, id="a dash"),
    ],
)
def test_strangers_are_not_taken_for_them(text: str, contact: dict[str, object]) -> None:
    assert not is_among(text, contact)


def test_the_code_is_found_under_whatever_name_the_platform_has_for_it() -> None:
    names = WireNames(external_code="code")
    event = event_of(document(BOTH), Policies(field_names=names))

    assert Criteria(contacts=People(["cust-829172"]), field_names=names).select(event, 0)
    assert not Criteria(contacts=People(["cust-829173"]), field_names=names).select(event, 0)
