"""What the pipeline hands to the shell: commands to be carried out, and batches as they were taken in. Decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from consumer.core.event import Decoded
from consumer.core.intake.unknown_fields import Lookalike
from consumer.core.journal.lane import Lane, Settlement
from consumer.core.journal.ledger import Gap
from consumer.core.sending.send import Send
from consumer.core.sending.window import Window
from consumer.core.terms import Offset, Ticks


class ReadAgain(NamedTuple):
    """Parked records are to be read again: from `start` on, as many as are read at once, and none from `stop` on."""

    lane: Lane
    start: Offset
    stop: Offset


@dataclass(slots=True)
class Commands:
    """What the shell is to do now. Each thing is handed out once."""

    appends: list[tuple[Lane, list[bytes]]] = field(default_factory=list)
    gaps: list[tuple[Lane, Gap]] = field(default_factory=list)
    posts: list[Send] = field(default_factory=list)
    publications: list[Settlement] = field(default_factory=list)
    reads: Sequence[ReadAgain] = ()
    dropped: list[Lane] = field(default_factory=list)
    """Lanes of which nothing is to be published any more that has not been begun."""
    closed: Sequence[Window] = ()
    """Windows that have closed since the last turn, to be told of."""
    checkpoint_seconds: Sequence[float] = ()
    """For how long the checkpoints that were proven since the last turn were due, to be told of."""
    wake_at: Ticks | None = None


class Fetched(NamedTuple):
    """A batch as it was taken in."""

    records: Sequence[Decoded]
    size_bytes: int
    """What its records are charged with."""
    value_bytes: int
    """What their values take, as they were published."""
    lookalikes: Mapping[Lookalike, int]
    """Unknown fields whose names are like known ones, with how many of its records have them."""
