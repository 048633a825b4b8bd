"""The types of the sandbox's answers under `/sandbox/`, shared by server and client. Owns no state.

Instants are Unix seconds by the sandbox's wall clock. In JSON all names are camelCase.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class RequestOutcome(StrEnum):
    """What became of one request."""

    ACCEPTED = "accepted"
    """Valid and recorded; a fault may still have broken the answer, see `fault`."""
    INVALID = "invalid"
    """The body breaks a rule of the platform: 400, 413 or 422."""
    UNAUTHORIZED = "unauthorized"
    """No key or a wrong one: 401."""
    NOT_FOUND = "not_found"
    """A path or method that is not the endpoint's: 404 or 405."""
    UNREADABLE = "unreadable"
    """The body broke off, or it was not sent as JSON."""
    FAULT = "fault"
    """A fault fired, and nothing was accepted."""


class RequestSeen(msgspec.Struct, kw_only=True, gc=False, rename="camel"):
    """One request, from its first byte to its end."""

    request_id: int
    outcome: RequestOutcome
    first_byte_at: float
    received_at: float
    """When the complete body was read. Contacts of an accepted request are accepted at this instant."""
    ended_at: float | None = None
    """When the answer went out or the client closed the connection; None while the request is in flight."""
    status: int | None = None
    """The status of the answer, if its complete head went out."""
    connection: int
    """Number of the request's TCP connection, from 1."""
    campaign_id: int | None = None
    fault: str | None = None
    """Name of the fault that decided the answer."""
    message: str | None = None
    """The message of a refusal."""
    body_bytes: int = 0
    contacts: int = 0
    accepted: int = 0
    created: int = 0
    duplicates: int = 0
    disabled: int = 0
    refused: int = 0
    """Contacts that were reported as errors inside a 2xx, and not texted."""


class Options(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, rename="camel"):
    """The send-level options of a request; those with their default are left out."""

    schedule_at: str | None = None
    flash: bool = False
    charset: str = "auto"
    send_type_override: str = "list"
    origin_data: dict[str, object] | None = None


class AcceptedContact(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One contact that got a text."""

    campaign_id: int
    person: str
    """`+34600111222`, a national number as its digits, or `code:` and the external code."""
    reference: str | None
    """Its `customData`."""
    accepted_at: float
    first_byte_at: float
    request_id: int
    position: int
    """Its index in `contacts`, from 0."""
    options: Options
    contact: msgspec.Raw
    """The contact as it was sent; read it with `msgspec.json.decode`."""


class CampaignSummary(msgspec.Struct, kw_only=True, rename="camel"):
    """Counts for one campaign, or for all of them."""

    requests: int = 0
    contacts: int = 0
    accepted: int = 0
    created: int = 0
    duplicates: int = 0
    disabled: int = 0
    refused: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    """The most requests at once: for all, from a request's head on; for one campaign, from the complete body on. A client that
    gives up a request and starts another may be counted with both: the end of the first comes over another connection."""
    by_status: dict[str, int] = msgspec.field(default_factory=dict)
    """Ended requests by answered status; `none` if no complete head went out."""


class Summary(CampaignSummary, kw_only=True, rename="camel"):
    """All counts of the sandbox."""

    distinct_persons: int = 0
    """People who were texted at least once."""
    by_outcome: dict[str, int] = msgspec.field(default_factory=dict)
    connections: int = 0
    """TCP connections that were ever opened, including those for `/sandbox/`."""
    open_connections: int = 0
    first_accepted_at: float | None = None
    last_accepted_at: float | None = None
    campaigns: dict[str, CampaignSummary] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Counts to wait for: at least these, and at most `at_most_in_flight` requests in flight."""

    accepted: int = 0
    requests: int = 0
    in_flight: int = 0
    at_most_in_flight: int | None = None

    def holds(self, summary: Summary) -> bool:
        """Whether all of them are reached."""
        return (
            summary.accepted >= self.accepted
            and summary.requests >= self.requests
            and summary.in_flight >= self.in_flight
            and (self.at_most_in_flight is None or summary.in_flight <= self.at_most_in_flight)
        )


class RepeatedReference(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One reference that was accepted more than once for the same campaign."""

    campaign_id: int
    reference: str
    accepted_at: list[float]
    request_ids: list[int]


class RepeatedTexts(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How many texts were repeats, for all campaigns or one."""

    accepted: int
    distinct_persons: int
    """Different (campaign, person) among them."""
    distinct_references: int
    """Different (campaign, reference) among them; a contact without a reference counts as one of its own."""
    repeats: list[RepeatedReference]


class FaultState(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One armed fault: how many requests matched its conditions, and for how many it fired."""

    name: str
    matched: int
    fired: int
    fault: dict[str, object]
