"""The time-outs of a member in its consumer group, which follow from one setting. Reads no setting itself."""

from dataclasses import dataclass
from typing import Final

DEFAULT_SESSION_SECONDS: Final = 10.0
HEARTBEATS_IN_A_SESSION: Final = 5
REVOKE_BOUND_SECONDS: Final = 28.0
"""The longest that a revoke takes: requests in flight, then settle, publish, commit."""
REVOKE_DRAIN_SECONDS: Final = 10.0
"""The part of it for requests in flight, at most."""
SLACK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The session time-out is the setting; the other time-outs are derived from it."""

    session_seconds: float = DEFAULT_SESSION_SECONDS
    """A member without a heartbeat for this long loses its partitions to others."""

    @property
    def heartbeat_seconds(self) -> float:
        """The interval of heartbeats."""
        return self.session_seconds / HEARTBEATS_IN_A_SESSION

    @property
    def rebalance_seconds(self) -> float:
        """How long a rebalance waits for a member. The client's default is the session, which is too short to drain.

        A member learns of the rebalance with its next heartbeat, has its bound for the revoke, and may be frozen for a
        session meanwhile.
        """
        return REVOKE_BOUND_SECONDS + self.session_seconds + self.heartbeat_seconds + SLACK_SECONDS

    @property
    def request_seconds(self) -> float:
        """The time-out of a join request: the whole rebalance, and 10 s more."""
        return self.rebalance_seconds + 2 * SLACK_SECONDS


DEFAULT_MEMBERSHIP: Final = Membership()
