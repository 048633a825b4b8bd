"""Results of invalid records: they say what is wrong in words, always in the same ones, and never with a value."""

from typing import Any

import orjson
import pytest

from consumer.core.event import Decoded, Event, Invalid
from consumer.core.intake.decode import Decoder
from consumer.core.journal.entries import Outcome, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.settling import settled_records
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.results.result import result_value
from consumer.core.terms import JournalOffset
from tests.core.intake.wild_events import NOW, PARTITION, WildRecord, json_bytes, plain_event
from tests.core.makers import P0
from tests.core.runner import Runner

LARGE = plain_event(contact={"phoneE164": "+34600111222", "customFields": {"text": "x" * 400}})
SCHEDULED = plain_event(send={"scheduledAt": "2026-11-24T18:00:00Z"})
STRICT = Policies(default=CampaignPolicy(max_bytes=400, expires_after_seconds=300.0))


def decoded(document: dict[str, Any], policies: Policies) -> Decoded:
    [one] = Decoder(policies).batch(PARTITION, [WildRecord(value=json_bytes(document))], NOW)
    return one


def read_back(record: Decoded, verdict: Verdict) -> Verdict:
    """What the next owner reads of a verdict in the journal."""
    at = JournalOffset(5)
    placed = decode(at, encode(Outcome(send_id=None, settled=(settled_records(verdict, [record]),)), at))
    assert isinstance(placed.entry, Outcome)
    return placed.entry.settled[0].verdict


def test_every_invalid_record_has_its_detail_and_nothing_else_has_one() -> None:
    runner = Runner()
    runner.feed(plain_event(campaignId="421"), plain_event(campaignId=0), plain_event(), plain_event(campaignId="7"))
    runner.run()
    details = {place[1]: verdict.detail for place, verdict in runner.results.items()}
    integer, least = "campaignId: must be a valid integer", "campaignId: must be greater than or equal to 1"
    assert details == {0: integer, 1: least, 2: None, 3: integer}
    settled = [item for outcome in runner.said(Outcome) for item in outcome.settled]
    assert len(settled) == 3, "records with one mistake share a verdict"
    assert runner.pipeline.lanes[P0].watermark.value == 4


@pytest.mark.parametrize("document", [LARGE, SCHEDULED])
def test_a_result_says_the_same_when_a_setting_has_made_the_record_valid_meanwhile(document: dict[str, Any]) -> None:
    first = decoded(document, STRICT)
    assert isinstance(first, Invalid)
    verdict = Verdict(status=Status.INVALID, reason=first.reason, detail=first.detail, completed_at=NOW.wall)
    again = decoded(document, Policies())
    assert isinstance(again, Event)
    told = result_value(first, verdict)
    assert result_value(again, read_back(first, verdict)) == told
    assert orjson.loads(told)["detail"] == first.detail


def test_an_outcome_of_an_earlier_version_has_no_detail() -> None:
    first = decoded(LARGE, STRICT)
    verdict = Verdict(status=Status.INVALID, reason=Reason.TOO_LARGE, completed_at=NOW.wall)
    assert orjson.loads(result_value(first, read_back(first, verdict)))["detail"] is None
