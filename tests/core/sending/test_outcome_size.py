"""An outcome fits its append, whatever the platform says to whom: one that did not would be sent again for ever."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Decoded, Event
from consumer.core.journal.entries import Outcome, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import ENTRY_OVERHEAD_BYTES, Ledger
from consumer.core.journal.settling import MAX_OUTCOME_BYTES, settle
from consumer.core.outcome import Reason, Related, Response, Status, Verdict
from consumer.core.platform.answer import Answered, Exchange
from consumer.core.platform.masking import MAX_WORDS_BYTES
from consumer.core.policy import CampaignPolicy, WireNames
from consumer.core.results.result import result_value
from consumer.core.sending.settle import Finished, decide
from consumer.core.terms import Instant, JournalOffset, SendId
from tests.core.makers import P0, at, make_claim, make_event, make_send
from tests.core.sending.test_settle import open_access

ESCAPED = "\x01"
RESULT_BYTES = 3 * MAX_WORDS_BYTES + 6 * 256 + 2048  # message, item and a margin; an ID; everything else


def outcomes(items: list[tuple[Verdict, list[Decoded]]]) -> list[Outcome]:
    """What is queued for the journal; each entry must fit, and read back as it was."""
    lane = Lane(P0, "g", Ledger(make_claim, "me"))
    settle(lane, items, SendId("s"))
    entries = [draft.entry for draft in lane.ledger.drafts()]
    for entry in entries:
        value = encode(entry, JournalOffset(2**62))
        assert len(value) + ENTRY_OVERHEAD_BYTES <= MAX_OUTCOME_BYTES
        assert decode(JournalOffset(2**62), value).entry == entry
    return [entry for entry in entries if isinstance(entry, Outcome)]


def settled_offsets(entries: list[Outcome]) -> list[int]:
    return [offset for entry in entries for settled in entry.settled for offset in settled.offsets]


def test_399_contacts_that_are_refused_in_control_characters_fit_their_entries() -> None:
    members = [make_event(offset, contact=orjson.dumps({"customData": f"0-{offset}"})) for offset in range(400)]
    errors = [{"customData": f"0-{offset}", "message": ESCAPED * 3000, ESCAPED * 9: 1} for offset in range(399)]
    body = orjson.dumps({"message": ESCAPED * 3000, "data": {"id": ESCAPED * 256, "errors": errors}})
    answer = Answered(status=200, retry_after_seconds=None, body=body)
    exchange = Exchange(answer=answer, started_at=Instant(1.0), finished_at=Instant(2.0))
    decision = decide(make_send("s", *members), exchange, CampaignPolicy(), WireNames(), open_access(), at(3))
    assert isinstance(decision, Finished)
    items: list[tuple[Verdict, list[Decoded]]] = [(verdict, list(events)) for verdict, events in decision.items]
    assert sorted(settled_offsets(outcomes(items))) == list(range(400))
    for verdict, events in items:
        for event in events:
            assert isinstance(event, Event)
            assert len(result_value(event, verdict)) <= RESULT_BYTES


def test_twenty_thousand_records_of_one_verdict_are_as_many_entries_as_they_need() -> None:
    verdict = Verdict(status=Status.EXPIRED, reason=Reason.DEADLINE, completed_at=Instant(1.0))
    records: list[Decoded] = [make_event(7 * number, now=at(number / 1000)) for number in range(20_000)]
    entries = outcomes([(verdict, records)])
    assert settled_offsets(entries) == [record.offset for record in records]
    assert len(entries) < 10


words = st.none() | st.text(st.sampled_from('\x01"\\a\u20ac'), max_size=2048)
responses = st.none() | st.builds(
    Response,
    status=st.just(200),
    id=st.none() | st.integers(0, 2**64 - 1) | st.text(max_size=256),
    message=words,
    item=st.none() | st.dictionaries(words.filter(bool), words, max_size=3),
)
relations = st.none() | st.builds(
    Related, event_id=st.text(max_size=128), partition=st.just(2**31), offset=st.just(2**62)
)


@pytest.mark.timeout(3600)  # 20,000 examples in `soak`
@given(st.lists(st.tuples(st.sampled_from(Status), responses, relations, st.sampled_from([1, 2, 7, 500])), max_size=12))
def test_whatever_is_settled_fits_and_nothing_is_left_out(
    drawn: list[tuple[Status, Response | None, Related | None, int]],
) -> None:
    items: list[tuple[Verdict, list[Decoded]]] = []
    for status, response, related, count in drawn:
        first = sum(len(records) for _, records in items)
        verdict = Verdict(
            status=status,
            reason=Reason.PLATFORM_REPORTED_ERRORS,
            send_id=SendId("0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1234"),
            attempts=2**31,
            possible_duplicate=True,
            dispatched_at=Instant(1795534800.1234567),
            completed_at=Instant(1795534800.1234567),
            response=response,
            related=related,
        )
        items.append((verdict, [make_event((first + step) * 10**12) for step in range(count)]))
    assert settled_offsets(outcomes(items)) == [record.offset for _, records in items for record in records]
