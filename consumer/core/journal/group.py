"""To which consumer group a journal partition belongs, by what stands in it. Reads no log, claims nothing.

A claim alone is no title: a group that was started on this journal by mistake may have claimed it before it saw whose
it is. A journal belongs to the group that has worked by it (its last checkpoint says so), to the one that an operator
gave it to since, or to whoever claimed it first where nobody has worked by it yet.
"""

from collections.abc import Iterable, Iterator, Sequence

from consumer.core.journal.entries import Accepted, Checkpoint, Claim, Placed
from consumer.core.journal.entry_decode import decode
from consumer.core.terms import JournalOffset

NAMES_A_GROUP = b'"group":'
"""Stands in every entry that names one. Where it stands in a text, its quotes have a backslash before them."""


class JournalOwnership:
    """Finds out whose a journal partition is, from its entries read backwards, the youngest first."""

    def __init__(self) -> None:
        self._first_claim: str | None = None
        self._proven: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether nothing that stands further back can change it."""
        return self._proven is not None

    @property
    def group(self) -> str | None:
        """Whose it is by what was read so far; None where it is nobody's."""
        return self._first_claim if self._proven is None else self._proven

    def read(self, placed: Placed) -> None:
        """Take into account what stands before everything that was read so far."""
        if self._proven is not None:
            return
        match placed.entry:
            case Claim(group=group):
                self._first_claim = group
            case Checkpoint(group=group) | Accepted(group=group) if placed.counts:
                self._proven = group
            case _:
                pass

    def read_record(self, offset: JournalOffset, value: bytes) -> None:
        """Take a record into account, unread where it names no group."""
        if NAMES_A_GROUP in value:
            self.read(decode(offset, value))


def group_of(entries: Sequence[Placed]) -> str | None:
    """Return whose a journal is by all of its entries from the last checkpoint on, or from its beginning."""
    title = JournalOwnership()
    for placed in reversed(entries):
        title.read(placed)
    return title.group


def foreign_claims(entries: Iterable[Placed], group: str) -> Iterator[Claim]:
    """Yield claims of other groups: of somebody who was started on this journal by mistake."""
    for placed in entries:
        if isinstance(placed.entry, Claim) and placed.entry.group != group:
            yield placed.entry
