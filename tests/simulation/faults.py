"""What can go wrong in a world, and how likely. Decides nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Chances: of journal and platform each time they are used, of the others at each step."""

    append_lost: float = 0.02
    """It never lands, and nobody hears of it."""
    ack_lost: float = 0.02
    """It lands, and nobody hears of it."""
    append_late: float = 0.02
    """It lands after it was given up on, perhaps behind a claim anew."""
    answer_lost: float = 0.04
    server_error: float = 0.04
    platform_late: float = 0.3
    """Of lost answers: the platform acts on the request only later."""
    throttled: float = 0.04
    unreachable: float = 0.03
    item_error: float = 0.03
    denied: float = 0.001
    """The key is refused for a while."""
    crash: float = 0.008
    freeze: float = 0.008
    steal: float = 0.008
    """The group moves a partition, and its owner may not know."""
    revoke: float = 0.004
    """The group moves a partition in order: its owner lets go first."""
    rewind: float = 0.002
    """A tool resets the group's offset, or deletes it."""
    clock: float = 0.002
    """A process's wall clock jumps."""


NONE = Faults(
    append_lost=0,
    ack_lost=0,
    append_late=0,
    answer_lost=0,
    server_error=0,
    platform_late=0,
    throttled=0,
    unreachable=0,
    item_error=0,
    denied=0,
    crash=0,
    freeze=0,
    steal=0,
    revoke=0,
    rewind=0,
    clock=0,
)

OWNERS = Faults(append_lost=0.05, ack_lost=0.05, append_late=0.08, crash=0.012, freeze=0.03, steal=0.03)
"""Hard on the journal: several owners at once, and appends that land when nobody expects them any more."""

PLATFORM = Faults(answer_lost=0.2, server_error=0.15, throttled=0.1, crash=0.02, steal=0.01)
"""Hard on the answers: what a request did is often unknown."""
