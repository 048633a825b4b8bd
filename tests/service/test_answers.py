"""Every row of the contract's answer table, by what the results say and by what the platform saw.

One run of the service meets all answers at once: each case is a campaign with a fault and settings of its own, and one
send of its own, closed by the count of its contacts.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from consumer.sandbox.facts import RequestSeen
from tests.service.events import event, phone, urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.results import Result
from tests.support.cluster import Cluster

BAD = "the third contact's reference"
CONTACTS = 4
MANY = 50
HOLD = {"DELIVERY__ON_UNKNOWN_OUTCOME": "hold"}
TIMEOUT_SECONDS = 2.0
LOST = ("hang", "reset", "close", "garbage", "half_head")
SERVER_ERRORS = (500, 502, 504, 507)
NOT_DELIVERED = (408, 421, 425, 429, 503)

Fault = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One campaign: what the platform does to it, and what its settings are."""

    faults: Sequence[Fault] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    contacts: int = CONTACTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a case: its results in the order of its events, the requests, and the texts by reference."""

    references: Sequence[str]
    results: Sequence[Result]
    requests: Sequence[RequestSeen]
    texts: Counter[str]

    @property
    def outcomes(self) -> set[tuple[str, str | None]]:
        """Every status with its reason."""
        return {(result["status"], result["reason"]) for result in self.results}

    @property
    def marks(self) -> list[bool]:
        return [result["possibleDuplicate"] for result in self.results]

    @property
    def attempts(self) -> list[int]:
        return [result["attempts"] for result in self.results]

    @property
    def sizes(self) -> list[int]:
        """Contacts in each request."""
        return [request.contacts for request in self.requests]

    def times_texted(self) -> list[int]:
        """How often each contact was texted."""
        return [self.texts[reference] for reference in self.references]


SINGLE = {
    "all is well": Case(),
    "unreadable": Case(faults=[{"fault": "unreadable", "status": 202}], settings=HOLD),
    "half a body": Case(faults=[{"fault": "half_body"}], settings=HOLD),
    "item for nobody": Case(faults=[{"fault": "item_errors", "namedBy": "nobody"}]),
    "one bad of many": Case(faults=[{"fault": "refuse_contact", "reference": BAD}], contacts=MANY),
    "408 for ever": Case(faults=[{"fault": "status", "status": 408}], settings={"DELIVERY__RETRY__MAX_ATTEMPTS": "3"}),
    "503 for ever": Case(faults=[{"fault": "status", "status": 503}], settings={"DELIVERY__RETRY__MAX_AGE": "300ms"}),
    "500 for ever": Case(faults=[{"fault": "status", "status": 500}], settings={"DELIVERY__RETRY__MAX_ATTEMPTS": "3"}),
    "reset for ever": Case(
        faults=[{"fault": "reset", "accept": False}], settings={"DELIVERY__RETRY__LOST_ANSWER_REPEATS": "2"}
    ),
    "reset, then refused": Case(
        faults=[{"fault": "reset", "times": 1}, {"fault": "status", "status": 404}],
    ),
    "404 means not delivered": Case(
        faults=[{"fault": "status", "status": 404, "times": 2}],
        settings={"DELIVERY__ANSWERS__404": "not_delivered"},
    ),
    "500 means not delivered": Case(
        faults=[{"fault": "status", "status": 500, "times": 1}],
        settings={"DELIVERY__ANSWERS__500": "not_delivered"},
    ),
    "409 means accepted": Case(
        faults=[{"fault": "status", "status": 409, "accept": True}],
        settings={"DELIVERY__ANSWERS__409": "accepted"},
    ),
}


def _families() -> Iterator[tuple[str, Case]]:
    """Cases that differ in a status, a kind or a name alone."""
    for named_by in ("customData", "phone", "code", "everything"):
        fault: Fault = {"fault": "item_errors", "reference": BAD, "namedBy": named_by}
        yield f"item by {named_by}", Case(faults=[fault])
    for status in (400, 413, 422):
        yield f"bad contact {status}", Case(faults=[{"fault": "refuse_contact", "reference": BAD, "status": status}])
    for status in (404, 405, 410):
        yield f"refused {status}", Case(faults=[{"fault": "status", "status": status}])
    for status in NOT_DELIVERED:
        yield f"twice {status}", Case(faults=[{"fault": "status", "status": status, "times": 2}], settings=HOLD)
    for status in (429, 503):
        often: Fault = {"fault": "status", "status": status, "times": 5}
        yield f"often {status}", Case(faults=[often], settings={"DELIVERY__RETRY__MAX_ATTEMPTS": "2"})
    for status, form in ((429, "seconds"), (503, "date"), (408, "seconds")):
        asked: Fault = {"fault": "status", "status": status, "times": 1, "retryAfterSeconds": 1}
        yield f"{status}, after {form}", Case(faults=[{**asked, "retryAfterForm": form}])
    for status in SERVER_ERRORS:
        error: Fault = {"fault": "status", "status": status, "accept": True, "times": 1}
        yield f"{status}, resend", Case(faults=[error])
        yield f"{status}, hold", Case(faults=[error], settings=HOLD)
    for kind in LOST:
        yield f"{kind}, resend", Case(faults=[{"fault": kind, "times": 1}])
        yield f"{kind}, hold", Case(faults=[{"fault": kind, "times": 1}], settings=HOLD)


CASES = SINGLE | dict(_families())
CAMPAIGN_OF = {name: 1_001 + number for number, name in enumerate(CASES)}
FIRST_CONTACT = 1_000


def _references(name: str) -> list[str]:
    return [f"{CAMPAIGN_OF[name]}-{number}" for number in range(CASES[name].contacts)]


def _faults(name: str) -> list[Fault]:
    third = _references(name)[2]
    return [
        {**{key: third if value == BAD else value for key, value in fault.items()}, "campaign": CAMPAIGN_OF[name]}
        for fault in CASES[name].faults
    ]


def _events(name: str) -> list[dict[str, object]]:
    campaign = CAMPAIGN_OF[name]
    return [
        event(campaign, {"phoneE164": phone(person), "externalCode": f"code-{person}"}, eventId=reference)
        for person, reference in enumerate(_references(name), start=100 * campaign)
    ]


def _settings() -> dict[str, str]:
    settings = {"API__TIMEOUT": f"{TIMEOUT_SECONDS}s", "WINDOW__DURATION": "60s"}
    for name, case in CASES.items():
        prefix = f"CAMPAIGNS__{CAMPAIGN_OF[name]}"
        settings[f"{prefix}__WINDOW__MAX_CONTACTS"] = str(case.contacts)
        settings |= {f"{prefix}__{setting}": value for setting, value in case.settings.items()}
    return settings


async def _tell(stage: Stage, name: str, results: Sequence[Result]) -> Told:
    campaign = CAMPAIGN_OF[name]
    contacts = await stage.ask.contacts(campaign_id=campaign)
    return Told(
        references=_references(name),
        results=results,
        requests=await stage.ask.requests(campaign_id=campaign),
        texts=Counter(contact.reference or "" for contact in contacts),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(kafka: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Told]]:
    """Every case, once all of their events have results, and after the service was stopped in order."""
    async with stage_on(kafka, tmp_path_factory.mktemp("answers")) as stage:
        service = await stage.start(_settings())
        await stage.results.until(await stage.publish([written(urgent(FIRST_CONTACT, 1))]))
        await stage.ask.set_faults(*[fault for name in CASES for fault in _faults(name)])
        places = {name: await stage.publish([written(content) for content in _events(name)]) for name in CASES}
        results = {name: await stage.results.until(of_case) for name, of_case in places.items()}
        told = {name: await _tell(stage, name, results[name]) for name in CASES}
        assert await service.stop() == 0
        await stage.account()
        yield told


@pytest.fixture
def told(run: dict[str, Told]) -> Callable[[str], Told]:
    return run.__getitem__


ACCEPTED = {("accepted", None)}


def test_a_2xx_accepts_every_contact_in_one_request(told: Callable[[str], Told]) -> None:
    case = told("all is well")
    assert case.outcomes == ACCEPTED
    assert case.times_texted() == [1] * CONTACTS
    assert (case.sizes, case.attempts, case.marks) == ([CONTACTS], [1] * CONTACTS, [False] * CONTACTS)
    for result in case.results:
        request = case.requests[0]
        assert result["response"] == {"status": 200, "id": request.request_id, "message": "OK", "item": None}
        assert result["receivedAt"] <= result["dispatchedAt"] <= result["completedAt"]
    assert len({result["sendId"] for result in case.results}) == 1


@pytest.mark.parametrize("name", ["unreadable", "half a body"])
def test_a_2xx_with_a_body_that_cannot_be_read_is_an_acceptance(told: Callable[[str], Told], name: str) -> None:
    case = told(name)
    assert case.outcomes == {("accepted", "unreadable_answer")}
    assert (case.sizes, case.marks, case.times_texted()) == ([CONTACTS], [False] * CONTACTS, [1] * CONTACTS)


@pytest.mark.parametrize("named_by", ["customData", "phone", "code", "everything"])
def test_an_item_that_names_one_contact_rejects_that_one_alone(told: Callable[[str], Told], named_by: str) -> None:
    case = told(f"item by {named_by}")
    statuses = [(result["status"], result["reason"]) for result in case.results]
    assert statuses == [("accepted", None)] * 2 + [("rejected", "contact_refused"), ("accepted", None)]
    assert case.sizes == [CONTACTS]
    assert case.results[2]["response"]["item"]["message"] == "contact is disabled"
    assert all(result["response"]["item"] is None for result in case.results if result["status"] == "accepted")


def test_an_item_that_names_nobody_leaves_everybody_accepted_and_says_so(told: Callable[[str], Told]) -> None:
    case = told("item for nobody")
    assert case.outcomes == {("accepted", "platform_reported_errors")}
    assert case.times_texted() == [1] * CONTACTS


@pytest.mark.parametrize(
    "status, reason", [(400, "contact_refused"), (413, "campaign_refused"), (422, "contact_refused")]
)
def test_a_contact_that_gets_its_request_refused_is_found_by_halving(
    told: Callable[[str], Told], status: int, reason: str
) -> None:
    case = told(f"bad contact {status}")
    assert [result["status"] for result in case.results] == ["accepted", "accepted", "rejected", "accepted"]
    assert case.results[2]["reason"] == reason
    assert case.results[2]["response"]["status"] == status
    assert case.times_texted() == [1, 1, 0, 1]
    assert sorted(case.sizes, reverse=True) == [4, 2, 2, 1, 1]
    assert not any(case.marks)


def test_one_bad_contact_among_many_costs_the_others_nothing(told: Callable[[str], Told]) -> None:
    case = told("one bad of many")
    statuses = Counter(result["status"] for result in case.results)
    assert statuses == {"accepted": MANY - 1, "rejected": 1}
    assert case.results[2]["reason"] == "contact_refused"
    assert case.times_texted() == [1, 1, 0] + [1] * (MANY - 3)
    assert len(case.requests) <= 13, "two for each of the six halvings, and the first"


@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_refused_campaign_is_refused_in_one_request(told: Callable[[str], Told], status: int) -> None:
    case = told(f"refused {status}")
    assert case.outcomes == {("rejected", "campaign_refused")}
    assert (case.sizes, case.attempts) == ([CONTACTS], [1] * CONTACTS)
    assert {result["response"]["status"] for result in case.results} == {status}


@pytest.mark.parametrize("status", NOT_DELIVERED)
def test_what_was_not_delivered_is_tried_again_and_never_in_doubt(told: Callable[[str], Told], status: int) -> None:
    case = told(f"twice {status}")
    assert case.outcomes == ACCEPTED
    assert (case.attempts, case.marks) == ([3] * CONTACTS, [False] * CONTACTS)
    assert case.times_texted() == [1] * CONTACTS


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_uses_up_no_attempts(told: Callable[[str], Told], status: int) -> None:
    case = told(f"often {status}")
    assert case.outcomes == ACCEPTED
    assert case.attempts == [6] * CONTACTS


@pytest.mark.parametrize("name", ["429, after seconds", "503, after date", "408, after seconds"])
def test_retry_after_is_obeyed(told: Callable[[str], Told], name: str) -> None:
    case = told(name)
    assert case.outcomes == ACCEPTED
    first, second = case.requests
    assert first.ended_at is not None
    assert second.first_byte_at >= first.ended_at + 1.0


def test_a_request_that_is_never_delivered_fails_when_its_attempts_are_used_up(told: Callable[[str], Told]) -> None:
    case = told("408 for ever")
    assert case.outcomes == {("failed", "retries_exhausted")}
    assert (case.attempts, len(case.requests)) == ([3] * CONTACTS, 3)
    assert {result["response"]["status"] for result in case.results} == {408}


def test_a_platform_that_throttles_for_too_long_fails_the_send_by_its_age(told: Callable[[str], Told]) -> None:
    case = told("503 for ever")
    assert case.outcomes == {("failed", "retry_age")}
    assert case.attempts == [len(case.requests)] * CONTACTS


@pytest.mark.parametrize("status", SERVER_ERRORS)
def test_a_server_error_is_repeated_and_marked_with_resend(told: Callable[[str], Told], status: int) -> None:
    case = told(f"{status}, resend")
    assert case.outcomes == ACCEPTED
    assert (case.marks, case.attempts) == ([True] * CONTACTS, [2] * CONTACTS)
    assert case.times_texted() == [2] * CONTACTS


@pytest.mark.parametrize("status", SERVER_ERRORS)
def test_a_server_error_is_in_doubt_and_not_repeated_with_hold(told: Callable[[str], Told], status: int) -> None:
    case = told(f"{status}, hold")
    assert case.outcomes == {("in_doubt", "server_error")}
    assert {result["response"]["status"] for result in case.results} == {status}
    assert (case.attempts, case.times_texted()) == ([1] * CONTACTS, [1] * CONTACTS)


def test_a_server_error_without_end_is_in_doubt_when_the_attempts_are_used_up(told: Callable[[str], Told]) -> None:
    case = told("500 for ever")
    assert case.outcomes == {("in_doubt", "server_error")}
    assert (case.attempts, len(case.requests)) == ([3] * CONTACTS, 3)


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_is_repeated_and_marked_with_resend(told: Callable[[str], Told], kind: str) -> None:
    case = told(f"{kind}, resend")
    assert case.outcomes == ACCEPTED
    assert (case.marks, case.attempts) == ([True] * CONTACTS, [2] * CONTACTS)
    assert case.times_texted() == [2] * CONTACTS


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_is_in_doubt_and_not_repeated_with_hold(told: Callable[[str], Told], kind: str) -> None:
    case = told(f"{kind}, hold")
    assert case.outcomes == {("in_doubt", "answer_lost")}
    assert (case.attempts, case.times_texted()) == ([1] * CONTACTS, [1] * CONTACTS)
    assert all(result["response"] is None for result in case.results)


def test_answers_that_are_lost_again_and_again_are_in_doubt_after_the_repeats_allowed(
    told: Callable[[str], Told],
) -> None:
    case = told("reset for ever")
    assert case.outcomes == {("in_doubt", "answer_lost")}
    assert (case.attempts, len(case.requests)) == ([3] * CONTACTS, 3)


def test_a_refusal_after_a_lost_answer_is_in_doubt(told: Callable[[str], Told]) -> None:
    case = told("reset, then refused")
    assert case.outcomes == {("in_doubt", "answer_lost")}
    assert case.times_texted() == [1] * CONTACTS


def test_an_operator_may_say_what_a_status_means(told: Callable[[str], Told]) -> None:
    refused, unknown, odd = map(told, ("404 means not delivered", "500 means not delivered", "409 means accepted"))
    assert refused.outcomes == unknown.outcomes == odd.outcomes == ACCEPTED
    assert (refused.attempts, unknown.attempts, odd.attempts) == ([3] * CONTACTS, [2] * CONTACTS, [1] * CONTACTS)
    assert not any(refused.marks + unknown.marks + odd.marks)
    assert {result["response"]["status"] for result in odd.results} == {409}
