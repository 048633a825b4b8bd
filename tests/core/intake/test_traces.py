"""The trace that a record belongs to, in headers in which anything may stand: carried on as it is, or left out."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.intake.decoding import SCHEDULING, event_of, fields_of, invalid_of
from tests.core.intake.wild_events import plain_event

KEEPING_TRACES = replace(SCHEDULING, keeps_traces=True)
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACES: dict[str, tuple[list[tuple[str, Any]], Any]] = {
    "alone": ([("traceparent", TRACE)], (("traceparent", TRACE),)),
    "with the vendors' words": (
        [("tracestate", b"a=1,b=2"), ("x", b"y"), ("traceparent", TRACE)],
        (("traceparent", TRACE), ("tracestate", b"a=1,b=2")),
    ),
    "in capitals": ([("Traceparent", TRACE)], (("traceparent", TRACE),)),
    "twice": ([("traceparent", b"x"), ("traceparent", TRACE)], (("traceparent", TRACE),)),
    "of a later version": (
        [("traceparent", b"01" + TRACE[2:] + b"-more")],
        (("traceparent", b"01" + TRACE[2:] + b"-more"),),
    ),
    "with words that are none": ([("traceparent", TRACE), ("tracestate", b"\xff\x00")], (("traceparent", TRACE),)),
    "with too many words": ([("traceparent", TRACE), ("tracestate", b"a" * 513)], (("traceparent", TRACE),)),
    "without a value": ([("traceparent", None)], ()),
    "words without a trace": ([("tracestate", b"a=1")], ()),
    "too long": ([("traceparent", TRACE + b"-more")], ()),
    "much too long": ([("traceparent", b"01" + TRACE[2:] + b"-" + b"a" * 1_000)], ()),
    "of no version": ([("traceparent", b"ff" + TRACE[2:])], ()),
    "of nobody": ([("traceparent", TRACE.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 32))], ()),
    "no span": ([("traceparent", TRACE.replace(b"00f067aa0ba902b7", b"0" * 16))], ()),
    "in capital digits": ([("traceparent", TRACE.upper())], ()),
    "with a line break": ([("traceparent", TRACE + b"\n")], ()),
    "binary": ([("traceparent", b"\x00\xff" * 27)], ()),
}


@pytest.mark.parametrize("headers, trace", TRACES.values(), ids=TRACES)
@pytest.mark.parametrize("more", [[], [("resend-id", b"r-1")]], ids=["first send", "resend"])
def test_a_trace_is_carried_on_as_it_is_and_nothing_else_is(
    headers: list[tuple[str, Any]], trace: Any, more: list[tuple[str, Any]]
) -> None:
    event = event_of(plain_event(), KEEPING_TRACES, headers=[*headers, *more])
    assert event.trace == trace
    bare = event_of(plain_event(), headers=more)
    assert (event.size_bytes > bare.size_bytes) is bool(trace), "it is charged"
    assert fields_of(event) == {**fields_of(bare), "trace": trace, "size_bytes": event.size_bytes}
    assert fields_of(event_of(plain_event(), headers=[*headers, *more])) == fields_of(bare), "only where they are kept"


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "TRACEPARENT"]), st.none() | st.binary())))
def test_whatever_stands_in_a_trace_header_an_event_is_an_event(headers: list[tuple[str, Any]]) -> None:
    assert event_of(plain_event(), KEEPING_TRACES, headers=headers).trace == ()


def test_what_is_no_event_belongs_to_its_trace_all_the_same() -> None:
    one = invalid_of(b"{", KEEPING_TRACES, headers=[("traceparent", TRACE)])
    assert one.trace == (("traceparent", TRACE),)
