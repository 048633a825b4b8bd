"""Whatever stands in an answer: one decision, every member told once, entries and results within their bounds, no phone."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Decoded, Event
from consumer.core.outcome import Response, Verdict
from consumer.core.platform.answer import Answer, Answered, Exchange, Lost
from consumer.core.policy import CampaignPolicy, Meaning, OnUnknown, WireNames
from consumer.core.results.result import result_value
from consumer.core.sending.send import Send
from consumer.core.sending.settle import Finished, Halve, RetryLater, decide_whatever_it_says
from consumer.core.terms import Instant
from tests.core.makers import at, make_event, make_send
from tests.core.sending.test_outcome_size import RESULT_BYTES, outcomes, settled_offsets
from tests.core.sending.test_settle import open_access

NAMES = WireNames()
WORDS = st.text(max_size=40) | st.sampled_from(
    [
        "+34 600 111 222",
        "600111200",
        "0-0",
        "0-1",
        "c-0",
        "",
        "\x01" * 3000,
        "\ud7ff\U0010ffff",
        "1" * 9000,
        "٦٠٠١١١٢٢٢",
    ]
)
KEYS = st.text(max_size=8) | st.sampled_from(
    [
        "message",
        "data",
        "errors",
        "id",
        "customData",
        "phoneE164",
        "phoneNumber",
        "countryCode",
        "externalCode",
        "+34600111222",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)
ITEMS = st.lists(st.dictionaries(KEYS, SCALARS, max_size=6) | JSON, max_size=8)


@st.composite
def bodies(draw: st.DrawFn) -> bytes | None:
    """What a platform could say, what it meant to say, and what a proxy makes of it."""
    match draw(st.sampled_from(["bytes", "anything", "traps", "answer", "answer"])):
        case "bytes":
            return draw(st.none() | st.binary(max_size=100))
        case "anything":
            return orjson.dumps(draw(JSON))
        case "traps":
            return draw(
                st.sampled_from(
                    [b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b'{"data":{"id":1e999}}', b'"\\ud800"']
                )
            )
        case _:
            return draw(garbled())


@st.composite
def garbled(draw: st.DrawFn) -> bytes:
    """An answer of the platform, with some bytes changed on the way."""
    said: dict[str, Any] = {"message": draw(JSON), "data": {"id": draw(JSON), "errors": draw(ITEMS | JSON)}}
    body = orjson.dumps(said)
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(st.binary(max_size=3)) + body[place + draw(st.integers(0, 3)) :]
    return body


@st.composite
def sends(draw: st.DrawFn) -> Send:
    """One to five members, some of whom share a name, or a past."""
    members: list[Event] = []
    for offset in range(draw(st.integers(1, 5))):
        contact = {"customData": f"0-{draw(st.integers(0, offset))}", "phoneE164": f"+3460011120{offset}"}
        contact |= draw(
            st.sampled_from([{}, {"externalCode": "c-0"}, {"phoneNumber": "600111200", "countryCode": "34"}])
        )
        event = make_event(offset, person=f"p{offset}", contact=orjson.dumps(contact))
        members.append(event)
    return make_send("s", *members)


answers: st.SearchStrategy[Answer] = st.builds(
    Answered,
    status=st.sampled_from([200, 202, 204, 400, 401, 404, 413, 422, 429, 500, 503]) | st.integers(0, 999),
    retry_after_seconds=st.none() | st.floats(0, 86_400),
    body=bodies(),
) | st.builds(Lost, detail=st.just("reset"))
policies = st.builds(
    CampaignPolicy,
    on_unknown=st.sampled_from(OnUnknown),
    lost_answer_repeats=st.integers(0, 2),
    max_attempts=st.integers(1, 3),
    answers=st.dictionaries(st.integers(0, 999), st.sampled_from(Meaning), max_size=3),
)


def has_phone(words: object) -> bool:
    """Whether seven digits stand in a row, also in a name of a field; our own masks apart."""
    return re.search(r"\d{7}", str(words)) is not None


@pytest.mark.timeout(3600)  # 20,000 examples in `soak`
@given(sends(), answers, policies)
def test_whatever_an_answer_holds_there_is_one_decision_that_can_be_written_down(
    send: Send, answer: Answer, policy: CampaignPolicy
) -> None:
    misread: list[Exception] = []
    members = list(send.members)
    exchange = Exchange(answer=answer, started_at=Instant(1.0), finished_at=Instant(2.0))
    decision = decide_whatever_it_says(send, exchange, policy, NAMES, open_access(), at(3), misread)
    assert misread == [], "what a body holds is expected, all of it"
    told: list[Response | None] = [send.response]
    if isinstance(decision, Finished):
        items: list[tuple[Verdict, list[Decoded]]] = [(verdict, [*events]) for verdict, events in decision.items]
        assert sorted(settled_offsets(outcomes(items))) == [event.offset for event in members]
        for verdict, events in items:
            told.append(verdict.response)
            assert all(len(result_value(event, verdict)) <= RESULT_BYTES for event in events)
    else:
        assert isinstance(decision, Halve | RetryLater)
    for response in filter(None, told):
        assert not has_phone(response.message)
        assert not has_phone(response.item or {})
