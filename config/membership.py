"""What a member agrees on with its group's coordinator: one setting, and what follows from it. Reads no setting itself."""

from dataclasses import dataclass
from typing import Final

DEFAULT_SESSION_SECONDS: Final = 10.0
HEARTBEATS_IN_A_SESSION: Final = 5
REVOKE_BOUND_SECONDS: Final = 28.0
"""All of a revoke: requests in flight, then settle, publish, commit."""
REVOKE_DRAIN_SECONDS: Final = 10.0
"""Of those, at most so long for requests in flight."""
SLACK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The session is the setting; the rest follows from it, for these hold together, and with the client's habits."""

    session_seconds: float = DEFAULT_SESSION_SECONDS
    """How long nothing is heard of a member before the group gives its partitions to others."""

    @property
    def heartbeat_seconds(self) -> float:
        """How often it is heard of."""
        return self.session_seconds / HEARTBEATS_IN_A_SESSION

    @property
    def rebalance_seconds(self) -> float:
        """How long a rebalance waits for a member; the client would take the session, too short to drain anything.

        A member learns of it with a heartbeat, has its bound to hand over, and may be frozen for a session meanwhile.
        """
        return REVOKE_BOUND_SECONDS + self.session_seconds + self.heartbeat_seconds + SLACK_SECONDS

    @property
    def request_seconds(self) -> float:
        """How long a join is waited for: the whole rebalance, and 10 s to spare."""
        return self.rebalance_seconds + 2 * SLACK_SECONDS


DEFAULT_MEMBERSHIP: Final = Membership()
