"""JSON Lines: what is published for a line, and what is said about a bad one."""

import codecs

import orjson
from hypothesis import given
from hypothesis import strategies as st

from consumer.traffic.lines import BadLine, KeyField, Line, read_lines

EVENT = b'{"eventId": "e-1", "campaignId": 421, "contact": {"phoneE164": "+999600000001", "externalCode": "cust-1"}}'


def only(*lines: bytes, key_field: KeyField | None = None) -> Line | BadLine:
    (read,) = read_lines(lines, key_field=key_field)
    return read


def test_an_event_is_published_as_it_stands_on_its_line() -> None:
    assert only(EVENT + b"\n") == Line(1, b"cust-1", EVENT, ())


def test_a_person_without_a_code_is_keyed_by_a_hash_and_never_by_the_phone() -> None:
    line = only(b'{"contact": {"phoneE164": "+999 600 000 001"}}')
    assert isinstance(line, Line)
    assert line.key is not None
    assert b"600" not in line.key
    assert len(line.key) == 32


def test_a_byte_order_mark_before_the_first_line_is_none_of_it() -> None:
    first, second = read_lines([codecs.BOM_UTF8 + EVENT + b"\r", EVENT])
    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert (first.value, first.key) == (second.value, second.key) == (EVENT, b"cust-1")
    assert isinstance(next(read_lines([codecs.BOM_UTF8 + EVENT], first_number=2)), BadLine), "only a file begins so"


def test_a_file_in_utf_16_is_told_so() -> None:
    assert only(EVENT.decode().encode("utf-16")) == BadLine(1, "not JSON: the file is UTF-16; save it as UTF-8")


def test_spellings_of_one_phone_get_one_key() -> None:
    lines = [
        b'{"contact": {"phoneE164": "+999600000001"}}',
        b'{"contact": {"phoneNumber": "600 000 001", "countryCode": "999"}}',
        b'{"contact": {"phoneNumber": "00999600000001"}}',
        b'{"contact": {"phoneNumber": "+999 600-000-001"}}',
    ]
    assert len({line.key for line in read_lines(lines) if isinstance(line, Line)}) == 1


def test_the_key_field_names_where_the_key_stands() -> None:
    line = only(EVENT, key_field=KeyField(path=("campaignId",)))
    assert isinstance(line, Line)
    assert line.key == b"421"


def test_an_event_without_the_key_field_has_no_key() -> None:
    line = only(EVENT, key_field=KeyField(path=("contact", "customFields", "orderId")))
    assert isinstance(line, Line)
    assert line.key is None


def test_a_line_may_bring_its_own_key_and_headers() -> None:
    line = only(b'{"key": "k", "value": {"eventId": "e-1"}, "headers": {"resend-id": "r-1"}}')
    assert line == Line(1, b"k", b'{"eventId":"e-1"}', (("resend-id", b"r-1"),))


def test_a_string_is_published_as_its_characters_so_that_garbage_can_be_published() -> None:
    line = only('{"key": "k", "value": "not json, señor"}'.encode())
    assert isinstance(line, Line)
    assert line.value == "not json, señor".encode()


def test_a_null_value_is_a_tombstone() -> None:
    assert only(b'{"key": "k", "value": null}') == Line(1, b"k", None, ())


def test_an_event_that_happens_to_have_a_member_called_value_is_an_event() -> None:
    line = only(b'{"eventId": "e-1", "value": 3}')
    assert isinstance(line, Line)
    assert line.value == b'{"eventId": "e-1", "value": 3}'


def test_bad_lines_are_named_by_their_numbers_and_the_others_are_read() -> None:
    read = list(read_lines([EVENT, b"", b"{", b"[1]", b'{"key": 1, "value": {}}', b'{"value": null}', EVENT]))
    assert [(line.number, type(line)) for line in read] == [
        (1, Line),
        (3, BadLine),
        (4, BadLine),
        (5, BadLine),
        (6, BadLine),
        (7, Line),
    ]
    assert [line.why.split(":")[0] for line in read if isinstance(line, BadLine)] == [
        "not JSON",
        "not a JSON object",
        '"key" must be a string or null',
        "a tombstone needs a key",
    ]


def test_headers_must_be_strings() -> None:
    line = only(b'{"key": "k", "value": {}, "headers": {"a": 1}}')
    assert line == BadLine(1, '"headers" must be an object of strings')


def test_what_is_wrong_with_a_line_is_said_without_quoting_it() -> None:
    line = only(b'{"contact": {"phoneE164": "+999600000001"')
    assert isinstance(line, BadLine)
    assert "600000001" not in line.why


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_can_stop_the_reading(lines: list[bytes]) -> None:
    read = list(read_lines(lines))
    assert len(read) == sum(1 for line in lines if line.strip())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_any_object_is_published_or_refused_with_a_reason(content: dict[str, object]) -> None:
    line = only(orjson.dumps(content))
    assert isinstance(line, BadLine) or line.value is not None
