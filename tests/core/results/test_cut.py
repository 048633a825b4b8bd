"""What a topic does not take is cut from its largest part on, the same every time, and stays what it is."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.results.cut import Message, smaller_letter, smaller_result, source_of
from consumer.core.terms import Partition
from schemas.dead_letter import DeadLetterHeaders

LONG_WORDS = st.none() | st.text(max_size=400)
RESULTS = st.fixed_dictionaries(
    {
        "resultId": st.just("r"),
        "eventId": st.text(max_size=128),
        "status": st.just("accepted"),
        "externalReference": LONG_WORDS,
        "resendReason": LONG_WORDS,
        "related": st.just({"eventId": "e", "partition": 1, "offset": 2}),
        "response": st.none()
        | st.fixed_dictionaries(
            {
                "status": st.just(200),
                "id": LONG_WORDS,
                "message": LONG_WORDS,
                "item": st.none() | st.dictionaries(st.text(max_size=9), LONG_WORDS, max_size=4),
            }
        ),
    }
)
KEYS = st.none() | st.binary(max_size=600)
NEVER_CUT = ("resultId", "eventId", "status", "related")
SMALLEST_BYTES = 1_500


def size_bytes(message: Message) -> int:
    key, value, headers = message
    return len(key or b"") + len(value or b"") + sum(len(name) + len(content) for name, content in headers)


@given(RESULTS, KEYS, st.sampled_from([(), (("traceparent", b"00-" + b"a" * 52),)]))
def test_a_result_becomes_smaller_with_each_step_until_what_names_it_is_all(
    fields: dict[str, Any], key: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    message: Message = (key, orjson.dumps(fields), headers)
    steps = 0
    while (less := smaller_result(message)) is not None:
        assert less == smaller_result(message), "whoever cuts it cuts the same"
        assert size_bytes(less) < size_bytes(message)
        message, steps = less, steps + 1
        left = orjson.loads(message[1] or b"")
        assert list(left) == list(fields)
        assert [left[name] for name in NEVER_CUT] == [fields[name] for name in NEVER_CUT]
        assert message[0] in {key, None}
    assert message[2] == ()
    assert size_bytes(message) < SMALLEST_BYTES
    assert steps < 10


def test_a_huge_key_goes_at_once_and_the_platforms_words_before_its_answer() -> None:
    fields = {"eventId": "e", "response": {"status": 200, "id": 7, "message": "m" * 300, "item": {"a": "b" * 500}}}
    value = orjson.dumps(fields)
    assert smaller_result((b"k" * 9_000, value, ())) == (None, value, ())
    first = smaller_result((b"k", value, ()))
    assert first is not None
    assert orjson.loads(first[1] or b"")["response"] == {"status": 200, "id": 7, "message": "m" * 300, "item": None}
    second = smaller_result(first)
    assert second is not None
    assert orjson.loads(second[1] or b"")["response"] == {"status": 200, "id": 7, "message": None, "item": None}
    assert smaller_result(second) is None


def test_a_cut_message_says_which_record_it_is_about() -> None:
    result: Message = (b"k", orjson.dumps({"source": {"topic": "t", "partition": 3, "offset": 1842}}), ())
    own = [("dlq-topic", b"t"), ("dlq-partition", b"3"), ("dlq-offset", b"1842")]
    letter: Message = (None, None, [("traceparent", b"x"), *own])
    assert source_of(result) == source_of(letter) == (Partition("t", 3), 1842)


@given(KEYS, KEYS, st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=90)), max_size=3))
def test_a_dead_letter_says_what_was_left_out_and_why_it_is_one(
    key: bytes | None, value: bytes | None, brought: list[tuple[str, bytes]]
) -> None:
    own = {"reason": "not_json", "detail": "d", "topic": "t", "partition": "1", "offset": "2", "timestamp": "3"}
    headers = [*brought, *((f"dlq-{name}", text.encode()) for name, text in own.items())]
    message: Message = (key, value, headers)
    parts = 0
    while (less := smaller_letter(message)) is not None:
        message, parts = less, parts + 1
        said = DeadLetterHeaders.model_validate(
            {name: content.decode() for name, content in message[2] if name.startswith("dlq-")}
        )
        assert (said.reason, said.offset) == ("not_json", "2")
        assert len((said.truncated or "").split(", ")) == parts
    assert message[0] in {None, b""}
    assert message[1] in {None, b""}
    assert parts == sum(map(bool, (key, value, any(name or content for name, content in brought))))
