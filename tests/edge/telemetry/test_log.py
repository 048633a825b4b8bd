"""Promises about log lines."""

import json
import logging
import re
import warnings
from datetime import UTC, datetime
from io import StringIO

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.core.terms import Ticks
from consumer.edge.telemetry import log
from tests.edge.support import Lines

PHONES = [
    "+34600111222",
    "34 600 111 222",
    "600-11-12-22",
    "(600) 111.222",
    "12.34.56.78",
    "00 34 600/111222",
    "٦٠٠١١١٢٢٢",
]


@pytest.mark.parametrize("phone", PHONES)
def test_a_phone_in_a_librarys_message_is_unreadable(phone: str) -> None:
    lines = Lines()
    logging.getLogger("aiokafka.consumer").warning("bad record %s in batch", phone)
    [line] = lines.taken()
    assert line["event"] == "bad record *** in batch"


def test_a_phone_in_an_exceptions_text_is_unreadable_and_no_local_variable_is_printed() -> None:
    lines = Lines()
    contact = "Maria Perez"
    try:
        raise ValueError(f"cannot parse {contact[:0]}+34600111222")  # noqa: TRY301 - it is what is logged
    except ValueError:
        logging.getLogger("aiohttp.server").exception("failed")
        structlog.get_logger(log.OURS).exception("failed")
    for line in lines.taken():
        assert "cannot parse ***" in str(line["exception"])
        assert "600111222" not in json.dumps(line)
        assert "Maria" not in json.dumps(line)


def test_offsets_in_fields_stay_and_so_do_topics_and_broker_addresses() -> None:
    lines = Lines()
    structlog.get_logger(log.OURS).info("committed", partition="events-20261124:3", offset=123456789012)
    logging.getLogger("aiokafka").warning("Unable to connect to 10.120.33.101:9092, ('10.120.33.101', 9092)")
    ours, theirs = lines.taken()
    assert ours["offset"] == 123456789012
    assert ours["partition"] == "events-20261124:3"
    assert theirs["event"] == "Unable to connect to 10.120.33.101:9092, ('10.120.33.101', 9092)"


def test_text_anywhere_in_a_field_is_masked_and_bytes_are_only_counted() -> None:
    lines = Lines()
    structlog.get_logger(log.OURS).info("x", why="got 600111222", nested={"a": ["600111222", b"600111222"]}, odd=object)
    [line] = lines.taken()
    assert line["why"] == "got ***"
    assert line["nested"] == {"a": ["***", "9 bytes"]}
    assert line["odd"] == "<class 'object'>"


@given(st.text())
def test_no_run_of_seven_digits_survives_whatever_the_text(text: str) -> None:
    assert not re.search(r"\d{7}", log.masked(text))


@given(st.text(alphabet="0123456789 .:-,()'+"))
def test_no_run_of_seven_digits_survives_among_addresses_and_separators(text: str) -> None:
    assert not re.search(r"\d{7}", log.masked(text))


def test_lines_say_when_in_utc() -> None:
    lines = Lines()
    structlog.get_logger(log.OURS).info("x")
    logging.getLogger("aiokafka").warning("y")
    for line in lines.taken():
        at = datetime.fromisoformat(str(line["timestamp"]))
        assert at.utcoffset() == datetime.now(UTC).utcoffset()  # noqa: TID251 - the offset of UTC, no time is read
        assert str(line["timestamp"]).endswith("Z")


def test_lines_of_libraries_have_level_and_name_like_ours() -> None:
    lines = Lines()
    logging.getLogger("aiohttp.server").error("y")
    [line] = lines.taken()
    assert (line["level"], line["logger"]) == ("error", "aiohttp.server")


def test_libraries_never_speak_at_debug_where_they_print_whole_requests() -> None:
    lines = Lines("DEBUG")
    structlog.get_logger(log.OURS).debug("ours")
    logging.getLogger("aiokafka.conn").debug("Request: <contacts>")
    logging.getLogger("aiokafka.conn").info("Joined")
    logging.getLogger("httpx").info("HTTP Request: POST https://example")
    assert [line["event"] for line in lines.taken()] == ["ours", "Joined"]


def test_at_info_libraries_speak_only_of_problems() -> None:
    lines = Lines("INFO")
    logging.getLogger("aiokafka").info("Discovered coordinator")
    logging.getLogger("aiokafka").warning("lost it")
    structlog.get_logger(log.OURS).debug("detail")
    structlog.get_logger(log.OURS).info("fact")
    assert [line["event"] for line in lines.taken()] == ["lost it", "fact"]


def test_at_error_everybody_is_quiet_but_for_errors() -> None:
    lines = Lines("error")
    logging.getLogger("aiokafka").warning("lost it")
    structlog.get_logger(log.OURS).warning("fact")
    structlog.get_logger(log.OURS).error("bad")
    assert [line["event"] for line in lines.taken()] == ["bad"]


def test_what_a_library_repeats_is_written_once_whatever_values_it_fills_in() -> None:
    lines = Lines()
    for node in range(50):
        logging.getLogger("aiokafka").error("Unable to connect to node %s", node)
    logging.getLogger("aiokafka").error("Something else")
    assert [line["event"] for line in lines.taken()] == ["Unable to connect to node 0", "Something else"]


def test_a_repeated_line_comes_back_after_a_while_and_says_how_many_were_left_out() -> None:
    repeats = log.RepeatedLines(every_seconds=30)
    admitted = [repeats.admit("x", Ticks(at)) for at in (0, 1, 29.9, 30, 31, 60)]
    assert [one and one.left_out for one in admitted] == [0, None, None, 2, None, 1]


def test_remembering_repeated_lines_takes_bounded_memory() -> None:
    repeats = log.RepeatedLines(every_seconds=30)
    for kind in range(5 * log.MAX_REMEMBERED):
        assert repeats.admit(kind, Ticks(0)) == log.LeftOut(0, 0)
    assert repeats.admit(0, Ticks(1)) == log.LeftOut(0, 0), "forgotten, so written again: never left out for ever"
    assert repeats.admit(5 * log.MAX_REMEMBERED - 1, Ticks(1)) is None


EVIL = "a\x1b[2J\x1b]0;owned\x07b\r\n2026-11-24 [info] all is well\x9b31m\u202egnihton\u2028"


@given(st.text())
@example(EVIL)
@example(EVIL.replace(" ", "_"))
def test_whatever_comes_from_outside_a_console_line_is_one_line_that_prints(text: str) -> None:
    lines = Lines("DEBUG", format_="console")
    structlog.get_logger(log.OURS).info("held", reason=text, nested={"of": [text], text: 1})
    logging.getLogger("aiokafka").warning(text)
    written = lines.text()
    assert written.endswith("\n")
    assert [part for part in written[:-1].split("\n") if not part.isprintable()] == []
    assert written.count("\n") == 2


def test_a_tracebacks_lines_stay_lines_on_a_console_and_none_looks_like_a_log_line() -> None:
    lines = Lines(format_="console")
    try:
        raise ValueError(EVIL)  # noqa: TRY301 - it is what is logged
    except ValueError:
        logging.getLogger("aiohttp.server").exception("failed")
    first, *others = lines.text().rstrip("\n").split("\n")
    assert "failed" in first
    assert len(others) > 2
    assert all(line.startswith("    ") and line.isprintable() for line in others)


@pytest.mark.parametrize("value", ["half a pair \ud83d", 2**70, {"nested": "\udcff"}], ids=repr)
def test_what_json_has_no_words_for_is_written_all_the_same(value: object) -> None:
    lines = Lines()
    structlog.get_logger(log.OURS).info("x", odd=value)
    [line] = lines.taken()
    assert line["event"] == "x"


def test_python_warnings_become_log_lines() -> None:
    lines = Lines()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old call with 600111222", stacklevel=1)
    [line] = lines.taken()
    assert line["logger"] == "py.warnings"
    assert "old call with ***" in str(line["event"])


def test_console_lines_read_well_and_carry_no_colours_into_a_file() -> None:
    stream = StringIO()
    log.configure("console", "INFO", stream=stream)
    structlog.get_logger(log.OURS).warning("partition lost", partition="contact-events:3", cure="none needed")
    text = stream.getvalue()
    assert "partition lost" in text
    assert "partition=contact-events:3" in text
    assert "\x1b" not in text


def test_without_a_format_a_file_gets_json() -> None:
    stream = StringIO()
    log.configure(None, "INFO", stream=stream)
    structlog.get_logger(log.OURS).info("x")
    assert json.loads(stream.getvalue())["event"] == "x"


def test_configuring_twice_does_not_double_lines() -> None:
    Lines()
    lines = Lines()
    logging.getLogger("aiokafka").warning("once")
    assert len(lines.taken()) == 1
