"""What can go wrong in a world, and how likely; the dice. Decides nothing.

Each kind of fault and each delay has dice of its own, so that taking a fault out leaves the others where they were.
"""

from collections import Counter
from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How likely each thing goes wrong each time it is used."""

    append_lost: float = 0.0
    """An append never lands, and nobody hears of it."""
    append_late: float = 0.0
    """It lands after it was given up on, perhaps behind a claim anew."""
    ack_lost: float = 0.0
    """It lands, and nobody hears of it."""
    append_slow: float = 0.0
    """Its acknowledgement takes seconds."""
    stunned: float = 0.0
    """A process is frozen when an append of its own has landed, and before it hears of that."""
    answer_lost: float = 0.0
    """A reset: the platform may have acted, may act later, or may not."""
    hang: float = 0.0
    """No answer before the client's time is over."""
    slow: float = 0.0
    """An answer takes seconds."""
    server_error: float = 0.0
    """500, 502 or 504, which says nothing about what was done."""
    platform_late: float = 0.0
    """Of what was lost or failed: the platform acts on the request only later."""
    throttled: float = 0.0
    """429."""
    unavailable: float = 0.0
    """503, 408, 421 or 425: surely not processed."""
    unreachable: float = 0.0
    connect_slow: float = 0.0
    """A connection takes so long that the proof grows old."""
    item_error: float = 0.0
    """2xx, and an item that names one contact."""
    unreadable: float = 0.0
    """2xx, and no body that can be read."""
    telling_fails: float = 0.0
    """A log or a metric fails while it is told what an answer came to."""
    result_twice: float = 0.0
    """A publication fails half way and is sent again."""
    result_slow: float = 0.0
    commit_lost: float = 0.0
    """A commit is not heard of: it has landed, or has not, or will."""
    read_slow: float = 0.0
    """Reading a journal takes seconds."""
    control_slow: float = 0.0
    """Reading the control topic takes seconds."""
    hole: float = 0.0
    """Compaction, or a transaction, leaves a hole before an event."""
    marker: float = 0.0
    """A transaction ends behind an event: the log goes on, and nothing there may be read."""

    def __or__(self, other: "Chances") -> "Chances":
        """Return the greater chance of each."""
        names = [field.name for field in fields(self)]
        return Chances(**{name: max(getattr(self, name), getattr(other, name)) for name in names})


NONE = Chances()

JOURNAL = Chances(
    append_lost=0.03,
    append_late=0.05,
    ack_lost=0.04,
    append_slow=0.03,
    stunned=0.008,
    commit_lost=0.1,
    read_slow=0.1,
    control_slow=0.1,
)
"""Appends that land when nobody expects them any more."""

PLATFORM = Chances(
    answer_lost=0.1,
    hang=0.03,
    slow=0.1,
    server_error=0.1,
    platform_late=0.4,
    throttled=0.06,
    unavailable=0.06,
    unreachable=0.05,
    connect_slow=0.15,
    item_error=0.08,
    unreadable=0.04,
    telling_fails=0.02,
    control_slow=0.05,
)
"""What a request did is often unknown."""

RESULTS = Chances(result_twice=0.1, result_slow=0.1, hole=0.1, marker=0.2)

TRANSACTIONS = Chances(hole=0.2, marker=0.4)
"""Producers that commit and abort."""

EVERYTHING = JOURNAL | PLATFORM | RESULTS

FATES = tuple(field.name for field in fields(Chances))

Stroke = tuple[str, int]
"""The n-th use of a thing, from 0: where a chance struck."""


class Dice:
    """A seed's luck. `muted` are strokes that do not happen after all."""

    def __init__(self, seed: int, chances: Chances, muted: frozenset[Stroke] = frozenset()) -> None:
        self._seed = seed
        self._muted = muted
        self._chances = {name: float(getattr(chances, name)) for name in FATES}
        self._streams: dict[str, Random] = {}
        self._uses: Counter[str] = Counter()
        self.struck: list[Stroke] = []
        """What went wrong by chance, in order."""

    def stream(self, purpose: str) -> Random:
        """Return the dice of one purpose."""
        found = self._streams.get(purpose)
        if found is None:
            found = self._streams[purpose] = Random(f"{self._seed} {purpose}")
        return found

    def strikes(self, fate: str) -> bool:
        """Roll for a fault."""
        chance = self._chances[fate]
        if not chance:
            return False
        use = self._uses[fate]
        self._uses[fate] = use + 1
        if self.stream(fate).random() >= chance or (fate, use) in self._muted:
            return False
        self.struck.append((fate, use))
        return True

    def calm(self) -> None:
        """Let nothing go wrong by chance from here on."""
        self._chances = dict.fromkeys(self._chances, 0.0)
