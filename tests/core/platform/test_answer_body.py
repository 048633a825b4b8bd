"""What each contact of a request is told of the platform's answer."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import NO_RESEND, Event, GroupKey, Identity
from consumer.core.outcome import Reason, Response
from consumer.core.person import person_of
from consumer.core.platform.answer_body import ReadAnswer, read_accepted, read_refused, read_refused_contact
from consumer.core.platform.masking import MAX_WORDS_BYTES
from consumer.core.policy import WireNames
from consumer.core.terms import Instant, Offset, Partition, Ticks

NAMES = WireNames()
REPORTED = Reason.PLATFORM_REPORTED_ERRORS


def member(
    number: int,
    *,
    e164: str | None = None,
    phone: str | None = None,
    country: str | None = None,
    code: str | None = None,
    reference: str | None = None,
    names: WireNames = NAMES,
) -> Event:
    """A member of a request; without any name it is called by a phone made of its number."""
    if not (e164 or phone or code):
        e164 = f"+346001112{number:02}"
    kind, person = person_of(phone_e164=e164, phone_number=phone, country_code=country, external_code=code)
    reference = reference or f"order-{number}"
    contact = {
        names.phone_e164: e164,
        names.phone_number: phone,
        names.country_code: country,
        names.external_code: code,
        names.custom_fields: {"name": "Ana"},
        names.external_reference: reference,
    }
    return Event(
        partition=Partition("contact-events", 0),
        offset=Offset(number),
        key=None,
        event_id=f"event-{number}",
        event_type="order.shipped",
        occurred_at="2026-11-24T15:40:19Z",
        occurred=Instant(0.0),
        external_reference=reference,
        resend=NO_RESEND,
        fingerprint=bytes(16),
        group=GroupKey(421, b"", kind),
        person=person,
        contact=orjson.dumps({name: value for name, value in contact.items() if value is not None}),
        expires_at=None,
        immediate=False,
        unsendable=None,
        size_bytes=100,
        timestamp_ms=0,
        received_at=Instant(0.0),
        arrived=Ticks(0.0),
    )


THREE = [member(1), member(2), member(3)]


def read(*items: object, members: list[Event] = THREE, names: WireNames = NAMES) -> ReadAnswer:
    answer = {"statusCode": 200, "message": "OK", "data": {"id": 77, "errors": items}}
    return read_accepted(orjson.dumps(answer), 200, members, names)


def rejected(reading: ReadAnswer) -> list[int]:
    return [event.offset for event, _ in reading.rejected]


def suspected(reading: ReadAnswer) -> list[int]:
    return [event.offset for event in reading.suspected]


# ------------------------------------------------------------------------------------------------- without errors


def test_an_answer_without_errors_is_read_once_for_all() -> None:
    answer = b'{"statusCode":200,"message":"OK","data":{"id":77}}'
    assert read_accepted(answer, 200, THREE, NAMES) == ReadAnswer(
        response=Response(status=200, id=77, message="OK"), reason=None
    )


class Untouchable(list[Event]):
    def __iter__(self) -> Any:
        raise AssertionError("a member was looked at")

    def __getitem__(self, place: object) -> Any:
        raise AssertionError("a member was looked at")

    def __len__(self) -> int:
        raise AssertionError("members were counted")


@pytest.mark.parametrize(
    "answer", [b'{"data":{"id":1}}', b'{"message":"no errors"}', b'{"data":{"errors":[]}}', b"", b"<html>", None]
)
def test_an_answer_without_errors_costs_nothing_per_member(answer: bytes | None) -> None:
    read_accepted(answer, 200, Untouchable(), NAMES)


@pytest.mark.parametrize(
    "answer", [None, b"", b"<html>", b'{"statusCode"', b"[]", b'"OK"', b"null", b"\xff", b'{"a":NaN}']
)
def test_an_accepted_answer_that_cannot_be_read_stays_accepted(answer: bytes | None) -> None:
    assert read_accepted(answer, 200, THREE, NAMES) == ReadAnswer(
        response=Response(status=200), reason=Reason.UNREADABLE_ANSWER
    )


@pytest.mark.parametrize("status", [204, 205])
def test_an_answer_without_content_has_nothing_that_could_not_be_read(status: int) -> None:
    assert read_accepted(b"", status, THREE, NAMES) == ReadAnswer(response=Response(status=status), reason=None)
    assert read_accepted(None, status, THREE, NAMES).reason is Reason.UNREADABLE_ANSWER


@pytest.mark.parametrize(
    "data,expected",
    [
        ({"id": 77}, 77),
        ({"id": "a-77"}, "a-77"),
        ({"id": 7.5}, 7.5),
        ({"id": True}, True),
        ({"id": None}, None),
        ({"id": {"n": 1}}, None),
        ({"id": [1]}, None),
        ({"id": "x" * 257}, None),
        ({}, None),
        (None, None),
        ([{"id": 1}], None),
    ],
)
def test_the_platforms_id_is_told_where_it_is_a_scalar(data: object, expected: object) -> None:
    assert read_accepted(orjson.dumps({"data": data}), 200, THREE, NAMES).response.id == expected


# --------------------------------------------------------------------------------------------------- with errors


def test_an_item_that_names_one_contact_rejects_it_in_the_platforms_words_and_accepts_the_others() -> None:
    reading = read({"customData": "order-2", "message": "contact is disabled"})
    assert reading.rejected == [
        (
            THREE[1],
            Response(status=200, id=77, message="OK", item={"customData": "order-2", "message": "contact is disabled"}),
        )
    ]
    assert (reading.reason, reading.suspected) == (None, [])
    assert reading.response == Response(status=200, id=77, message="OK")


@pytest.mark.parametrize(
    "item",
    [
        {"phoneE164": "+34600111202"},
        {"phoneE164": "34600111202"},
        {"phoneE164": "0034 600 11 12 02"},
        {"phoneE164": 34600111202},
        {"phoneNumber": "600111202", "countryCode": "34"},
        {"phoneNumber": "600-111-202", "countryCode": "+34"},
        {"phoneNumber": 600111202, "countryCode": 34},
        {"phoneNumber": "+34 (600) 111.202", "countryCode": None},
        {"phoneNumber": "34600111202"},
        {"customData": "order-2"},
        {"customData": "order-2", "phoneE164": "+34600111202"},
        {"customData": "order-2", "phoneNumber": "600111202"},
        {"customData": "order-2", "phoneE164": "+4915112345678"},
        {"customData": "unknown here", "phoneE164": "+34600111202"},
        {"customData": None, "phoneE164": "+34600111202", "externalCode": ""},
    ],
)
def test_a_contact_is_found_by_any_name_and_any_comparable_spelling(item: Mapping[str, object]) -> None:
    assert rejected(read(item)) == [2]


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"message": "something went wrong"},
        {"customData": "order-9"},
        {"customData": "ORDER-2"},
        {"customData": True},
        {"customData": ["order-2"]},
        {"phoneE164": "+34600111299"},
        {"phoneNumber": "600111202"},
        {"externalCode": "order-2"},
        "order-2",
        2,
        None,
        ["order-2"],
    ],
)
def test_an_item_that_names_nobody_leaves_all_accepted_with_a_reservation(item: object) -> None:
    reading = read(item)
    assert (rejected(reading), suspected(reading), reading.reason) == ([], [], REPORTED)


def test_a_contact_is_found_by_its_own_number_as_it_was_sent() -> None:
    members = [member(1, phone="600111201", country="34"), member(2, phone="600111202", country="34")]
    assert rejected(read({"phoneNumber": "600 111 202"}, members=members)) == [2]
    local = [member(1, phone="600111201"), member(2, phone="600111202")]
    assert rejected(read({"phoneNumber": "600 111 202"}, members=local)) == [2]
    assert rejected(read({"phoneNumber": "600111202", "countryCode": "34"}, members=local)) == [2]


def test_a_number_with_its_country_is_not_confused_with_the_same_number_abroad() -> None:
    members = [member(1, phone="600111202", country="34"), member(2, phone="600111202", country="44")]
    assert rejected(read({"phoneNumber": "600111202", "countryCode": "44"}, members=members)) == [2]
    both = read({"phoneNumber": "600111202"}, members=members)
    assert (rejected(both), suspected(both), both.reason) == ([], [1, 2], None)


def test_a_contact_is_found_by_its_code_also_where_it_was_sent_to_its_phone() -> None:
    members = [member(1, e164="+34600111201", code="cust-1"), member(2, e164="+34600111202", code="cust-2")]
    assert rejected(read({"externalCode": "cust-2"}, members=members)) == [2]
    numbers = [member(1, code="41"), member(2, code="42")]
    assert rejected(read({"externalCode": 42}, members=numbers)) == [2]


def test_an_item_that_names_several_puts_a_reservation_on_those_alone() -> None:
    members = [member(1, reference="order-7"), member(2, reference="order-7"), member(3)]
    reading = read({"customData": "order-7", "message": "disabled"}, members=members)
    assert (rejected(reading), suspected(reading), reading.reason) == ([], [1, 2], None)


def test_a_second_name_tells_apart_those_who_share_the_first() -> None:
    members = [member(1, reference="order-7"), member(2, reference="order-7"), member(3)]
    assert rejected(read({"customData": "order-7", "phoneE164": "+34600111202"}, members=members)) == [2]


def test_names_that_contradict_one_another_reject_nobody() -> None:
    reading = read({"customData": "order-1", "phoneE164": "+34600111202"})
    assert (rejected(reading), suspected(reading), reading.reason) == ([], [1, 2], None)


def test_a_contact_that_is_named_alone_is_rejected_whatever_else_is_said() -> None:
    members = [member(1, reference="order-7"), member(2, reference="order-7"), member(3)]
    reading = read(
        {"customData": "order-7"}, {"phoneE164": "+34600111201", "message": "blocked"}, "oops", members=members
    )
    assert (rejected(reading), suspected(reading), reading.reason) == ([1], [2], REPORTED)


def test_of_two_items_about_one_contact_the_first_is_told() -> None:
    reading = read({"customData": "order-2", "message": "first"}, {"customData": "order-2", "message": "second"})
    (one,) = reading.rejected
    assert one[1].item == {"customData": "order-2", "message": "first"}


@pytest.mark.parametrize("errors", [{"customData": "order-2", "message": "disabled"}, "broken", 3, True])
def test_errors_that_are_no_list_are_one_item(errors: object) -> None:
    reading = read_accepted(orjson.dumps({"data": {"errors": errors}}), 200, THREE, NAMES)
    assert rejected(reading) == ([2] if isinstance(errors, dict) else [])
    assert reading.reason == (None if isinstance(errors, dict) else REPORTED)


@pytest.mark.parametrize("errors", [[], {}, None, "", 0, False])
def test_empty_errors_are_none(errors: object) -> None:
    assert read_accepted(orjson.dumps({"data": {"errors": errors}}), 200, THREE, NAMES).reason is None


def test_names_are_looked_for_under_the_configured_fields() -> None:
    names = WireNames(external_reference="ref", phone_e164="msisdn", external_code="code")
    members = [member(number, names=names) for number in (1, 2)]
    assert rejected(read({"ref": "order-2"}, members=members, names=names)) == [2]
    assert rejected(read({"msisdn": "+34600111202"}, members=members, names=names)) == [2]
    assert rejected(read({"customData": "order-2"}, members=members, names=names)) == []


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text()
            | st.sampled_from(
                ["message", "errors", "customData", "phoneE164", "phoneNumber", "countryCode", "externalCode"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(anything, anything, anything)
def test_whatever_the_platform_says_every_member_is_told_something(
    message: object, items: object, sent_id: object
) -> None:
    answer = orjson.dumps({"message": message, "data": {"id": sent_id, "errors": items}})
    reading = read_accepted(answer, 200, THREE, NAMES)
    told = [*rejected(reading), *suspected(reading)]
    assert len(told) == len(set(told))
    for _, response in reading.rejected:
        orjson.dumps(response)
        assert len(orjson.dumps(response.item)) <= MAX_WORDS_BYTES + 2
    read_refused_contact(answer, 400, THREE[0], NAMES)


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail(answer: bytes) -> None:
    read_accepted(answer, 200, THREE, NAMES)
    read_refused(answer, 422)


# ------------------------------------------------------------------------------------------------------ refusals


def test_a_refusal_is_told_in_the_platforms_words() -> None:
    answer = b'{"statusCode":422,"message":"customFields.name is missing","data":{"id":null}}'
    assert read_refused(answer, 422) == Response(status=422, message="customFields.name is missing")
    assert read_refused(None, 422) == read_refused(b"<html>", 422) == Response(status=422)


def test_a_refusal_with_several_messages_tells_them_all() -> None:
    assert read_refused(b'{"message":["a is missing",7,"b is too long"]}', 400).message == "a is missing; b is too long"


def test_a_refused_contact_is_told_the_item_that_names_it() -> None:
    answer = (
        b'{"message":"invalid","data":{"errors":[{"message":"x"},{"customData":"order-2","message":"no such phone"}]}}'
    )
    assert read_refused_contact(answer, 400, THREE[1], NAMES).item == {
        "customData": "order-2",
        "message": "no such phone",
    }
    assert read_refused_contact(answer, 400, THREE[0], NAMES) == Response(status=400, message="invalid")


# ------------------------------------------------------------------------------------------------------- masking


def test_an_item_tells_no_phone_no_custom_field_and_nothing_nested() -> None:
    reading = read(
        {
            "customData": "order-2",
            "phoneE164": "+34600111202",
            "phoneNumber": "60011",
            "countryCode": "34",
            "externalCode": "cust-829172",
            "customFields": {"name": "Ana"},
            "details": [{"phone": "60011"}],
            "message": "+34 600 11 12 02 is disabled",
            "code": 12,
            "number": 34600111202,
            "600111202": "x",
            "retry": False,
            "hint": None,
        }
    )
    ((_, response),) = reading.rejected
    assert response.item == {
        "customData": "order-2",
        "phoneE164": "***",
        "phoneNumber": "***",
        "countryCode": "***",
        "externalCode": "cust-829172",
        "message": "+*** is disabled",
        "code": 12,
        "number": "***",
        "***": "x",
        "retry": False,
        "hint": None,
    }


def test_an_item_is_bounded_as_a_whole() -> None:
    large = {"customData": "order-2", **{f"field{number}": "y" * 900 for number in range(9)}}
    ((_, response),) = read(large).rejected
    assert response.item == {"customData": "order-2", "field0": "y" * 900, "field1": "y" * 900}


def test_identities_of_all_kinds_can_be_read() -> None:
    kinds = {member(1).group.identity, member(1, phone="600111222").group.identity, member(1, code="x").group.identity}
    assert kinds == {Identity.E164, Identity.LOCAL, Identity.CODE}
