"""Each fault does what its page says, and what was accepted under it is what is recorded."""

import asyncio
import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from consumer.sandbox import clock
from consumer.sandbox.client import SandboxClient
from consumer.sandbox.facts import RequestOutcome
from consumer.sandbox.fault_page import PAGE
from consumer.sandbox.faults import (
    AnswerStatus,
    FaultMistakeError,
    ItemErrors,
    Latency,
    RefuseContact,
    as_document,
    parse_faults,
)
from consumer.sandbox.server import Sandbox
from tests.sandbox.support import MARIA, PAUL, ZOE, Sender, send, sender_to


async def test_a_status_is_answered_and_nothing_accepted(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "status", "status": 503, "message": "later", "campaign": 421})
    response = await platform.post(send(MARIA))
    assert (response.status_code, response.json()["message"]) == (503, "later")
    assert (await platform.post(send(MARIA, campaign=422))).status_code == 200
    summary = await ask.summary()
    assert (summary.accepted, summary.by_status, summary.by_outcome) == (
        1, {"503": 1, "200": 1}, {"fault": 1, "accepted": 1},
    )  # fmt: skip


@pytest.mark.parametrize("status", [500, 504])
async def test_contacts_are_accepted_before_an_error_is_answered(
    platform: Sender, ask: SandboxClient, status: int
) -> None:
    await ask.set_faults(AnswerStatus(fault="status", status=status, accept=True, name="late-error"))
    assert (await platform.post(send(MARIA, PAUL))).status_code == status
    assert len(await ask.contacts()) == 2
    (seen,) = await ask.requests(fault="late-error")
    assert (seen.outcome, seen.status, seen.accepted) == (RequestOutcome.ACCEPTED, status, 2)


async def test_retry_after_comes_in_seconds_or_as_a_date_that_is_never_too_early(
    platform: Sender, ask: SandboxClient
) -> None:
    await ask.set_faults(
        {"fault": "status", "status": 429, "retryAfterSeconds": 1.5, "times": 1},
        {"fault": "status", "status": 429, "retryAfterSeconds": 30, "retryAfterForm": "date", "times": 1},
        {"fault": "status", "status": 429, "headers": {"Retry-After": "soon"}},
    )
    assert (await platform.post(send(MARIA))).headers["Retry-After"] == "1.5"
    sent_at = clock.now()
    date = parsedate_to_datetime((await platform.post(send(MARIA))).headers["Retry-After"]).timestamp()
    assert sent_at + 30 <= date <= clock.now() + 31
    assert (await platform.post(send(MARIA))).headers["Retry-After"] == "soon"


async def test_headers_of_a_fault_win_over_ours(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults(
        {"fault": "status", "status": 502, "headers": {"content-type": "text/html", "Via": "1.1 gateway"}}
    )
    response = await platform.post(send(MARIA))
    assert response.headers.get_list("Content-Type") == ["text/html"]
    assert response.headers["Via"] == "1.1 gateway"


async def test_a_redirect_says_where_to(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "status", "status": 308, "location": "https://other.example/v2"})
    response = await platform.post(send(MARIA))
    assert (response.status_code, response.headers["Location"]) == (308, "https://other.example/v2")


@pytest.mark.parametrize("document", [{"contacts": []}, b"no JSON"], ids=["no contacts", "no JSON"])
async def test_a_platform_that_lets_nobody_in_does_not_come_to_look_at_the_body(
    platform: Sender, ask: SandboxClient, document: object
) -> None:
    await ask.set_faults(
        {"fault": "item_errors"},
        {"fault": "status", "status": 403, "campaign": 421},
        {"fault": "status", "status": 404, "person": MARIA["phoneE164"]},
        {"fault": "status", "status": 401, "accept": True, "name": "nobody"},
    )
    assert (await platform.post(document)).status_code == 401
    assert [(each.fault, each.accepted) for each in await ask.requests()] == [("nobody", 0)]
    await ask.clear_faults()
    assert (await platform.post(document)).status_code in {400, 422}


async def test_one_bad_contact_gets_the_whole_request_refused(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults(RefuseContact(fault="refuse_contact", reference=("order-2", "order-8"), status=400))
    refused = await platform.post(send(MARIA, PAUL, ZOE))
    assert (refused.status_code, refused.json()["message"]) == (400, "contacts[1] is refused")
    assert (await platform.post(send(MARIA, ZOE))).status_code == 200
    assert (await platform.post(send(PAUL))).status_code == 400
    assert [each.person for each in await ask.contacts()] == ["+34600111222", "+34600555666"]


@pytest.mark.parametrize(
    "person", ["+34600333444", "+34 600-333-444", "0034600333444", "cust-2", ["+34600999999", "code:cust-2"]]
)
async def test_a_person_is_met_in_every_spelling(platform: Sender, ask: SandboxClient, person: object) -> None:
    await ask.set_faults({"fault": "refuse_contact", "person": person})
    paul = {"phoneNumber": "600333444", "countryCode": "34", "externalCode": "cust-2"}
    assert (await platform.post(send(MARIA, paul))).status_code == 422
    assert (await platform.post(send(MARIA))).status_code == 200


async def test_a_campaign_is_refused_and_the_others_are_not(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "refuse_campaign", "campaign": 421})
    refused = await platform.post(send(MARIA))
    assert (refused.status_code, refused.json()["message"]) == (404, "campaign not found")
    assert (await platform.post(send(MARIA, campaign=422))).status_code == 200


async def test_a_platform_takes_so_many_at_once_and_refuses_the_others_at_once(
    platform: Sender, ask: SandboxClient
) -> None:
    await ask.set_faults({"fault": "hold", "name": "gate"}, {"fault": "capacity", "atOnce": 2})
    async with asyncio.TaskGroup() as tasks:
        taken = [tasks.create_task(platform.post(send(MARIA, campaign=campaign))) for campaign in (421, 422)]
        await ask.wait(in_flight=2, accepted=2)
        refused = await platform.post(send(PAUL))
        assert (refused.status_code, refused.json()["message"]) == (429, "too many requests")
        await ask.clear_faults("gate")
    assert [task.result().status_code for task in taken] == [200, 200]
    assert (await platform.post(send(PAUL))).status_code == 200


async def test_a_capacity_may_be_that_of_one_campaign_and_answer_503(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults(
        {"fault": "hold", "name": "gate"}, {"fault": "capacity", "atOnce": 1, "campaign": 421, "status": 503}
    )
    async with asyncio.TaskGroup() as tasks:
        taken = [tasks.create_task(platform.post(send(MARIA, campaign=campaign))) for campaign in (421, 422, 422)]
        await ask.wait(in_flight=3, accepted=3)
        assert (await platform.post(send(PAUL, campaign=421))).status_code == 503
        await ask.clear_faults("gate")
    assert {task.result().status_code for task in taken} == {200}


async def test_a_platform_takes_so_many_a_second_and_a_seconds_worth_together(
    platform: Sender, ask: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    await ask.set_faults({"fault": "capacity", "perSecond": 4})

    async def taken(tries: int) -> int:
        return [(await platform.post(send(MARIA))).status_code for _ in range(tries)].count(200)

    assert await taken(6) == 4
    now += 0.5
    assert await taken(6) == 2
    now += 100.0
    assert await taken(6) == 4


@pytest.mark.parametrize(
    "named_by, item",
    [
        ("customData", {"customData": "order-2"}),
        ("phone", {"phoneNumber": "600333444", "countryCode": "34"}),
        ("code", {"externalCode": "cust-2"}),
        (
            "everything",
            {"customData": "order-2", "phoneNumber": "600333444", "countryCode": "34", "externalCode": "cust-2"},
        ),
    ],
)
async def test_an_item_error_names_its_contact_who_gets_no_text(
    platform: Sender, ask: SandboxClient, named_by: str, item: dict[str, object]
) -> None:
    await ask.set_faults({"fault": "item_errors", "reference": "order-2", "namedBy": named_by})
    paul = {"phoneNumber": "600333444", "countryCode": "34", "externalCode": "cust-2", "customData": "order-2"}
    response = await platform.post(send(MARIA, paul, ZOE))
    assert response.status_code == 200
    assert response.json()["data"] == {"id": 1, "errors": [item | {"message": "contact is disabled"}]}
    assert [each.reference for each in await ask.contacts()] == ["order-1", "order-3"]
    assert (await ask.summary()).refused == 1


async def test_an_item_error_that_names_nobody_costs_nobody_a_text(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "item_errors", "namedBy": "nobody", "message": "something"})
    response = await platform.post(send(MARIA, PAUL))
    assert response.json()["data"]["errors"] == [{"message": "something"}]
    assert len(await ask.contacts()) == 2


async def test_an_item_error_without_a_condition_takes_the_first_contacts(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults(ItemErrors(fault="item_errors", count=2))
    response = await platform.post(send(MARIA, PAUL, ZOE))
    assert [error["customData"] for error in response.json()["data"]["errors"]] == ["order-1", "order-2"]
    assert [each.reference for each in await ask.contacts()] == ["order-3"]


async def test_times_and_after_choose_which_requests_are_struck(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "status", "status": 500, "after": 2, "times": 3, "name": "few"})
    statuses = [(await platform.post(send(MARIA))).status_code for _ in range(7)]
    assert statuses == [200, 200, 500, 500, 500, 200, 200]
    (state,) = await ask.faults()
    assert (state.name, state.matched, state.fired) == ("few", 7, 3)


async def test_probability_is_seeded_and_so_repeatable(platform: Sender, ask: SandboxClient) -> None:
    runs = []
    for _ in range(2):
        await ask.set_faults({"fault": "status", "status": 500, "probability": 0.5, "seed": 11})
        runs.append([(await platform.post(send(MARIA))).status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


async def test_the_first_fault_that_strikes_decides_and_latencies_add_up(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults(
        Latency(fault="latency", seconds=0.1),
        {"fault": "status", "status": 429, "times": 1},
        {"fault": "latency", "seconds": [0.1, 0.15]},
        {"fault": "status", "status": 500},
    )
    first, second = await platform.post(send(MARIA)), await platform.post(send(MARIA))
    assert (first.status_code, second.status_code) == (429, 500)
    assert first.elapsed.total_seconds() >= 0.2
    assert [state.fired for state in await ask.faults()] == [2, 1, 2, 1]


async def test_contacts_are_recorded_before_a_slow_answer(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "latency", "seconds": 60})
    with pytest.raises(httpx.ReadTimeout):
        await platform.http.post(
            platform.url, json=send(MARIA), headers={"Authorization": "ServerKey sandbox-key"}, timeout=0.3
        )
    (contact,) = await ask.contacts()
    (seen,) = await ask.requests()
    assert contact.accepted_at - contact.first_byte_at < 0.3
    assert seen.status is None
    assert (await ask.wait(at_most_in_flight=0)).by_status == {"none": 1}


async def test_a_held_answer_comes_when_the_hold_is_removed(platform: Sender, ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "hold", "name": "gate"}, {"fault": "status", "status": 500, "campaign": 422})
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(platform.post(send(MARIA)))
        second = tasks.create_task(platform.post(send(MARIA, campaign=422)))
        held = await ask.wait(in_flight=2, requests=2)
        assert (held.accepted, held.by_status) == (1, {})
        await ask.clear_faults("gate")
    assert (first.result().status_code, second.result().status_code) == (200, 500)


async def test_faults_are_added_replaced_by_name_and_removed(ask: SandboxClient) -> None:
    assert await ask.add_faults({"fault": "hang"}) == ["hang-1"]
    assert await ask.add_faults({"fault": "reset", "name": "mine"}, {"fault": "close"}) == ["mine", "close-3"]
    await ask.add_faults({"fault": "garbage", "name": "mine"})
    assert [state.fault["fault"] for state in await ask.faults()] == ["hang", "garbage", "close"]
    await ask.clear_faults("mine")
    assert [state.name for state in await ask.faults()] == ["hang-1", "close-3"]
    await ask.clear_faults()
    assert await ask.faults() == []


async def test_a_wrong_list_of_faults_changes_nothing(ask: SandboxClient) -> None:
    await ask.set_faults({"fault": "hang"})
    with pytest.raises(Exception, match="fault 2: "):
        await ask.set_faults({"fault": "close"}, {"fault": "explode"})
    assert [state.fault["fault"] for state in await ask.faults()] == ["hang"]


# --- on the wire, on both event loops ------------------------------------------------------------------------------------


async def test_a_reset_is_a_reset(address: str) -> None:
    async with sender_to(address) as sender, SandboxClient(address) as ask:
        await ask.set_faults({"fault": "reset"})
        with pytest.raises(ConnectionResetError):
            await sender.raw(send(MARIA))
        assert len(await ask.contacts()) == 1


async def test_a_close_answers_nothing(address: str) -> None:
    async with sender_to(address) as sender, SandboxClient(address) as ask:
        await ask.set_faults({"fault": "close", "accept": False})
        assert await sender.raw(send(MARIA)) == b""
        assert await ask.contacts() == []


async def test_half_a_head_and_half_a_body_break_off_where_they_should(address: str) -> None:
    async with sender_to(address) as sender, SandboxClient(address) as ask:
        await ask.set_faults({"fault": "half_head", "times": 1}, {"fault": "half_body", "status": 502})
        head = await sender.raw(send(MARIA))
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\n\r\n" not in head
        whole_head, _, body = (await sender.raw(send(PAUL))).partition(b"\r\n\r\n")
        length = int(whole_head.split(b"Content-Length: ")[1])
        assert whole_head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert 0 < len(body) < length
        assert len(await ask.contacts()) == 2
        assert [seen.status for seen in await ask.requests()] == [None, 502]


async def test_garbage_is_no_http_and_unreadable_is_no_json(address: str) -> None:
    async with sender_to(address) as sender, SandboxClient(address) as ask:
        await ask.set_faults({"fault": "garbage", "times": 1}, {"fault": "unreadable"})
        with pytest.raises(httpx.RemoteProtocolError):
            await sender.post(send(MARIA))
        response = await sender.post(send(PAUL))
        assert response.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            response.json()
        assert len(await ask.contacts()) == 2


async def test_a_hanging_request_is_in_flight_until_its_client_leaves(address: str) -> None:
    async with sender_to(address) as sender, SandboxClient(address) as ask:
        await ask.set_faults({"fault": "hang"})
        _, writer = await sender.open(send(MARIA))
        assert (await ask.wait(accepted=1)).in_flight == 1
        writer.close()
        assert (await ask.wait(at_most_in_flight=0)).by_status == {"none": 1}


async def test_a_body_that_never_comes_whole_is_not_accepted(address: str) -> None:
    async with sender_to(address) as sender, SandboxClient(address) as ask:
        url = httpx.URL(address)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"POST /v2/sms/send/list HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        await ask.wait(in_flight=1)
        writer.close()
        assert (await ask.wait(at_most_in_flight=0)).accepted == 0
        assert (await sender.post(send(MARIA))).status_code == 200
        del reader


async def test_leaving_ends_hanging_requests_at_once() -> None:
    async with Sandbox(faults=parse_faults({"fault": "hang"})) as sandbox, sender_to(sandbox.url) as sender:
        reader, writer = await sender.open(send(MARIA))
        async with SandboxClient(sandbox.url) as ask:
            await ask.wait(in_flight=1)
        leaving = asyncio.timeout(1)
        await leaving.__aenter__()
    await leaving.__aexit__(None, None, None)
    assert await reader.read() == b""
    writer.close()


# --- the model ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document, words",
    [
        ({}, "fault 1: unable to extract tag using discriminator 'fault'"),
        ([{"fault": "hang"}, {"fault": "explode"}], "fault 2: input tag 'explode'"),
        ({"fault": "status"}, "fault 1: status: field required"),
        ({"fault": "status", "status": 200}, "fault 1: status: input should be greater than or equal to 300"),
        ({"fault": "hang", "probability": 2}, "fault 1: probability: input should be less than or equal to 1"),
        ({"fault": "hang", "campain": 421}, "fault 1: campain: extra inputs are not permitted"),
        ({"fault": "hang", "campaign": "421"}, "fault 1: campaign: input should be a valid integer"),
        ({"fault": "status", "status": 500, "headers": {"a": "b\r\nc"}}, "fault 1: headers.a: string should match"),
        ({"fault": "latency", "seconds": [2, 1]}, "fault 1: seconds: the first of the two"),
        ({"fault": "refuse_contact"}, "fault 1: needs person or reference"),
        ({"fault": "capacity"}, "fault 1: needs atOnce or perSecond"),
        ({"fault": "refuse_campaign"}, "fault 1: needs campaign"),
        ("hang", "fault 1: "),
    ],
)
def test_a_wrong_fault_is_refused_in_one_line(document: object, words: str) -> None:
    with pytest.raises(FaultMistakeError) as refused:
        parse_faults(document)
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_the_page_describes_every_fault_and_every_field() -> None:
    from consumer.sandbox.faults import Deciding, Delaying

    for model in (*Delaying.__args__, *Deciding.__args__):
        kind = model.model_fields["fault"].annotation.__args__[0]
        assert f"\n  {kind} " in PAGE, kind
        for field in model.model_fields.values():
            name = field.alias
            assert f'"{name}"' in PAGE, (kind, name)


def test_a_fault_survives_being_written_and_read() -> None:
    fault = AnswerStatus(fault="status", status=429, retry_after_seconds=2, campaign=421, times=3)
    assert as_document(fault) == {
        "fault": "status",
        "status": 429,
        "retryAfterSeconds": 2.0,
        "campaign": 421,
        "times": 3,
    }
    assert parse_faults(as_document(fault)) == [fault]
