"""Every rule of the platform is enforced, and every refusal says which field broke which rule."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.sandbox.client import SandboxClient
from consumer.sandbox.facts import RequestOutcome
from consumer.sandbox.mistakes import find_mistakes
from consumer.sandbox.server import Sandbox
from consumer.sandbox.wire import InvalidRequest, RequestReader
from tests.sandbox.support import HEADERS, MARIA, NO_TLS, PAUL, Sender, send, sender_to


async def test_a_right_request_is_answered_with_a_numeric_id(platform: Sender) -> None:
    first = await platform.post(send(MARIA))
    second = await platform.post(send(PAUL))
    assert first.status_code == 200
    assert first.headers["Content-Type"].startswith("application/json")
    assert first.json() == {"statusCode": 200, "message": "OK", "data": {"id": 1}}
    assert second.json()["data"]["id"] == 2


@pytest.mark.parametrize(
    "authorization",
    [None, "", "sandbox-key", "ServerKey", "ServerKey wrong", "ServerKey sandbox-key2", "Bearer sandbox-key"],
)
async def test_without_the_right_key_nothing_is_accepted(
    sandbox: Sandbox, ask: SandboxClient, authorization: str | None
) -> None:
    headers = {"Content-Type": "application/json"} | ({} if authorization is None else {"Authorization": authorization})
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http:
        response = await http.post(sandbox.url, json=send(MARIA), headers=headers)
    assert response.status_code == 401
    assert response.json()["statusCode"] == 401
    assert "ServerKey" in response.json()["message"]
    assert sandbox.server_key not in response.text
    summary = await ask.summary()
    assert (summary.accepted, summary.by_outcome) == (0, {"unauthorized": 1})


async def test_the_reachability_probe_needs_no_key(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http:
        response = await http.get(f"{sandbox.base_url}/v1/status")
    assert (response.status_code, response.json()["statusCode"]) == (200, 200)


async def test_a_wrong_path_or_method_says_so_and_is_remembered(sandbox: Sandbox, ask: SandboxClient) -> None:
    async with httpx.AsyncClient(trust_env=False, headers=HEADERS, verify=NO_TLS) as http:
        wrong_path = await http.post(f"{sandbox.base_url}/v2/sms/sent/list", json=send(MARIA))
        wrong_method = await http.put(sandbox.url, json=send(MARIA))
    assert wrong_path.status_code == 404
    assert "/v2/sms/send/list" in wrong_path.json()["message"]
    assert (wrong_method.status_code, wrong_method.headers["Allow"]) == (405, "POST")
    assert [seen.outcome for seen in await ask.requests()] == [RequestOutcome.NOT_FOUND] * 2


async def test_a_body_that_is_not_declared_as_json_is_refused(platform: Sender) -> None:
    response = await platform.post(send(MARIA), **{"Content-Type": "text/plain"})
    assert response.status_code == 415
    assert "Content-Type" in response.json()["message"]


BROKEN: list[tuple[object, int, str]] = [
    (b"", 400, "body: not JSON"),
    (b"\xff\xfe", 400, "body: not UTF-8 (byte 0)"),
    (b'{"campaignId": 421, "contacts": [', 400, "body: not JSON"),
    (b'{"campaignId": NaN, "contacts": []}', 400, "body: not JSON: NaN"),
    ([send(MARIA)], 400, "body: must be an object, not an array"),
    ({"contacts": [MARIA]}, 422, "campaignId: required"),
    ({"campaignId": 421}, 422, "contacts: required"),
    (send(MARIA, campaign="421"), 422, "campaignId: must be an integer, not a string"),
    (send(MARIA, campaign=True), 422, "campaignId: must be an integer, not a boolean"),
    (send(MARIA, campaign=421.0), 422, "campaignId: must be an integer, not a number"),
    (send(MARIA, campaign=0), 422, "campaignId: must be an integer from 1"),
    (send(MARIA, campaign=2**63), 422, "campaignId: must be an integer from 1"),
    (send(MARIA, flash="true"), 422, "flash: must be true or false, not a string"),
    (send(MARIA, flash=None), 422, "flash: must be true or false, not null"),
    (send(MARIA, charset="french"), 422, "charset: must be one of auto, standard, spanish"),
    (send(MARIA, sendTypeOverride="some"), 422, "sendTypeOverride: must be one of list, all"),
    (send(MARIA, originData="web"), 422, "originData: must be an object, not a string"),
    (send(MARIA, scheduleAt="2026-11-24 18:00:00"), 422, "scheduleAt: must be an instant in ISO 8601"),
    (send(MARIA, scheduleAt="2026-11-24T18:00:00"), 422, "scheduleAt: must be an instant"),
    (send(MARIA, scheduleAt="2026-02-30T18:00:00Z"), 422, "scheduleAt: must be an instant"),
    (send(MARIA, scheduleAt=1764007200), 422, "scheduleAt: must be an instant"),
    (send(MARIA, sendAt="2026-11-24T18:00:00Z"), 422, "sendAt: unknown field, allowed here: "),
    (send(MARIA, idType="phone"), 422, "idType: deprecated"),
    (send(), 422, "contacts: must hold at least one contact"),
    ({"campaignId": 421, "contacts": MARIA}, 422, "contacts: must be an array, not an object"),
    (send(MARIA, "+34600333444"), 422, "contacts[1]: must be an object, not a string"),
    (send({"customData": "order-1"}), 422, "contacts[0]: needs one of phoneE164, phoneNumber, externalCode"),
    (send({"phoneE164": "34600111222"}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": "+34 600 111 222"}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": "+346001112223334445"}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": "+34600111222\n+34600333444"}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": "+34600111222\n"}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": "+٣٤٦٠٠١١١٢٢٢"}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": ""}), 422, "contacts[0].phoneE164: must be + and 7 to 15 digits"),
    (send({"phoneE164": None, "externalCode": "cust-1"}), 422, "contacts[0].phoneE164: must be a string, not null"),
    (send({"phoneE164": 34600111222}), 422, "contacts[0].phoneE164: must be a string, not a number"),
    (send({"phoneNumber": "six hundred"}), 422, "contacts[0].phoneNumber: must be 3 to 17 digits"),
    (send({"phoneNumber": "600111222", "countryCode": "+34"}), 422, "contacts[0].countryCode: must be 1 to 3 digits"),
    (send(MARIA | {"countryCode": "+34"}), 422, "contacts[0].countryCode: must be 1 to 3 digits, without +"),
    (send({"externalCode": ""}), 422, "contacts[0].externalCode: must not be empty"),
    (send({"externalCode": 7}), 422, "contacts[0].externalCode: must be a string, not a number"),
    (send(MARIA | {"customFields": ["A-1"]}), 422, "contacts[0].customFields: must be an object, not an array"),
    (send(MARIA | {"customFields": {"a": {"b": 1}}}), 422, "contacts[0].customFields: its values must be strings"),
    (send(MARIA | {"customFields": {"a": []}}), 422, "contacts[0].customFields: its values must be strings"),
    (send(MARIA | {"customData": 7}), 422, "contacts[0].customData: must be a string, not a number"),
    (send(MARIA | {"id": "34600111222"}), 422, "contacts[0].id: deprecated"),
    (send(MARIA | {"name": "Maria"}), 422, "contacts[0].name: unknown field"),
]


@pytest.mark.parametrize("document, status, words", BROKEN)
async def test_a_broken_request_is_refused_with_field_and_rule(
    platform: Sender, ask: SandboxClient, document: object, status: int, words: str
) -> None:
    response = await platform.post(document)
    assert response.status_code == status, response.text
    assert response.json()["statusCode"] == status
    assert response.json()["message"].startswith(words)
    assert "600111222" not in response.text
    summary = await ask.summary()
    assert (summary.accepted, summary.by_outcome, summary.by_status) == (0, {"invalid": 1}, {str(status): 1})


RIGHT: list[dict[str, object]] = [
    send(MARIA | {"countryCode": None, "customData": None}),
    send({"phoneNumber": "600 111 222", "countryCode": "34"}),
    send({"phoneNumber": "(600) 111-222"}, {"externalCode": "cust-1"}),
    send(MARIA | {"customFields": {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None}}),
    send(MARIA, scheduleAt="2026-11-24T18:00:00Z"),
    send(MARIA, scheduleAt="2026-11-24T18:00:00+01:00", flash=True, charset="spanish", sendTypeOverride="all"),
    send(MARIA, originData={"any": {"thing": [1, 2]}}),
    send(MARIA, campaign=2**63 - 1),
]


@pytest.mark.parametrize("document", RIGHT)
async def test_everything_that_the_page_allows_is_accepted(platform: Sender, document: dict[str, object]) -> None:
    response = await platform.post(document)
    assert response.status_code == 200, response.text


async def test_many_mistakes_are_told_at_once_and_counted(platform: Sender) -> None:
    response = await platform.post(send(*({"phoneE164": "x"} for _ in range(14))))
    assert response.json()["message"].endswith("; and 4 more")
    assert response.json()["data"]["total"] == 14
    assert response.json()["data"]["mistakes"][9]["field"] == "contacts[9].phoneE164"


async def test_the_schedule_goes_by_the_name_that_is_set() -> None:
    async with Sandbox(schedule_field="sendDate") as sandbox, sender_to(sandbox.url) as sender:
        assert (await sender.post(send(MARIA, sendDate="2026-11-24T18:00:00Z"))).status_code == 200
        refused = await sender.post(send(MARIA, scheduleAt="2026-11-24T18:00:00Z"))
        wrong = await sender.post(send(MARIA, sendDate="tomorrow"))
    assert refused.json()["message"].startswith("scheduleAt: unknown field")
    assert wrong.json()["message"].startswith("sendDate: must be an instant")


async def test_more_contacts_than_allowed_are_refused_with_both_numbers() -> None:
    async with Sandbox(max_contacts=2) as sandbox, sender_to(sandbox.url) as sender:
        two = await sender.post(send(MARIA, PAUL))
        three = await sender.post(send(MARIA, PAUL, {"externalCode": "cust-1"}))
    assert two.status_code == 200
    assert three.status_code == 413
    assert three.json()["message"] == "contacts: at most 2 in one request, these are 3"


# --- the fast reader and the one that explains -------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from(["", "x", "+34600111222", "600 111 222", "34", "+34", "auto", "list", "2026-11-24T18:00:00Z"])
VALUES = st.recursive(
    SCALARS | TEXTS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CONTACTS = st.dictionaries(
    st.sampled_from(
        ["phoneE164", "phoneNumber", "countryCode", "externalCode", "customFields", "customData", "name", "id"]
    ),
    VALUES,
    max_size=4,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "campaignId": st.just(421) | VALUES,
        "scheduleAt": VALUES,
        "flash": VALUES,
        "charset": VALUES,
        "sendTypeOverride": VALUES,
        "originData": VALUES,
        "contacts": st.lists(CONTACTS | st.just(MARIA), min_size=1, max_size=3) | VALUES,
        "type": VALUES,
    },
)


@given(DOCUMENTS | VALUES)
@example(RIGHT[3])
@example(BROKEN[-1][0])
def test_who_refuses_and_who_explains_always_agree(document: Any) -> None:
    body = json.dumps(document).encode()
    read = RequestReader(schedule_field="scheduleAt", max_contacts=None).read(body)
    _, mistakes = find_mistakes(body, schedule_field="scheduleAt")
    assert isinstance(read, InvalidRequest) == bool(mistakes), (read, mistakes)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    read = RequestReader(schedule_field="scheduleAt", max_contacts=None).read(body)
    assert isinstance(read, InvalidRequest)
    assert read.status in {400, 422}
    assert read.mistakes
