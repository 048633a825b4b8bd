"""What people and probes are told while the service runs, and what nobody is ever told: a phone, a custom field."""

import signal
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from consumer.traffic.people import Person
from tests.service.events import event, phone, urgent, written
from tests.service.harness import PATIENT, Instance, Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.records import Written, read_all

SECRET = "Rumpelstilzchen"
"""A custom field's value."""
KEY_OF_A_STRANGER = "0f9c2a7be4"
"""The server key of a service that is refused."""
PEOPLE = range(1, 41)  # not 0: its number is a 6 and zeros, which a result ID may hold by chance


async def _totals(service: Instance) -> dict[str, float]:
    """Every counter of `/metrics`, its samples added up."""
    families = text_string_to_metric_families((await service.get("/metrics")).text)
    return {family.name: sum(sample.value for sample in family.samples) for family in families}


async def test_metrics_probes_and_status_answer_while_the_service_works(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        settings = {"CAMPAIGNS__7__WINDOW__DURATION": "60s", "WINDOW__MAX_CONTACTS": "10"}
        service = await stage.start({**settings, **PATIENT})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "hold"})
        await stage.publish([written(event(7, person), partition=person % 2) for person in range(35)])
        await stage.ask.wait(in_flight=3)
        await service.until_holds(35)

        status = await service.status()
        assert status["state"] == "running"
        assert (status["sends"]["in_flight"], status["sends"]["in_flight_by_campaign"]) == (3, {"7": 3})
        assert (status["windows_open"], status["buffer"]["events"]) == (1, 35)
        assert status["access"]["state"] == "open"
        assert {partition["state"] for partition in status["partitions"]} == {"owned"}
        assert sum(partition["held"] for partition in status["partitions"]) == 35
        for path in ("/healthz", "/readyz", "/"):
            assert (await service.get(path)).status_code == 200, path
        assert "text/html" in (await service.get("/")).headers["content-type"]
        await stage.ask.clear_faults()
        await stage.results.until_count(31)

        totals = await _totals(service)
        assert all(name.startswith("campaign_") for name in totals)
        assert totals["campaign_records_read"] == 36
        assert totals["campaign_requests"] == 4
        assert totals["campaign_results"] == 31
        answer = await service.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
        families = list(openmetrics_families(answer.text))  # type: ignore[no-untyped-call]
        assert {family.name for family in families} >= totals.keys()
        _tell_of_the_way([sample for family in families for sample in family.samples], stage)
        service.send(signal.SIGTERM)
        assert await service.ended() == 0
        assert (await stage.account()).accepted == 36


def _tell_of_the_way(samples: Sequence[Sample], stage: Stage) -> None:
    """What a scrape says of 31 events: three full requests of campaign 7, and an immediate event of campaign 6."""

    def value(name: str, **labels: str) -> float:
        (found,) = [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]
        return found

    said = {
        (one.labels["campaign"], one.labels["status"]): one.value
        for one in samples
        if one.name == "campaign_campaign_results_total"
    }
    assert said == {("6", "accepted"): 1, ("7", "accepted"): 30}
    for priority, events in (("normal", 30), ("immediate", 1)):
        assert value("campaign_slo_events_total", priority=priority) == events
        assert value("campaign_slo_good_events_total", priority=priority) == events
    assert value("campaign_window_age_seconds_count", why="full") == 3
    assert value("campaign_window_age_seconds_count", why="immediate") == 1
    assert value("campaign_queue_wait_seconds_count", priority="normal") == 3
    assert value("campaign_rebalances_total") == value("campaign_rebalance_duration_seconds_count") == 1
    assert value("campaign_checkpoint_duration_seconds_count") >= 2, "each partition begins with a checkpoint"
    sends = {result["sendId"] for result in stage.results.at.values()}
    named = {one.exemplar.labels["send_id"] for one in samples if one.exemplar is not None}
    assert named
    assert named <= sends, "an exemplar leads to the results of its send"


def _awkward() -> list[Written]:
    """Events and non-events that bring phones and custom fields to every place where one could slip out."""
    records = []
    for number in PEOPLE:
        contact: dict[str, object] = {"phoneE164": phone(number), "customFields": {"name": f"{SECRET}{number}"}}
        records.append(written(event(101 + number % 8, contact), key=b"customer-%d" % number))
    records += [
        written(event(101, {"phoneE164": phone(1)[1:], "customFields": {"name": SECRET}})),
        written(event(101, {"phoneE164": phone(2), "customFields": {phone(2): {SECRET: phone(2)}}})),
        written(f'{{"contact": {{"phoneE164": "{phone(3)}", "customFields": {{"name": "{SECRET}"'.encode()),
        written({**event(101, 4), "campaignId": phone(4)}),
        written({**event(101, 5), "occurredAt": phone(5)}),
    ]
    return records


async def _everything_told(stage: Stage, service: Instance) -> dict[str, bytes]:
    pages = {
        path: (await service.get(path)).content for path in ("/metrics", "/status", "/sends", "/readyz", "/healthz")
    }
    assert await service.stop() == 0
    await stage.results.catch_up()
    journal = await read_all(stage.kafka.bootstrap_servers, stage.journal)
    return {
        **pages,
        "results": stage.results.text,
        "journal": b"\n".join(entry.value or b"" for entry in journal),
        "log": service.log.read_bytes(),
    }


async def test_no_phone_no_custom_field_and_no_key_is_told_to_anybody(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start({"LOG__LEVEL": "DEBUG", "DELIVERY__RETRY__MAX_ATTEMPTS": "2"})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults(
            {"fault": "item_errors", "campaign": 101, "namedBy": "everything", "count": 9, "message": f"no {phone(1)}"},
            {"fault": "item_errors", "campaign": 102, "namedBy": "phone", "message": f"no {phone(9)}"},
            {"fault": "refuse_contact", "campaign": 103, "person": phone(2), "message": f"no {phone(2)}"},
            {"fault": "status", "campaign": 104, "status": 404, "message": f"no {phone(3)}"},
            {"fault": "status", "campaign": 105, "status": 500, "message": f"no {phone(4)}"},
            {"fault": "garbage", "campaign": 106, "times": 1},
            {"fault": "status", "campaign": 107, "status": 429, "times": 2, "message": f"no {phone(6)}"},
        )
        await stage.results.until(await stage.publish(_awkward()))
        statuses = {result["status"] for result in stage.results.at.values()}
        assert statuses == {"accepted", "rejected", "in_doubt", "invalid"}

        told = await _everything_told(stage, service)

        assert all(told.values())
        for where, text in told.items():
            for number in PEOPLE:
                assert Person(number).national_number.encode() not in text, (where, number)
            assert stage.sandbox.server_key.encode() not in text, where
            assert SECRET.encode() not in text, where


async def test_a_refused_key_is_not_told_either(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start(
            {"API__SERVER_KEY": KEY_OF_A_STRANGER, "LOG__LEVEL": "DEBUG", "SHUTDOWN__GRACE": "11s"}
        )
        await stage.publish([written(urgent(7, 1))])
        await stage.ask.wait(requests=2)

        told = await _everything_told(stage, service)

        assert not [where for where, text in told.items() if KEY_OF_A_STRANGER.encode() in text]
