"""The main job: events in, texts out, one result for each; whatever the codec, the partitions and the instances."""

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

from consumer.demo.arithmetic import RecordPlace
from tests.service.events import event, written
from tests.service.harness import Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.records import Codec

EVENTS = 10_000
PARTITIONS = 4
CODECS: tuple[Codec, ...] = ("gzip", "snappy", "lz4", "zstd")


async def texted_in_order(stage: Stage) -> dict[tuple[int, str, int], list[int]]:
    """By campaign, person and partition: the offsets of the events in the order in which they were texted."""
    place_of: dict[str, RecordPlace] = {
        result.external_reference or "": result.place for result in stage.results.seen if result.status == "accepted"
    }
    offsets: defaultdict[tuple[int, str, int], list[int]] = defaultdict(list)
    async for contact in stage.ask.stream_contacts():
        place = place_of[contact.reference or ""]
        offsets[contact.campaign_id, contact.person, place.partition].append(place.offset)
    return offsets


async def test_ten_thousand_events_over_two_instances_are_each_texted_and_reported_once(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=PARTITIONS) as stage:
        first, second = await stage.start(), await stage.start()
        await first.until_owns(PARTITIONS // 2)
        await second.until_owns(PARTITIONS // 2)

        await stage.publish_generated(EVENTS)
        await stage.results.until_count(EVENTS)

        did = [sum((await instance.status())["results"].values()) for instance in (first, second)]
        assert min(did) > EVENTS // 10
        assert sum(did) == EVENTS
        assert [await first.stop(), await second.stop()] == [0, 0]
        account = await stage.account()
        assert (account.records, account.results, account.results_published_again) == (EVENTS, EVENTS, 0)
        assert account.texted == account.accepted > EVENTS * 9 // 10
        assert account.marked == account.in_doubt_texted == 0
        assert set(account.by_status) == {"accepted", "duplicate", "invalid"}
        assert all(place.partition == written_to for place, written_to in stage.results.written_to.items())
        summary = await stage.ask.summary()
        assert summary.duplicates == 0, "nobody stands twice in one request"
        assert summary.requests < account.texted / 5, "events of a campaign share requests"
        orders = await texted_in_order(stage)
        assert any(len(offsets) > 1 for offsets in orders.values()), "some people got several texts of one campaign"
        assert all(offsets == sorted(offsets) for offsets in orders.values())


async def test_topics_in_every_compression_are_read(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=len(CODECS), results_partitions=1) as stage:
        await stage.start()
        for partition, codec in enumerate(CODECS):
            records = [
                written(event(7, 100 * partition + number), partition=partition, key=b"key of %d" % number)
                for number in range(50)
            ]
            places = await stage.publish(records, codec=codec)
            results = await stage.results.until(places)
            assert {result["status"] for result in results} == {"accepted"}
            assert [stage.results.keys[place] for place in places] == [record.key for record in records]
        assert (await stage.account()).texted == 50 * len(CODECS)


async def test_a_lone_event_on_an_idle_stream_is_sent_when_its_window_closes(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start({"WINDOW__DURATION": "500ms"})

        (result,) = await stage.results.until(await stage.publish([written(event(7, 1), key=None)]))

        (contact,) = await stage.ask.contacts()
        assert result["status"] == "accepted"
        assert contact.reference == result["eventId"] == result["externalReference"]
        received_at, dispatched_at = (datetime.fromisoformat(result[name]) for name in ("receivedAt", "dispatchedAt"))
        assert dispatched_at - received_at >= timedelta(seconds=0.499), "it waited for company first"
        assert stage.results.keys == {RecordPlace(0, 0): None}
