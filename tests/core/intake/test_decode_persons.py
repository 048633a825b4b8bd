"""Persons as decoding names them: each kind of identity in requests of its own, one person under one name."""

import pytest

from consumer.core.event import Identity
from tests.core.intake.decoding import event_of
from tests.core.intake.wild_events import plain_event


def test_each_kind_of_identity_is_a_group_of_its_own() -> None:
    contacts = [
        {"phoneE164": "+34600111222"},
        {"phoneNumber": "600111222"},
        {"externalCode": "c"},
        {"phoneNumber": "600111222", "countryCode": "34"},
        {"phoneNumber": "600"},
    ]
    for send in (None, {"flash": True}, {"originData": {"a": 1}}):
        groups = [event_of(plain_event(contact=contact, send=send)).group for contact in contacts]
        kinds = [group.identity for group in groups]
        assert kinds == [Identity.E164, Identity.LOCAL, Identity.CODE, Identity.NATIONAL, Identity.SHORT]


def test_one_person_is_one_person_in_every_field() -> None:
    contacts = [
        {"phoneE164": "+34600111222"},
        {"phoneE164": "+0034600111222"},
        {"phoneNumber": "+34 600 111 222"},
        {"phoneNumber": "0034 600-111-222", "externalCode": "c"},
    ]
    events = [event_of(plain_event(contact=contact)) for contact in contacts]
    assert {(event.group.identity, event.person) for event in events} == {(Identity.E164, "421 phone 0111222")}


@pytest.mark.parametrize(
    "number, code, e164",
    [("0612345678", "33", "+33612345678"), ("07911 123456", "44", "+447911123456"), ("8 912 123 45 67", "7", "+79121234567")],
)  # fmt: skip
def test_a_number_beside_its_country_code_never_shares_a_request_with_its_e164(
    number: str, code: str, e164: str
) -> None:
    national = event_of(plain_event(contact={"phoneNumber": number, "countryCode": code}))
    plain, odd = (event_of(plain_event(contact={"phoneE164": phone})) for phone in (e164, f"+{code}0{e164[3:]}"))
    assert national.group != plain.group != odd.group
    assert national.group == odd.group
    assert national.person == plain.person == odd.person, "in whatever request, they keep their order"


def test_a_code_and_a_short_number_are_no_ends_of_longer_ones() -> None:
    contacts = [{"phoneE164": "+34600111222"}, {"externalCode": "0111222"}, {"phoneNumber": "111222"}]
    assert len({event_of(plain_event(contact=contact)).person for contact in contacts}) == len(contacts)
