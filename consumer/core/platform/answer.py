"""What came back from one POST, as a union. Owns no policy: `post.py` says what an answer means."""

from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from consumer.core.terms import Instant

PROXY_AUTHENTICATION_REQUIRED = 407
TOO_MANY_REQUESTS = 429
"""With this status an answer is about its campaign; any other that means "not delivered" is about the platform."""

SERVER_ERROR = 500
"""The first of those by which a platform says that it has failed."""

UNAVAILABLE = 503
"""With this status `Retry-After` pauses all campaigns; with any other that means "not delivered", its own alone."""


class Withholding(Enum):
    """Why a request was not started although a connection was in hand."""

    EXPIRED = auto()
    """A member's deadline has come."""
    STALE_PROOF = auto()
    """The proof that we own the members' partitions is too old; append the intent again."""
    STOPPED = auto()
    """An operator has held the campaign, or cancelled a member; or nobody knows whether one has."""
    NOT_OURS = auto()
    """A member's partition was lost or given back."""


class Answered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A complete response head arrived. `body` is None where the body could not be read to its end.

    It may be a proxy's that opened no way to the platform: then nothing of the request went out.
    """

    status: int
    retry_after_seconds: float | None
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """No connection (refused, DNS, TLS, pool): surely nothing went out. `detail` never holds a secret."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoConnectionYet:
    """A member's deadline came while a connection was waited for: surely nothing went out.

    There may be one a moment later: so short a wait alone does not say that the platform is not there.
    """

    waited_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """The last look said no: surely nothing went out."""

    why: Withholding


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The first byte went out and no complete head came back: what the platform did is unknown."""

    detail: str


Answer = Answered | Unreachable | NoConnectionYet | Withheld | Lost


class Exchange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt. `started_at` is the wall-clock instant of the first byte; None where nothing went out."""

    answer: Answer
    started_at: Instant | None
    finished_at: Instant
