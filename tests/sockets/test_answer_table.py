"""Every row of the contract's answer table, from the platform's socket to the results.

`tests/service/test_answers.py` asks the whole service, with Kafka, about the rows that differ; here stands each of them.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from consumer.core.platform.access import AccessState
from consumer.core.policy import CampaignPolicy, Meaning, OnUnknown, Policies
from consumer.sandbox.server import Sandbox
from tests.service.events import event, id_of, urgent
from tests.sockets.stage import SOON, Result, Stage, stage

CAMPAIGN = 421
CONTACTS = 3
TOGETHER = replace(SOON, window_seconds=60.0, max_contacts=CONTACTS)
HOLD = replace(TOGETHER, on_unknown=OnUnknown.HOLD)
HANGS_FOR_SECONDS = 0.4

Fault = Mapping[str, object]
Ending = tuple[str, str | None]
FINE: Ending = ("accepted", None)
SECOND = "the second contact's reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the platform does, and what is to come of it for each of the contacts."""

    faults: Sequence[Fault]
    endings: Sequence[Ending]
    policy: CampaignPolicy = TOGETHER
    attempts: int = 1
    sizes: Sequence[int] = (CONTACTS,)
    """Contacts in each request, the largest first."""
    texts: Sequence[int] = (1,) * CONTACTS
    marked: bool = False
    timeout_seconds: float = 5.0
    response: int | None = None
    """The status that the results speak of, where it is the same for all."""


def all_of(ending: Ending) -> Sequence[Ending]:
    return (ending,) * CONTACTS


def accepted_rows() -> Iterator[tuple[str, Row]]:
    yield "200", Row(faults=(), endings=all_of(FINE), response=200)
    for status in (200, 202, 299):
        unreadable = {"fault": "unreadable", "status": status}
        yield (
            f"{status}, unreadable",
            Row(faults=[unreadable], endings=all_of(("accepted", "unreadable_answer")), response=status),
        )
    yield "half a body", Row(faults=[{"fault": "half_body"}], endings=all_of(("accepted", "unreadable_answer")))
    for named_by in ("customData", "phone", "everything"):
        item: Fault = {"fault": "item_errors", "reference": SECOND, "namedBy": named_by}
        yield (
            f"an item by {named_by}",
            Row(faults=[item], endings=(FINE, ("rejected", "contact_refused"), FINE), texts=(1, 0, 1), response=200),
        )
    nobody: Fault = {"fault": "item_errors", "namedBy": "nobody"}
    yield "an item for nobody", Row(faults=[nobody], endings=all_of(("accepted", "platform_reported_errors")))
    meant = replace(TOGETHER, answers={409: Meaning.ACCEPTED})
    yield (
        "409 that means accepted",
        Row(
            faults=[{"fault": "status", "status": 409, "accept": True}],
            endings=all_of(FINE),
            policy=meant,
            response=409,
        ),
    )


def refused_rows() -> Iterator[tuple[str, Row]]:
    for status in (400, 413, 422):
        reason = "campaign_refused" if status == 413 else "contact_refused"
        bad: Fault = {"fault": "refuse_contact", "reference": SECOND, "status": status}
        yield (
            f"{status} of several",
            Row(
                faults=[bad],
                endings=(FINE, ("rejected", reason), FINE),
                sizes=(3, 2, 1, 1, 1),
                texts=(1, 0, 1),
                attempts=0,
            ),
        )
    for status in (404, 405, 406, 409, 410, 411, 412, 414, 415, 417, 418, 423, 424, 426, 428, 431, 451, 499):
        yield (
            f"{status}",
            Row(
                faults=[{"fault": "status", "status": status}],
                endings=all_of(("rejected", "campaign_refused")),
                texts=(0,) * CONTACTS,
                response=status,
            ),
        )


def undelivered_rows() -> Iterator[tuple[str, Row]]:
    for status in (408, 421, 425, 429, 503):
        once: Fault = {"fault": "status", "status": status, "times": 1}
        again = Row(faults=[once], endings=all_of(FINE), policy=HOLD, attempts=2, sizes=(CONTACTS,) * 2, response=200)
        yield f"{status}", again
    for status in (408, 421, 425):
        yield (
            f"{status} for ever",
            Row(
                faults=[{"fault": "status", "status": status}],
                endings=all_of(("failed", "retries_exhausted")),
                policy=replace(TOGETHER, max_attempts=2),
                attempts=2,
                sizes=(CONTACTS,) * 2,
                texts=(0,) * CONTACTS,
                response=status,
            ),
        )
    for status in (429, 503):
        often: Fault = {"fault": "status", "status": status, "times": 4}
        yield (
            f"{status}, beyond the attempts",
            Row(
                faults=[often],
                endings=all_of(FINE),
                policy=replace(TOGETHER, max_attempts=2),
                attempts=5,
                sizes=(CONTACTS,) * 5,
            ),
        )


def unknown_rows() -> Iterator[tuple[str, Row]]:
    for status in (500, 501, 502, 504, 505, 507, 599):
        error: Fault = {"fault": "status", "status": status, "accept": True, "times": 1}
        yield f"{status}, resend", repeated(error)
        yield f"{status}, hold", in_doubt(error, "server_error", response=status)
        for_ever = in_doubt({**error, "times": 2}, "server_error", response=status)
        yield (
            f"{status}, twice",
            replace(
                for_ever,
                policy=replace(TOGETHER, max_attempts=2),
                attempts=2,
                sizes=(CONTACTS,) * 2,
                texts=(2,) * CONTACTS,
            ),
        )
    for kind in ("hang", "reset", "close", "garbage", "half_head"):
        seconds = HANGS_FOR_SECONDS if kind == "hang" else 5.0
        lost: Fault = {"fault": kind, "times": 1}
        yield f"{kind}, resend", replace(repeated(lost), timeout_seconds=seconds)
        yield f"{kind}, hold", replace(in_doubt(lost, "answer_lost"), timeout_seconds=seconds)
    twice = in_doubt({"fault": "reset", "times": 2}, "answer_lost")
    yield (
        "reset, twice",
        replace(
            twice,
            policy=replace(TOGETHER, lost_answer_repeats=1),
            attempts=2,
            sizes=(CONTACTS,) * 2,
            texts=(2,) * CONTACTS,
        ),
    )


def repeated(fault: Fault) -> Row:
    """An answer of unknown fate, after which everybody is texted again."""
    return Row(
        faults=[fault], endings=all_of(FINE), attempts=2, sizes=(CONTACTS,) * 2, texts=(2,) * CONTACTS, marked=True
    )


def in_doubt(fault: Fault, reason: str, *, response: int | None = None) -> Row:
    """An answer of unknown fate, after which nobody is texted again."""
    return Row(faults=[fault], endings=all_of(("in_doubt", reason)), policy=HOLD, response=response)


ROWS = dict([*accepted_rows(), *refused_rows(), *undelivered_rows(), *unknown_rows()])


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_each_answer_means_what_the_table_says(row: Row) -> None:
    documents = [event(CAMPAIGN, number) for number in range(CONTACTS)]
    references = [id_of(document) for document in documents]
    policies = Policies(default=SOON, campaigns={CAMPAIGN: row.policy})
    async with stage(policies, timeout_seconds=row.timeout_seconds) as running:
        running.answer(*[named(fault, references[1]) for fault in row.faults])
        results = await running.sent(*documents)
        assert [(result["status"], result["reason"]) for result in results] == list(row.endings)
        assert sorted([request.contacts for request in running.seen(CAMPAIGN)], reverse=True) == list(row.sizes)
        assert [running.texts(CAMPAIGN)[reference] for reference in references] == list(row.texts)
        assert [result["possibleDuplicate"] for result in results] == [row.marked] * CONTACTS
        if row.attempts:
            assert [result["attempts"] for result in results] == [row.attempts] * CONTACTS
        if row.response is not None:
            assert {result["response"]["status"] for result in results} == {row.response}


def named(fault: Fault, reference: str) -> dict[str, object]:
    return {key: reference if value == SECOND else value for key, value in fault.items()} | {"campaign": CAMPAIGN}


# ------------------------------------------------------------------------------------- what is wrong with us, not with them

STOPPING = (301, 302, 303, 307, 308, 401, 402, 403, 407)


@pytest.mark.parametrize("status", STOPPING)
async def test_an_answer_about_key_or_address_settles_nothing_and_stops_everything_but_a_probe(status: int) -> None:
    async with stage() as running:
        running.answer({"fault": "status", "status": status})
        places = running.publish([urgent(campaign, campaign) for campaign in (1, 2, 3)])
        await running.until_asked(1)
        assert running.pipeline.access.state(running.clock.now()) is AccessState.STOPPED
        for _ in range(5):
            await running.forward(30.0)
            await running.until_nothing_is_out()
        assert len(running.results.at) == 1, "but for the first contact"
        assert all(running.seen(campaign) for campaign in (1, 2, 3)), "each had its turn as the probe"
        assert running.sandbox.platform.records.summary().max_in_flight == 1
        running.answer()
        results = await until_forwarded(running, places)
        assert {(result["status"], result["possibleDuplicate"]) for result in results} == {("accepted", False)}
        assert [sum(running.texts(campaign).values()) for campaign in (1, 2, 3)] == [1, 1, 1]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_2xx_of_another_campaign_narrows_the_stop_and_the_refused_one_fails_by_its_age(status: int) -> None:
    async with stage(Policies(default=replace(SOON, max_age_seconds=600.0))) as running:
        running.answer({"fault": "status", "status": status, "campaign": 1})
        refused = running.publish([urgent(1, 1)])
        await running.until_asked(1)
        (other,) = await until_forwarded(running, running.publish([urgent(2, 2)]))
        assert other["status"] == "accepted"
        assert list(running.pipeline.access.refused) == [1]
        await running.forward(500.0)
        await running.until_nothing_is_out()
        assert not running.results.at.keys() & set(refused)
        (result,) = await until_forwarded(running, refused)
        assert (result["status"], result["reason"]) == ("failed", "retry_age")


async def until_forwarded(running: Stage, places: Sequence[tuple[int, int]]) -> list[Result]:
    """Put the clock forward until these have results: probes are half a minute apart at most."""
    for _ in range(40):
        if running.results.at.keys() >= set(places):
            break
        await running.forward(30.0)
        await running.until_nothing_is_out()
    return await running.until(places)


# ------------------------------------------------------------------------------------------------------- no connection


def unreachable_urls() -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return {
        "refused": f"http://127.0.0.1:{port}/v2/sms/send/list",
        "no such name": "http://nobody.invalid/v2/sms/send/list",
        "no TLS": "https://127.0.0.1:{port}/v2/sms/send/list",
    }


@pytest.mark.parametrize("url", unreachable_urls().values(), ids=unreachable_urls())
async def test_without_a_connection_nothing_was_tried_and_nothing_settles(url: str) -> None:
    async with Sandbox() as other:
        url = url.format(port=other.base_url.rsplit(":", 1)[1])
        async with stage(url=url, contacted=False) as running:
            await running.until_read(running.publish([urgent(1, 1)]))
            for _ in range(6):
                await running.forward(60.0)
                await running.until_nothing_is_out()
            assert running.pipeline.access.state(running.clock.now()) is AccessState.UNREACHABLE
            assert running.results.at == {}
            (waiting,) = running.pipeline.queue.sends()
            assert waiting.first_tried_at is None, "neither budget runs"


async def test_a_platform_that_goes_and_comes_back_costs_no_attempt() -> None:
    async with stage() as running:
        port = int(running.sandbox.base_url.rsplit(":", 1)[1])
        await running.sandbox.__aexit__(None, None, None)
        places = running.publish([urgent(1, 1), urgent(2, 2)])
        await running.until_read(places)
        for _ in range(6):
            await running.forward(60.0)
            await running.until_nothing_is_out()
        assert running.pipeline.access.state(running.clock.now()) is AccessState.UNREACHABLE
        assert not running.results.at.keys() & set(places)
        async with Sandbox(port=port):
            results = await until_forwarded(running, places)
        assert {(result["status"], result["attempts"]) for result in results} == {("accepted", 1)}
