"""What must not stop the service, or keep it from stopping: brokers that are gone, keys that fill a record, bursts."""

from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.service.events import event, id_of, urgent, written
from tests.service.harness import PATIENT, Instance, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import write

HUGE_KEY = b"k" * 950_000
"""It fits into a record beside an event, and leaves no room for a result in a batch of 1 MiB."""


async def until_held(service: Instance, count: int) -> None:
    """Return once the service has exactly so many events in hand."""

    async def held() -> bool:
        return bool((await service.status())["buffer"]["events"] == count)

    await eventually(held, within_seconds=30.0, what=f"{count} events in hand")


async def test_a_key_that_leaves_no_room_for_the_result_stops_nobody(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start()
        huge = event(1, 1)
        bad_and_huge = written(b"no event", key=HUGE_KEY)
        places = await stage.publish([written(huge, key=HUGE_KEY), bad_and_huge, written(event(1, 2))])

        results = await stage.results.until(places)

        assert [result["status"] for result in results] == ["accepted", "invalid", "accepted"]
        assert stage.results.keys[places[0]] is None
        assert stage.results.keys[places[2]] == b"customer-7"
        assert await service.stop() == 0


async def test_a_shutdown_ends_in_time_although_no_broker_answers(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, ApacheKafka() as doomed:
        settings = {"KAFKA__BOOTSTRAP_SERVERS": doomed.bootstrap_servers, "KAFKA__CREATE_TOPICS": "true"}
        service = await stage.start({**settings, "SHUTDOWN__GRACE": "12s"})
        await write(doomed.bootstrap_servers, stage.events, [written(event(1, 1))])
        await stage.ask.wait(accepted=1)
        await doomed.kill_broker()

        assert await service.stop() == 0


async def test_urgent_events_that_wait_for_a_slot_share_the_next_request(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start({"DELIVERY__MAX_CONCURRENCY_PER_CAMPAIGN": "1", **PATIENT})
        await stage.results.until(await stage.publish([written(event(1, 1))]))
        await stage.ask.set_faults({"fault": "hold", "name": "held", "campaign": 2})
        first, others = urgent(2, 2), [urgent(2, person) for person in range(3, 23)]
        places = await stage.publish([written(first)])
        await stage.ask.wait(in_flight=1)
        places += await stage.publish([written(one) for one in others])
        await until_held(service, len(places))
        await stage.ask.clear_faults()
        await stage.results.until(places)

        requests = {contact.request_id async for contact in stage.ask.stream_contacts(campaign_id=2)}

        assert len(requests) == 2, "one for the first, and one for all that waited meanwhile"
        texts = await stage.texts()
        assert all(texts[id_of(one)] == 1 for one in [first, *others])
