"""What became of a plan's events since it was made, told from what others published and from results."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
import pytest

from consumer.replay.criteria import hash_of
from consumer.replay.event_ids import NOBODY, EventIds, EventSieve
from consumer.replay.since import Since

OURS, THEIRS = "replay-ours", "replay-theirs"
TOPIC = "contact-events"


class Stood(NamedTuple):
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None


def since(*planned: str, statuses: Sequence[str] = ("failed",)) -> Since:
    among = EventSieve(len(planned))
    for event_id in planned:
        among.add(hash_of(event_id))
    return Since(resend_id=OURS, statuses=statuses, ends={(TOPIC, 0): 100}, among=among)


def result(event_id: str | None, status: str, *, offset: int, resend_id: str | None = None) -> bytes:
    source = {"topic": TOPIC, "partition": 0, "offset": offset}
    return orjson.dumps({"status": status, "eventId": event_id, "resendId": resend_id, "source": source})


def stood(event_id: str, offset: int) -> Stood:
    return Stood(orjson.dumps({"eventId": event_id}), (("resend-id", THEIRS.encode()),), offset)


@pytest.mark.parametrize("status, reached", [("accepted", True), ("in_doubt", True), ("failed", False)])
def test_whom_another_resend_may_have_reached_is_known(status: str, reached: bool) -> None:  # noqa: FBT001
    one = since("e-1")
    one.published(TOPIC, 0, [stood("e-1", 100)])
    assert (one.pending, one.reached) == (frozenset({hash_of("e-1")}), frozenset())
    one.results([result("e-1", status, offset=100, resend_id=THEIRS)])
    assert (one.pending, one.reached) == (frozenset(), frozenset({hash_of("e-1")} if reached else ()))


def test_what_the_plan_itself_has_sent_says_nothing_nor_do_results_that_are_none_or_of_others() -> None:
    one = since("e-1")
    one.results(
        [
            result("e-1", "accepted", offset=100, resend_id=OURS),
            result("e-999", "accepted", offset=101),
            result(None, "accepted", offset=102),
            b"no result",
            None,
        ]
    )
    assert one.reached == frozenset()


def test_a_result_that_was_known_to_the_plan_and_is_published_again_leaves_nobody_out() -> None:
    again = result("e-1", "accepted", offset=7)
    one = since("e-1", statuses=("accepted",))
    one.results([again])
    assert one.reached == frozenset()
    one.results([result("e-1", "accepted", offset=100)])
    assert one.reached == {hash_of("e-1")}
    other = since("e-1")  # its record had no outcome then: a forward move had passed it over
    other.results([again])
    assert other.reached == {hash_of("e-1")}


@pytest.mark.parametrize(
    "value, headers, event_id",
    [
        (b'{"eventId": "e-1"}', (), "e-1"),
        (b'{"eventId": "e-1", "eventId": "e-2"}', (("resend-id", b"r"),), "e-2"),
        (b"\0\0\0\0\7" + b'{"eventId": "e-1"}', (), "e-1"),
        (b'{"campaignId": 7}', (("ce_specversion", b"1.0"), ("ce_id", b"ce-1")), "ce-1"),
        (b'{"id": "ce-1", "data": {}}', (("content-type", b"application/cloudevents+json"),), "ce-1"),
        (b'{"eventId": 7}', (), None),
        (b"\xff", (), None),
        (None, (), None),
    ],
)
def test_an_event_is_known_by_its_id_however_it_is_wrapped(
    value: bytes | None, headers: Sequence[tuple[str, bytes]], event_id: str | None
) -> None:
    assert EventIds().of(Stood(value, headers)) == (NOBODY if event_id is None else hash_of(event_id))


def test_a_sieve_holds_what_was_added_and_little_else() -> None:
    sieve = EventSieve(10_000)
    for number in range(10_000):
        sieve.add(hash_of(f"in {number}"))
    assert all(sieve.may_hold(hash_of(f"in {number}")) for number in range(10_000))
    assert sum(sieve.may_hold(hash_of(f"out {number}")) for number in range(10_000)) < 1_000
