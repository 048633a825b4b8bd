"""The types of what waits, in `GET /status`: by campaign and by stage. Holds types only; computes no value."""

from typing import Literal, TypedDict


class OldestAges(TypedDict):
    """For how long the oldest event of each stage has been in this process; None where a stage has none."""

    in_window: float | None
    queued: float | None
    in_flight: float | None
    blocked: float | None
    settling: float | None


WaitingWhy = Literal[
    "window",
    "slot",
    "person",
    "retry",
    "throttled",
    "refused",
    "held",
    "access",
    "journal",
    "in_flight",
    "settling",
    "parked",
]
"""`window`: it collects events. `slot`: its turn has not come. `person`: an earlier event of its person has no outcome
yet. `retry`: its back-off. `throttled`: a pause of its campaign (429). `refused`: its campaign is refused. `held`: by an
operator. `access`: nothing may start, `access` says why. `journal`: a partition is unsure of its owner. `in_flight`: its
request is under way. `settling`: its outcome or its result is on its way. `parked`: nothing of the campaign is in hand,
and there is no room for it yet."""


class WaitingCampaign(TypedDict):
    """Events of one campaign that have no acknowledged result."""

    campaign: str
    events: int
    """In hand."""
    parked: int
    """Records of it that were read past for want of room."""
    oldest_seconds: float | None
    """For how long the oldest of those in hand has been in this process; None where none is."""
    why: WaitingWhy
    """What the oldest of them waits for."""
    next_try_in_seconds: float | None
    """None where no instant is known: it waits for a fact."""


class OpenWindow(TypedDict):
    """A window that collects events."""

    campaign: str
    priority: Literal["normal", "immediate"]
    events: int
    max_contacts: int
    bytes: int
    """Of the request's body, as far as it is known."""
    age_seconds: float
    """Since its first event arrived."""
    closes_in_seconds: float


class OpenRequest(TypedDict):
    """A send with a slot."""

    send_id: str
    campaign: str
    contacts: int
    attempt: int
    stage: Literal["proving", "posting"]
    """`proving`: its intent is on its way into the journal. `posting`: its request may be out."""
    age_seconds: float
    """Since it got its slot."""
