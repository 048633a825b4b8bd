"""What can be found in the log of the real service: each send, its campaign, its records; and nothing that is not text."""

from pathlib import Path

from consumer.core.platform.control import CampaignHold, key_of, value_of
from consumer.edge.clock import SystemClock
from tests.service.events import event, urgent, written
from tests.service.harness import Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.records import Written, write

EVIL = "x\x1b[2J\x1b]0;owned\x07\r\n2026-11-24 [info] all is well\u202e"

BARE = "x\x1b[2J\x07\x9b31m"
"""Without anything for which a text would be quoted."""


async def test_each_request_is_one_line_that_finds_its_results_where_that_is_chosen(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start({"LOG__SENDS": "true"})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults(
            {"fault": "status", "campaign": 7, "status": 503, "times": 1},
            {"fault": "status", "campaign": 8, "status": 404},
        )
        records = [
            written(event(campaign, person), partition=person % 2) for campaign in (7, 8) for person in range(10)
        ]
        await stage.results.until(await stage.publish(records))
        assert await service.stop() == 0

        lines = service.lines("answered")
        ended = [line for line in lines if line["status"] in (200, 404)]
        by_send = {line["send_id"]: line for line in ended}
        assert len(by_send) == len(ended), "one line for each"
        for (partition, offset), result in stage.results.at.items():
            line = by_send[result["sendId"]]
            assert line["campaign"] == result["campaignId"]
            assert line["status"] == result["response"]["status"]
            assert _covers(line["offsets"][f"{stage.events}:{partition}"], offset)
            assert (line["level"], line["attempt"]) == ("info", result["attempts"])
        assert sum(line["contacts"] for line in ended) == len(stage.results.at) == 21
        assert [line["campaign"] for line in lines if line["status"] == 503] == [7]

        [refused] = service.lines("events not sent")
        assert (refused["campaign"], refused["reason"], refused["count"]) == (8, "campaign_refused", 10)
        assert refused["send_id"] in by_send
        [put_back] = service.lines("send put back")
        assert (put_back["campaign"], put_back["attempt"]) == (7, 1)
        assert put_back["send_id"] in by_send
        assert not service.lines("settled"), "a line for each record is for DEBUG"


def _covers(ranges: str, offset: int) -> bool:
    bounds = [[int(bound) for bound in part.split("-")] for part in ranges.split(",")]
    return any(bound[0] <= offset <= bound[-1] for bound in bounds)


async def _held_with_evil_words(stage: Stage) -> None:
    now = SystemClock().now().wall
    hold = CampaignHold(campaign_id=999, reject=False, reason=EVIL, operator=BARE, since=now, held_since=now)
    await write(
        stage.kafka.bootstrap_servers, stage.control, [Written(value=value_of(hold), key=key_of(hold), partition=0)]
    )


async def test_nothing_from_outside_reaches_a_terminal_as_anything_but_text(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.launch({"LOG__FORMAT": "console", "LOG__LEVEL": "DEBUG"})
        bad = urgent(8, 2, eventId=EVIL, **{f"expireAt{EVIL}": "soon"})
        await stage.ask.set_faults({"fault": "status", "campaign": 8, "status": 404, "message": EVIL, "times": 1})
        await _held_with_evil_words(stage)
        await stage.publish([written(urgent(8, 1, eventId=BARE), key=EVIL.encode(), headers=[(EVIL, EVIL.encode())])])
        await stage.publish([written(bad), written(EVIL.encode())])
        await stage.results.until_count(3)
        assert await service.stop() == 0

        text = service.log.read_text("utf-8")
        assert [line for line in text.split("\n") if not line.isprintable()] == []
        assert not [line for line in text.split("\n") if line.startswith("2026-11-24")]
        assert "x\\x1b[2J" in text
