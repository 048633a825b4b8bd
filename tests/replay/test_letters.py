"""Dead letters as lines: what is mended by hand is read by `produce` as the record that it was."""

from dataclasses import dataclass, replace

import orjson
import pytest

from consumer.replay.letters import Letter, letter_of, line_of, original_of
from consumer.traffic.lines import Line, read_lines

OWN = (
    ("dlq-reason", b"schema"),
    ("dlq-detail", b"campaignId: required"),
    ("dlq-topic", b"contact-events"),
    ("dlq-partition", b"3"),
    ("dlq-offset", b"1842"),
    ("dlq-timestamp", b"1795534800000"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """A record of the dead-letter topic."""

    offset: int = 7
    timestamp: int = 1_795_534_900_000
    key: bytes | None = b"customer-7"
    value: bytes | None = b'{"eventId": "e-1"}'
    headers: tuple[tuple[str, bytes], ...] = (("traceparent", b"00-1"), *OWN)


def published(record: Stood) -> Line:
    """What `produce` makes of a dead letter's line."""
    (line,) = read_lines([line_of(record)])
    assert isinstance(line, Line)
    return line


def test_a_letter_says_where_its_record_stood_and_why() -> None:
    letter = letter_of(Stood().headers)

    assert letter == Letter("contact-events", 3, 1842, "schema", "campaignId: required", is_truncated=False)
    assert letter.is_about("CAMPAIGNid")
    assert letter.is_about("schema")
    assert letter.is_about("")
    assert not letter.is_about("phone")
    original = original_of(letter, Stood())
    assert (original.offset, original.key, original.headers) == (1842, b"customer-7", [("traceparent", b"00-1")])


@pytest.mark.parametrize("left_out", ["dlq-topic", "dlq-partition", "dlq-offset", "dlq-reason"])
def test_a_record_that_says_less_is_no_letter(left_out: str) -> None:
    assert letter_of([header for header in OWN if header[0] != left_out]) is None
    assert letter_of([(name, b"x" if name == "dlq-offset" else value) for name, value in OWN]) is None


@pytest.mark.parametrize(
    "value",
    [b'{"eventId":"e-1","contact":{"phoneE164":"+34600111222"}}', b"{nothing", b"[1,2]", b'"text"', b"", None],
)
def test_a_line_is_published_as_the_record_that_it_was(value: bytes | None) -> None:
    line = published(Stood(value=value))

    assert (line.key, line.value) == (b"customer-7", value)
    assert set(line.headers) == {("traceparent", b"00-1"), *OWN[:5]}


def test_what_is_no_utf8_is_marked_and_can_be_mended() -> None:
    line = published(replace(Stood(), key=b"\xff", value=b"{\xff", headers=(("h", b"\xff"), *OWN)))

    assert line.value == "{�".encode()
    assert line.key == "�".encode()


def test_a_line_is_one_line_whatever_stands_in_it() -> None:
    assert line_of(Stood(value=b"{\n\n")).count(b"\n") == 1
    assert orjson.loads(line_of(Stood()))["value"] == {"eventId": "e-1"}
