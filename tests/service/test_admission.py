"""Events that are not sent, or not sent again: late, repeated, invalid, rewound; and those that look odd, and are."""

from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.demo.arithmetic import RecordPlace
from tests.service.events import ago, event, id_of, phone, urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.planning import planned
from tests.service.results import Result
from tests.support.cluster import Cluster
from tests.support.plans import replay
from tests.support.records import Written, read_all


def outcome(result: Result) -> tuple[str, str | None, int]:
    """Status, reason and attempts."""
    return result["status"], result["reason"], result["attempts"]


DEADLINE = ("expired", "deadline", 0)
TOO_OLD = ("expired", "too_old", 0)
REPEATED = ("duplicate", "repeated", 0)
ACCEPTED = ("accepted", None, 1)


async def test_what_is_too_late_or_too_old_is_not_sent(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start({"CAMPAIGNS__5__DELIVERY__EXPIRES_AFTER": "5m"})
        day = 24 * 3_600
        cases = {
            "past its deadline": (written(event(7, 1, expiresAt=ago(1))), DEADLINE),
            "urgent and past its deadline": (written(urgent(7, 2, expiresAt=ago(1))), DEADLINE),
            "in time": (written(event(7, 3, expiresAt=ago(-60))), ACCEPTED),
            "past its campaign's deadline": (written(event(5, 4, occurredAt=ago(600))), DEADLINE),
            "in its campaign's time": (written(event(5, 5, occurredAt=ago(60))), ACCEPTED),
            "too old": (written(event(7, 6, occurredAt=ago(2 * day))), TOO_OLD),
            "old, and resent on purpose": (
                written(event(7, 7, occurredAt=ago(2 * day)), headers=[("resend-id", b"r-1")]),
                ACCEPTED,
            ),
        }
        places = await stage.publish([record for record, _ in cases.values()])

        results = dict(zip(cases, await stage.results.until(places), strict=True))

        assert {name: outcome(result) for name, result in results.items()} == {
            name: expected for name, (_, expected) in cases.items()
        }
        assert all(result["dispatchedAt"] is None for result in results.values() if result["status"] == "expired")
        assert (await stage.account()).texted == 3


async def test_a_dry_run_texts_nobody_and_what_it_cancelled_is_replayed_to_test_recipients(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        dry = await stage.start({"DELIVERY__DRY_RUN": "true", "WINDOW__DURATION": "100ms"})
        places = await stage.publish([written(event(7, person)) for person in range(5)])
        results = await stage.results.until(places)
        status = await dry.status()
        assert {outcome(result) for result in results} == {("cancelled", "dry_run", 0)}
        assert status["modes"] == {"dry_run": True, "test_recipients": 0}
        assert (status["verdict"]["grade"], status["verdict"]["sentence"]) == ("warn", "dry run: nobody is texted")
        assert "campaign_dry_run 1.0" in (await dry.get("/metrics")).text
        assert any("DRY_RUN" in line["about"] for line in dry.lines("note"))
        assert await dry.stop() == 0
        assert (await stage.account()).texted == 0

        file = str(tmp_path / "plan.json")
        plan = (await planned(stage, "--from", "-1h", "--output", file)).exit_code
        kafka_alone = {name: value for name, value in stage.environment().items() if "_API__" not in name}
        run = await replay(stage.kafka, "run", file, "--yes", settings=kafka_alone)
        assert (plan, run.code) == (0, 0)
        real = await stage.start({"DELIVERY__TEST_RECIPIENTS": f"{phone(3)},somebody else"})
        places += [RecordPlace(0, len(places) + n) for n in range(5)]
        results = (await stage.results.until(places))[5:]
        assert sorted(map(outcome, results)) == [ACCEPTED, *[("cancelled", "not_a_test_recipient", 0)] * 4]
        assert (await real.status())["modes"] == {"dry_run": False, "test_recipients": 2}
        assert phone(3) not in real.tail()
        assert len(await stage.ask.contacts(campaign_id=7)) == 1


async def test_a_window_closes_in_time_for_its_members_deadline(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start({"WINDOW__DURATION": "60s"})
        hasty = event(7, 1, expiresAt=ago(-3))

        results = await stage.results.until(await stage.publish([written(event(7, 2)), written(hasty)]))

        assert [outcome(result) for result in results] == [ACCEPTED, ACCEPTED]
        assert max(result["dispatchedAt"] for result in results) < str(hasty["expiresAt"])


async def test_no_request_starts_after_the_deadline_however_the_platform_answers(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "status", "status": 503})
        hasty = urgent(7, 1, expiresAt=ago(-4))  # there is time for a second request on a slow machine, too

        (result,) = await stage.results.until(await stage.publish([written(hasty)]))

        requests = await stage.ask.requests(campaign_id=7)
        assert (result["status"], result["reason"]) == ("expired", "deadline")
        assert result["attempts"] == len(requests) > 1
        assert result["dispatchedAt"] < hasty["expiresAt"] <= result["completedAt"]


async def test_a_repeated_event_is_a_duplicate_also_after_a_restart_unless_it_is_resent_on_purpose(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start()
        content = event(7, 1)
        plain = written(content)
        resent, again = (written(content, headers=[("resend-id", name)]) for name in (b"r-1", b"r-2"))
        reasoned = Written(
            value=plain.value,
            key=plain.key,
            partition=0,
            headers=[*again.headers, ("resend-reason", b"wrong template")],
        )
        together = await stage.publish([plain, plain, resent, resent])
        before = [outcome(result) for result in await stage.results.until(together)]
        later = await stage.results.until(await stage.publish([plain, resent]))
        assert await service.stop() == 0
        await stage.start()
        after = await stage.results.until(await stage.publish([plain, resent, reasoned]))

        assert before == [ACCEPTED, REPEATED, ACCEPTED, REPEATED]
        assert [outcome(result) for result in later] == [REPEATED, REPEATED]
        assert [outcome(result) for result in after] == [REPEATED, REPEATED, ACCEPTED]
        assert (after[2]["resendId"], after[2]["resendReason"]) == ("r-2", "wrong template")
        related = {
            place: stage.results.at[place]["related"] for place in (RecordPlace(0, offset) for offset in range(9))
        }
        first = {"eventId": id_of(content), "partition": 0}
        assert {place.offset: to["offset"] for place, to in related.items() if to is not None} == {
            **dict.fromkeys((1, 4, 6), 0),
            **dict.fromkeys((3, 5, 7), 2),
        }
        assert all(to == {**first, "offset": to["offset"]} for to in related.values() if to is not None)
        assert (await stage.texts())[id_of(content)] == 3


async def test_the_id_of_a_refused_event_is_used_up_as_well(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "refuse_campaign", "campaign": 7})
        content = written(event(7, 1))

        results = [(await stage.results.until(await stage.publish([content])))[0] for _ in range(2)]

        assert [result["status"] for result in results] == ["rejected", "duplicate"]
        assert len(await stage.ask.requests(campaign_id=7)) == 1


def invalid_records() -> dict[str, list[Written]]:
    """Records that are no events, by the reason that their results must give."""
    good = event(7, 1)
    whole = orjson.dumps(good)
    return {
        "not_utf8": [written(whole.replace(b"order.", b"order.\xff"))],
        "not_json": [written(whole[:-3]), written(b""), written(whole.replace(b'"campaignId":7', b'"campaignId":NaN'))],
        "not_an_object": [written(b"[]"), written(b'"text"')],
        "tombstone": [written(None)],
        "too_large": [written(event(7, {"phoneE164": phone(1), "customFields": {"text": "x" * 3_000}}))],
        "schema": [
            written(b"{}"),
            written({**good, "campaignId": "7"}),
            written({**good, "campaignId": 0}),
            written({**good, "eventId": "x" * 129}),
            written({**good, "occurredAt": "2026-11-24T15:40:19"}),
            written({**good, "contact": {}}),
            written({**good, "contact": {"phoneE164": "600111222"}}),
            written({**good, "send": {"scheduledAt": ago(-60)}, "expiresAt": ago(-60)}),
            written({**good, "priority": "urgent"}),
        ],
    }


async def test_what_is_no_event_is_reported_as_invalid_and_its_bytes_kept_as_dead_letters(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start({"WINDOW__MAX_BYTES": "2KiB"})
        reasons = [(reason, record) for reason, records in invalid_records().items() for record in records]
        records = [
            Written(value=record.value, key=b"key of %d" % number, partition=0, headers=[("trace", b"abc")])
            for number, (_, record) in enumerate(reasons)
        ]
        places = await stage.publish(records)
        for place, (reason, _) in zip(places, reasons, strict=True):
            stage.published[place] = reason
        results = await stage.results.until(places)
        assert [result["reason"] for result in results] == [reason for reason, _ in reasons]
        assert {outcome(result)[::2] for result in results} == {("invalid", 0)}
        for result in results:
            is_readable = result["reason"] in {"schema", "too_large"}
            assert (result["eventType"] == "order.shipped") <= is_readable, "what cannot be read is null"
            assert result["campaignId"] in ({None, 0, 7} if is_readable else {None})

        letters = await read_all(kafka.bootstrap_servers, stage.dead_letter_topic)

        assert len(letters) == len(records)
        for number, (place, letter) in enumerate(zip(places, letters, strict=True)):
            headers = dict(letter.headers)
            assert (letter.key, letter.value) == (records[number].key, records[number].value)
            assert headers.pop("dlq-detail").decode() == results[number]["detail"]
            assert int(headers.pop("dlq-timestamp")) > 0
            assert headers == {
                "trace": b"abc",
                "dlq-reason": reasons[number][0].encode(),
                "dlq-topic": stage.events.encode(),
                "dlq-partition": b"0",
                "dlq-offset": b"%d" % place.offset,
            }
        assert (await stage.account()).texted == 0


async def test_events_in_envelopes_are_sent_like_any_other(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start()
        attributes = {"specversion": "1.0", "id": "cloud-1", "source": "/orders", "type": "order.shipped"}
        data = {"campaignId": 7, "contact": {"phoneE164": phone(1)}}
        structured: dict[str, object] = {**attributes, "time": ago(0), "data": data}
        binary = {**attributes, "id": "cloud-2", "time": ago(0)}
        registry = event(7, 3, eventId="registry-1")
        records = [
            written(structured, headers=[("content-type", b"application/cloudevents+json")]),
            written(
                {**data, "contact": {"phoneE164": phone(2)}},
                headers=[
                    ("content-type", b"application/json"),
                    *((f"ce_{name}", value.encode()) for name, value in binary.items()),
                ],
            ),
            written(b"\x00\x00\x00\x00\x07" + orjson.dumps(registry)),
            written({**event(7, 4, eventId="odd"), "unknown": {"fields": ["are", "ignored"]}}),
        ]

        results = await stage.results.until(await stage.publish(records))

        assert [(result["eventId"], result["status"]) for result in results] == [
            (name, "accepted") for name in ("cloud-1", "cloud-2", "registry-1", "odd")
        ]
        assert sorted((await stage.texts()).elements()) == ["cloud-1", "cloud-2", "odd", "registry-1"]


async def rewind(stage: Stage) -> None:
    """Put the group back to the beginning of every partition, as a tool would: with nobody in it, and no mark."""
    partitions = [TopicPartition(stage.events, number) for number in range(stage.partitions)]
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.kafka.bootstrap_servers, group_id=stage.group, enable_auto_commit=False
    ) as tool:
        tool.assign(partitions)
        await tool.commit(dict.fromkeys(partitions, 0))
        assert [await tool.committed(partition) for partition in partitions] == [0] * len(partitions)


async def test_a_rewound_group_texts_nobody_and_publishes_no_second_outcome(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start()
        people = [written(event(7, person), partition=person % 2) for person in range(100)]
        await stage.results.until(await stage.publish([*people, written(b"no event"), *people[:10]]))
        assert await service.stop() == 0
        await rewind(stage)

        service = await stage.start()
        more = await stage.publish([written(event(7, 1_000 + number), partition=number) for number in range(2)])
        await stage.results.until(more)

        await stage.results.catch_up()
        assert (len(stage.results.at), stage.results.published_again) == (113, 0)
        assert (await stage.ask.summary()).accepted == 102
        said = service.lines("the group was rewound, without effect")
        assert sum(line["watermark"] - line["committed"] for line in said) == 111
