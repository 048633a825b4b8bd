"""What was accepted is remembered contact by contact, so that sums can be checked person by person."""

import asyncio
import json

import msgspec
import pytest

from consumer.sandbox import clock
from consumer.sandbox.client import SandboxClient, SandboxError
from consumer.sandbox.facts import RequestOutcome
from consumer.sandbox.server import Sandbox
from tests.sandbox.support import MARIA, PAUL, ZOE, Sender, send

MARIA_BY_CODE = {"externalCode": "cust-1", "customData": "order-9"}


async def test_every_accepted_contact_is_told_as_it_was_sent(platform: Sender, ask: SandboxClient) -> None:
    before = clock.now()
    maria = MARIA | {"customFields": {"orderId": "A-1", "sum": 12.5}}
    await platform.post(send(maria, PAUL, flash=True, originData={"shop": 7}))
    first, second = await ask.contacts()
    assert (first.campaign_id, first.person, first.reference, first.request_id, first.position) == (
        421, "+34600111222", "order-1", 1, 0,
    )  # fmt: skip
    assert (second.person, second.position) == ("+34600333444", 1)
    assert msgspec.json.decode(first.contact) == maria
    assert (first.options.flash, first.options.origin_data, first.options.charset) == (True, {"shop": 7}, "auto")
    assert before <= first.first_byte_at <= first.accepted_at <= clock.now()


async def test_contacts_are_found_by_campaign_person_reference_and_request(
    platform: Sender, ask: SandboxClient
) -> None:
    await platform.post(send(MARIA, PAUL))
    await platform.post(send(MARIA | {"customData": "order-7"}, campaign=422))
    assert [each.person for each in await ask.contacts(campaign_id=421)] == ["+34600111222", "+34600333444"]
    assert [each.reference for each in await ask.contacts(person="+34 600 111 222")] == ["order-1", "order-7"]
    assert [each.campaign_id for each in await ask.contacts(reference="order-7")] == [422]
    assert [each.request_id for each in await ask.contacts(after_request_id=1)] == [2]
    assert await ask.contacts(campaign_id=421, reference="order-7") == []


async def test_a_person_who_stands_twice_in_a_request_gets_one_text_and_is_counted(
    platform: Sender, ask: SandboxClient
) -> None:
    again = {"phoneNumber": "600-111-222", "countryCode": "34", "customData": "order-2"}
    abroad = {"phoneNumber": "0034600111222", "customData": "order-3"}
    response = await platform.post(send(MARIA, again, abroad, PAUL))
    assert response.json() == {"statusCode": 200, "message": "OK", "data": {"id": 1}}, "the platform drops silently"
    assert [each.reference for each in await ask.contacts()] == ["order-1", "order-2"]
    assert [each.position for each in await ask.contacts()] == [0, 3]
    summary = await ask.summary()
    assert (summary.contacts, summary.accepted, summary.duplicates) == (4, 2, 2)
    assert summary.campaigns["421"].duplicates == 2


@pytest.mark.parametrize(
    "phone, spellings",
    [
        ("+33612345678", [("0612345678", "33"), ("33612345678", "33"), ("+33 06 12 34 56 78", None), ("0033612345678", None)]),
        ("+447911123456", [("07911 123456", "44"), ("+44 07911 123456", None), ("+44 (0)7911 123456", None)]),
        ("+4915112345678", [("015112345678", "49"), ("4915112345678", "49")]),
        ("+61412345678", [("0412 345 678", "61")]),
        ("+12025550123", [("1 202 555 0123", "1"), ("(202) 555-0123", "1")]),
        ("+79121234567", [("8 912 123-45-67", "7"), ("+7 8 912 123-45-67", None)]),
        ("+5491123456789", [("011 15 2345-6789", "54"), ("9 11 2345-6789", "54"), ("11 2345-6789", "54")]),
        ("+5215512345678", [("1 55 1234 5678", "52"), ("01 55 1234 5678", "52"), ("55 1234 5678", "52")]),
        ("+393471234567", [("347 123 4567", "39"), ("39 347 123 4567", "39")]),
    ],
)  # fmt: skip
async def test_the_platform_knows_a_phone_in_every_spelling(
    platform: Sender, ask: SandboxClient, phone: str, spellings: list[tuple[str, str | None]]
) -> None:
    contacts = [{"phoneE164": phone}] + [
        {"phoneNumber": number} | ({} if code is None else {"countryCode": code}) for number, code in spellings
    ]
    await platform.post(send(*contacts))
    summary = await ask.summary()
    assert (summary.accepted, summary.duplicates) == (1, len(spellings))


async def test_people_whose_phones_are_alike_are_not_one(platform: Sender, ask: SandboxClient) -> None:
    await platform.post(
        send(
            {"phoneE164": "+390612345678"},  # Rome keeps its zero
            {"phoneE164": "+39612345678"},
            {"phoneE164": "+12125550123"},
            {"phoneE164": "+13105550123"},
            {"phoneNumber": "612345678", "countryCode": "34"},
            {"phoneNumber": "612345678", "countryCode": "33"},
        )
    )
    assert (await ask.summary()).duplicates == 0


async def test_a_code_is_the_person_that_was_created_with_it(platform: Sender, ask: SandboxClient) -> None:
    await platform.post(send(MARIA | {"externalCode": "cust-1"}))
    await platform.post(
        send(PAUL | {"externalCode": "cust-1"}),
    )
    await platform.post(send(MARIA_BY_CODE, MARIA))
    await platform.post(send({"externalCode": "cust-2"}))
    assert [each.person for each in await ask.contacts()] == [
        "+34600111222", "+34600333444", "+34600111222", "code:cust-2",
    ]  # fmt: skip
    assert (await ask.summary()).duplicates == 1


async def test_a_code_that_had_a_text_of_its_own_stays_that_person(platform: Sender, ask: SandboxClient) -> None:
    await platform.post(send(MARIA_BY_CODE))
    await platform.post(send(MARIA | {"externalCode": "cust-1"}))
    await platform.post(send(MARIA_BY_CODE))
    assert [each.person for each in await ask.contacts()] == ["code:cust-1", "+34600111222", "code:cust-1"]


async def test_missing_contacts_are_created_once_and_known_ones_not(platform: Sender, ask: SandboxClient) -> None:
    await ask.introduce([{"phoneE164": "+34600111222", "externalCode": "cust-1"}])
    await platform.post(send(MARIA, PAUL))
    await platform.post(send(MARIA, PAUL, ZOE))
    await platform.post(send(MARIA_BY_CODE))
    summary = await ask.summary()
    assert (summary.accepted, summary.created, summary.distinct_persons) == (6, 2, 3)


async def test_disabled_contacts_are_dropped_silently_and_counted(platform: Sender, ask: SandboxClient) -> None:
    await ask.disable(["+34 600 333 444", "cust-1"])
    response = await platform.post(send(MARIA, PAUL, MARIA_BY_CODE))
    assert response.json()["data"] == {"id": 1}
    summary = await ask.summary()
    assert (summary.accepted, summary.disabled) == (1, 2)
    await ask.enable(["cust-1"])
    await platform.post(send(PAUL, MARIA_BY_CODE))
    assert [each.person for each in await ask.contacts(after_request_id=1)] == ["code:cust-1"]
    await ask.enable()
    await platform.post(send(PAUL))
    assert [each.person for each in await ask.contacts(after_request_id=2)] == ["+34600333444"]


async def test_a_reference_that_was_accepted_twice_is_told_with_times_and_requests(
    platform: Sender, ask: SandboxClient
) -> None:
    await platform.post(send(MARIA, PAUL))
    await platform.post(send(PAUL, {"phoneE164": "+34600555666"}))
    await platform.post(send(PAUL, campaign=422))
    repeats = await ask.repeats()
    assert (repeats.accepted, repeats.distinct_persons, repeats.distinct_references) == (5, 4, 4)
    (repeat,) = repeats.repeats
    assert (repeat.campaign_id, repeat.reference, repeat.request_ids) == (421, "order-2", [1, 2])
    assert repeat.accepted_at == sorted(repeat.accepted_at)
    assert (await ask.repeats(campaign_id=422)).accepted == 1


async def test_requests_are_told_with_outcome_counts_and_instants(platform: Sender, ask: SandboxClient) -> None:
    await platform.post(send(MARIA, MARIA))
    await platform.post(send({"phoneE164": "x"}))
    right, wrong = await ask.requests()
    assert (right.outcome, right.status, right.contacts, right.accepted, right.duplicates) == (
        RequestOutcome.ACCEPTED, 200, 2, 1, 1,
    )  # fmt: skip
    assert right.ended_at is not None
    assert right.first_byte_at <= right.received_at <= right.ended_at
    assert right.body_bytes == len(json.dumps(send(MARIA, MARIA)))
    assert (wrong.outcome, wrong.status, wrong.campaign_id) == (RequestOutcome.INVALID, 422, None)
    assert wrong.message == "contacts[0].phoneE164: must be + and 7 to 15 digits, nothing else"
    assert await ask.requests(outcome=RequestOutcome.INVALID) == [wrong]
    assert await ask.requests(campaign_id=421) == [right]
    assert await ask.requests(after_request_id=1) == [wrong]


async def test_the_first_byte_counts_even_when_the_rest_is_late(
    sandbox: Sandbox, platform: Sender, ask: SandboxClient
) -> None:
    reader, writer = await platform.open({"campaignId": 1, "contacts": []})
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"POST /v2/sms/send/list HTTP/1.1\r\n")
    await writer.drain()
    async with asyncio.timeout(5):
        while all(each.first_byte_at is None for each in sandbox.connections if each.number == 1):
            await ask.summary()
    half_way = clock.now()
    body = json.dumps(send(MARIA)).encode()
    writer.write(b"Authorization: ServerKey sandbox-key\r\nContent-Type: application/json\r\n")
    writer.write(b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert b" 200 " in await reader.readline() + await reader.readuntil(b"\r\n\r\n")
    (contact,) = await ask.contacts()
    assert contact.first_byte_at <= half_way <= contact.accepted_at
    writer.close()


async def test_a_question_before_it_does_not_age_the_first_byte(sandbox: Sandbox, platform: Sender) -> None:
    await platform.http.get(f"{sandbox.base_url}/v1/status")
    await platform.http.get(f"{sandbox.base_url}/sandbox/nothing")
    before = clock.now()
    await platform.post(send(MARIA))
    (seen,) = sandbox.platform.records.requests
    assert seen.connection == 1
    assert seen.first_byte_at >= before


async def test_waiting_ends_when_the_counts_are_there_or_in_time(platform: Sender, ask: SandboxClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ask.wait(accepted=2, requests=2))
        await platform.post(send(MARIA))
        assert not waiting.done()
        await platform.post(send(PAUL))
    assert waiting.result().accepted == 2
    with pytest.raises(TimeoutError, match="after 0 s the sandbox has seen accepted=2 requests=2 in_flight=0"):
        await ask.wait(accepted=3, timeout_seconds=0)


async def test_requests_in_flight_are_counted_for_all_and_by_campaign(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "latency", "seconds": 0.2})
    async with asyncio.TaskGroup() as tasks:
        for number in range(6):
            tasks.create_task(platform.post(send(MARIA, campaign=1 + number % 2)))
    summary = await ask.summary()
    assert (summary.in_flight, summary.max_in_flight) == (0, 6)
    assert [summary.campaigns[each].max_in_flight for each in ("1", "2")] == [3, 3]
    assert summary.connections >= 6


async def test_a_reset_forgets_people_and_requests_but_never_reuses_an_id(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "latency", "seconds": 0, "name": "kept"})
    await platform.post(send(MARIA))
    await ask.forget()
    assert (await ask.summary()).requests == 0
    assert await ask.contacts() == []
    response = await platform.post(send(MARIA))
    assert response.json()["data"]["id"] == 2
    summary = await ask.summary()
    assert (summary.requests, summary.accepted, summary.created) == (1, 1, 1)
    assert [state.name for state in await ask.faults()] == ["kept"]


async def test_many_contacts_stream_in_order(platform: Sender, ask: SandboxClient) -> None:
    for start in range(0, 2_000, 500):
        await platform.post(send(*({"phoneE164": f"+3460{start + index:07}"} for index in range(500))))
    assert [each.person for each in await ask.contacts()] == [f"+3460{index:07}" for index in range(2_000)]


@pytest.mark.parametrize(
    "method, path, body, words",
    [
        ("GET", "nothing", None, "no such endpoint; there are GET /sandbox/summary"),
        ("GET", "contacts?campaign=four", None, "campaign must be a number"),
        ("POST", "disabled", {"people": []}, "the body is not as expected"),
        ("POST", "known", {"contacts": [{"customData": "x"}]}, "a contact needs one of"),
        ("DELETE", "faults/none", None, "no fault of this name"),
    ],
)
async def test_a_wrong_question_gets_one_line_that_helps(
    sandbox: Sandbox, platform: Sender, method: str, path: str, body: object, words: str
) -> None:
    response = await platform.http.request(method, f"{sandbox.base_url}/sandbox/{path}", json=body)
    assert response.is_error
    assert response.json()["message"].startswith(words)


async def test_the_client_raises_with_the_sandbox_words(ask: SandboxClient) -> None:
    with pytest.raises(SandboxError, match="status: input should be less than or equal to 599"):
        await ask.set_faults({"fault": "status", "status": 700})
