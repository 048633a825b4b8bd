"""What a plan selects and says, beside the real service: who failed, who is in doubt, who was never asked for."""

from pathlib import Path

import orjson

from consumer.demo.arithmetic import RecordPlace
from consumer.replay.document import plan_of
from tests.service.events import ago, event, id_of, phone, urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.planning import counts_of, lines_in, places_of, planned
from tests.support.cluster import Cluster

SHIPPED, OTHER, DOUBTFUL = 421, 11, 12
SETTINGS = {
    "DELIVERY__RETRY__MAX_ATTEMPTS": "2",
    f"CAMPAIGNS__{DOUBTFUL}__DELIVERY__ON_UNKNOWN_OUTCOME": "hold",
}
OUTAGE = {"fault": "status", "status": 408, "campaign": SHIPPED}
LOST = {"fault": "reset", "accept": True, "campaign": DOUBTFUL}


class Night:
    """An outage, as it leaves the topics: where everything stands, by what became of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.events: dict[str, dict[str, object]] = {}
        self.places: dict[str, RecordPlace] = {}

    async def publish(self, name: str, content: dict[str, object], *, partition: int = 0) -> None:
        self.events[name] = content
        (self.places[name],) = await self.stage.publish([written(content, partition=partition)])

    def at(self, *names: str) -> set[RecordPlace]:
        return {self.places[name] for name in names}


async def a_night(stage: Stage) -> Night:
    night = Night(stage)
    instance = await stage.start(SETTINGS)
    await night.publish("good", urgent(SHIPPED, 1))
    await night.publish("good elsewhere", urgent(OTHER, 2), partition=1)
    await stage.results.until(night.places.values())
    await stage.ask.set_faults(OUTAGE, LOST)
    await night.publish("failed", urgent(SHIPPED, 3))
    await night.publish("failed, had one before", urgent(SHIPPED, 1), partition=1)
    await night.publish("failed, code", urgent(SHIPPED, {"externalCode": "Cust-7"}))
    await night.publish("failed, complained", urgent(SHIPPED, {"phoneE164": phone(4), "externalCode": "cust-9"}))
    await night.publish("doubtful", urgent(DOUBTFUL, 5))
    await night.publish("late", urgent(SHIPPED, 6, expiresAt=ago(1.0)))
    await night.publish("repeated", dict(night.events["failed"]))
    (night.places["invalid"],) = await stage.publish([written(b'{"campaignId": 421}')])
    await stage.results.until(night.places.values())
    assert await instance.stop() == 0
    await night.publish("unread", event(SHIPPED, 7))
    return night


async def test_after_an_outage_only_those_who_got_nothing_are_sent_again(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        night = await a_night(stage)

        found = await planned(stage, "--from", "-1h", "--json")

        failed = ("failed", "failed, had one before", "failed, code", "failed, complained")
        assert found.errors == ""
        assert found.places == night.at(*failed)
        assert counts_of(found.plan) == {
            "selected": 11,
            "already_accepted": 2,
            "in_doubt": 1,
            "unsettled": 1,
            "expired": 1,
            "repeated": 1,
            "invalid": 1,
            "would_send": 4,
            "people": 4,
            "second_texts": 1,
        }
        by_campaign = {one.campaign_id: one.selected for one in found.plan.campaigns}
        assert by_campaign == {SHIPPED: 9, OTHER: 1, DOUBTFUL: 1}
        assert found.plan.group == stage.group
        assert found.plan.events[0].ends == (9, 2)
        assert found.plan.results.topic == stage.results_topic
        assert "1 of these people already got this text at least once" in found.plan.warnings

        await _narrowed(stage, night, tmp_path)
        await _named(stage, night)
        await _written_down(stage, night, tmp_path)


async def _narrowed(stage: Stage, night: Night, folder: Path) -> None:
    """Each kind of criterion selects what it names."""
    phones = ("--contact", phone(3).replace("+", "00"), "--contact", "CUST-7")
    assert (await planned(stage, "--json", *phones)).places == night.at("failed", "failed, code")
    assert (await planned(stage, "--json", "--contact", "cust-9")).places == night.at("failed, complained")
    one = id_of(night.events["failed"])
    other = id_of(night.events["failed, code"])
    ids = lines_in(folder / "ids.txt", "", other, "")
    assert (await planned(stage, "--json", "--event", one, "--events", str(ids))).places == night.at(
        "failed", "failed, code"
    )
    excluded = lines_in(folder / "complaints.txt", phone(4), "cust-7", one)
    found = await planned(stage, "--json", "--exclude", str(excluded))
    assert found.places == night.at("failed, had one before")
    assert (found.plan.counts.excluded, found.plan.selection.excluded) == (3, 3)
    assert (await planned(stage, "--json", "--campaign", str(OTHER))).plan.counts.selected == 1
    assert (await planned(stage, "--json", "--event-type", "order.lost")).plan.counts.selected == 0
    assert (await planned(stage, "--json", "--to", "-1h")).plan.counts.selected == 0
    by_offset = ("--topic", stage.events, "--partition", "1", "--from", "1", "--to", "2")
    found = await planned(stage, "--json", *by_offset)
    assert (found.places, found.plan.counts.selected) == (night.at("failed, had one before"), 1)


async def _named(stage: Stage, night: Night) -> None:
    """Doubt, success and passed deadlines are sent again only where somebody says so."""
    assert (await planned(stage, "--json", "--status", "in_doubt")).places == night.at("doubtful")
    accepted = await planned(stage, "--json", "--status", "accepted", "--include-accepted")
    assert accepted.places == night.at("good", "good elsewhere")
    assert accepted.plan.needs_reason
    extended = await planned(stage, "--json", "--status", "expired", "--extend-expiry", "10m")
    assert extended.places == night.at("late")
    assert [record.extended for one in extended.plan.records for record in one.records()] == [True]


async def _written_down(stage: Stage, night: Night, folder: Path) -> None:
    """The file is the plan, the table is for people, and neither tells who anybody is."""
    file, complaints = folder / "plan.json", lines_in(folder / "complained.txt", phone(4))
    people = ("--contact", phone(3), "--contact", phone(4), "--contact", "cust-7", "--exclude", str(complaints))

    found = await planned(stage, *people, "--output", str(file), "--rate", "2")

    assert (found.exit_code, found.errors) == (0, "")
    assert places_of(plan_of(file.read_bytes())) == night.at("failed", "failed, code")
    assert f"Next: campaign-consumer replay run {file} --rate 2" in found.output
    assert "Would send 2 texts to 2 people." in found.output
    assert "Publishing: 1 s at 2 records/s. The service: at least 1 request" in found.output
    for text in (phone(3)[1:], phone(4)[1:], phone(3)[-7:], phone(4)[-7:], "cust-7"):
        assert text not in (found.output + file.read_text()).lower()
    assert orjson.loads(file.read_bytes())["selection"]["contacts"] == 3
