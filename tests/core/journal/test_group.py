"""Whose a journal is: the group's that worked by it, or that an operator gave it to, or that claimed it first."""

import dataclasses
from collections.abc import Sequence

import pytest

from consumer.core.journal.entries import Accepted, Checkpoint, Entry, Placed, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.group import JournalOwnership, foreign_claims, group_of
from consumer.core.terms import Instant, JournalOffset, Offset
from tests.core.makers import make_claim

CHECKPOINT = Checkpoint(
    group="g", watermark=Offset(7), settled=(), open_attempts=(), tried=(), unpublished=None, mark=None
)
THEIR_CHECKPOINT = dataclasses.replace(CHECKPOINT, group="x")
WORD = Accepted(group="g", start=Offset(3), end=Offset(9), why='they say "group":"y"', accepted_at=Instant(1.0))
OURS, THEIRS = make_claim("me", "g"), make_claim("they", "x")


def journal(*entries: Entry) -> list[Placed]:
    """Entries that stand where they say."""
    return [Placed(offset=JournalOffset(at), at=JournalOffset(at), entry=entry) for at, entry in enumerate(entries)]


@pytest.mark.parametrize(
    "entries, group",
    [
        ([], None),
        ([OURS], "g"),
        ([THEIRS, OURS], "x"),
        ([OURS, THEIRS, THEIRS], "g"),
        ([OURS, CHECKPOINT, THEIRS], "g"),
        ([THEIRS, OURS, CHECKPOINT, THEIRS, OURS], "g"),
        ([OURS, CHECKPOINT, THEIRS, THEIR_CHECKPOINT, OURS], "x"),
        ([THEIRS, THEIR_CHECKPOINT, WORD], "g"),
        ([THEIRS, THEIR_CHECKPOINT, WORD, THEIRS], "g"),
        ([WORD, dataclasses.replace(WORD, group="x")], "x"),
    ],
)
def test_a_claim_alone_is_no_title_where_somebody_has_worked_by_the_journal(
    entries: Sequence[Entry], group: str | None
) -> None:
    placed = journal(*entries)
    assert group_of(placed) == group
    title = JournalOwnership()
    for one in reversed(placed):
        title.read_record(one.offset, encode(one.entry, one.at))  # type: ignore[arg-type]  # no stray among them
    assert title.group == group


def test_what_does_not_count_is_no_title() -> None:
    void = Placed(offset=JournalOffset(9), at=JournalOffset(8), entry=THEIR_CHECKPOINT)
    slip = decode(JournalOffset(10), b'{"group":"y","kind":"checkpoint","at":10000}')
    assert group_of([*journal(OURS, CHECKPOINT), void, slip]) == "g"
    assert group_of([slip]) is None


def test_claims_of_others_are_told_apart_from_those_of_other_members() -> None:
    assert list(foreign_claims(journal(OURS, make_claim("other", "g"), THEIRS, CHECKPOINT), "g")) == [THEIRS]
