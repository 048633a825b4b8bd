"""Who shares a request with whom, and in which order people get their texts."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from consumer.sandbox.facts import AcceptedContact, Options
from consumer.traffic.people import COUNTRY_CODE, Person
from tests.service.events import ago, event, id_of, phone, urgent, written
from tests.service.harness import stage_on
from tests.support.cluster import Cluster

LONG_WINDOW = {"WINDOW__DURATION": "60s"}
"""Closed by its count, or by somebody urgent; else it would show."""


def spellings(number: int) -> list[dict[str, object]]:
    """One person as five upstreams write it."""
    national = Person(number).national_number
    return [
        {"phoneE164": phone(number)},
        {"phoneNumber": f"00{COUNTRY_CODE}{national}"},
        {"phoneNumber": national, "countryCode": COUNTRY_CODE},
        {"phoneNumber": f"({national[:3]}) {national[3:6]}-{national[6:]}", "countryCode": COUNTRY_CODE},
        {"phoneNumber": f"+{COUNTRY_CODE} {national[:3]}.{national[3:6]}.{national[6:]}"},
    ]


def by_request(contacts: list[AcceptedContact]) -> list[list[AcceptedContact]]:
    """Contacts of each request, in the order of the requests."""
    requests: defaultdict[int, list[AcceptedContact]] = defaultdict(list)
    for contact in contacts:
        requests[contact.request_id].append(contact)
    return list(requests.values())


async def test_events_whose_options_or_kind_of_identity_differ_never_share_a_request(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        soon = ago(-3_600)[:19] + "Z"
        variants: list[tuple[dict[str, object], Options]] = [
            ({}, Options()),
            ({"flash": False, "charset": "auto", "sendTypeOverride": "list", "originData": {}}, Options()),
            ({"flash": True}, Options(flash=True)),
            ({"charset": "spanish"}, Options(charset="spanish")),
            ({"sendTypeOverride": "all"}, Options(send_type_override="all")),
            ({"originData": {"warehouse": "BCN"}}, Options(origin_data={"warehouse": "BCN"})),
            ({"originData": {"warehouse": "MAD"}}, Options(origin_data={"warehouse": "MAD"})),
            ({"scheduledAt": soon}, Options(schedule_at=soon)),
        ]
        expected: dict[str, Options] = {}
        events = []
        for person in range(2):
            for kind, (send, options) in enumerate(variants):
                events.append(event(7, 10 * kind + person, send=send))
                expected[id_of(events[-1])] = options
            for contact in ({"phoneNumber": f"60000000{person}"}, {"externalCode": f"code-{person}"}):
                events.append(event(7, {**contact}))
                expected[id_of(events[-1])] = Options()
        await stage.start({**LONG_WINDOW, "WINDOW__MAX_CONTACTS": "2"})
        results = await stage.results.until(await stage.publish(map(written, events)))

        assert {result["status"] for result in results} == {"accepted"}
        contacts = await stage.ask.contacts()
        assert {contact.reference: contact.options for contact in contacts} == expected
        requests = by_request(contacts)
        assert [len(request) for request in requests] == [2] * (len(variants) + 2)
        kinds = [{contact.person[0] for contact in request} for request in requests]
        assert sorted(map(sorted, kinds)) == [["+"]] * len(variants) + [["6"], ["c"]]


async def test_a_schedule_that_has_no_wire_name_is_rejected_and_not_sent_at_once(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start({"API__FIELD_NAMES__SCHEDULED_AT": None})
        scheduled = event(7, 1, send={"scheduledAt": ago(-3_600)})

        results = await stage.results.until(await stage.publish([written(scheduled), written(event(7, 2))]))

        outcomes = [(result["status"], result["reason"], result["attempts"]) for result in results]
        assert outcomes == [("rejected", "schedule_not_configured", 0), ("accepted", None, 1)]
        assert (await stage.account()).texted == 1


async def test_a_person_spelled_in_every_way_gets_every_text_in_order_and_never_two_in_one_request(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        people = range(4)
        events = [event(7, spellings(person)[way]) for way in range(5) for person in people]
        await stage.start({**LONG_WINDOW, "WINDOW__MAX_CONTACTS": str(len(people))})

        results = await stage.results.until(await stage.publish(map(written, events)))

        assert {result["status"] for result in results} == {"accepted"}
        requests = by_request(await stage.ask.contacts())
        assert [[contact.reference for contact in request] for request in requests] == [
            [id_of(content) for content in events[4 * way : 4 * way + 4]] for way in range(5)
        ]
        assert all({contact.person for contact in request} == {*map(phone, people)} for request in requests)
        assert (await stage.ask.summary()).duplicates == 0


async def test_a_person_from_two_partitions_at_once_never_stands_twice_in_one_request(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        people, last = range(10), (100, 101)
        events = [(way, event(7, spellings(person)[way])) for person in people for way in range(2)]
        service = await stage.start({**LONG_WINDOW, "WINDOW__MAX_CONTACTS": str(len(people) + 1)})
        places = await stage.publish([written(content, partition=way) for way, content in events])
        await service.until_holds(len(places))
        assert (await service.status())["windows_open"] == 2, "all of them wait for company, and not for each other"
        places += await stage.publish([written(event(7, person)) for person in last])

        results = await stage.results.until(places)

        assert {result["status"] for result in results} == {"accepted"}
        requests = by_request(await stage.ask.contacts())
        assert [len(request) for request in requests] == [len(people) + 1] * 2
        assert all({contact.person for contact in request} >= {*map(phone, people)} for request in requests)
        assert (await stage.ask.summary()).duplicates == 0


async def test_one_persons_events_go_out_in_order_across_options_and_retries(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        options: list[dict[str, object]] = [{}, {"flash": True}, {}, {"charset": "spanish"}, {"flash": True}]
        events = [event(7, 1, send=send) for send in options]
        in_between = [event(7, 2), event(8, 1)]
        await stage.start({"WINDOW__DURATION": "100ms"})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "status", "status": 503, "reference": id_of(events[0]), "times": 3})

        results = await stage.results.until(await stage.publish(map(written, [*events, *in_between])))

        assert {result["status"] for result in results} == {"accepted"}
        contacts = await stage.ask.contacts(campaign_id=7, person=phone(1))
        assert [contact.reference for contact in contacts] == [id_of(content) for content in events]
        assert len({contact.request_id for contact in contacts}) == len(events)
        ended_at = {seen.request_id: seen.ended_at or 0.0 for seen in await stage.ask.requests(campaign_id=7)}
        for before, after in pairwise(contacts):
            assert after.first_byte_at >= ended_at[before.request_id], "one after the other"


async def test_an_immediate_event_does_not_wait_for_its_window_and_takes_its_predecessors_along(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start(LONG_WINDOW)
        company, alone, first, second = event(7, 1), urgent(7, 2), event(8, 3), urgent(8, 3)
        patient = event(9, 4)

        *urgently, late = await stage.publish(map(written, [company, alone, first, second, patient]))
        results = await stage.results.until(urgently)

        assert {result["status"] for result in results} == {"accepted"}
        requests = by_request(await stage.ask.contacts())
        references = [[contact.reference for contact in request] for request in requests]
        assert sorted(references) == sorted([[id_of(company), id_of(alone)], [id_of(first)], [id_of(second)]])
        assert references.index([id_of(first)]) < references.index([id_of(second)])
        await stage.results.catch_up()
        assert late not in stage.results.at, "who is not urgent waits for company"
        assert await service.stop() == 0
        assert [result["status"] for result in await stage.results.until([late])] == ["accepted"]
